r"""Map of each channel's values to normal scores, an increasing spline through quantiles of the data.

A logarithm or a power brings the values of a channel closer to a normal distribution; what remains, such as a tail or a
second mode, this map removes:

    z = Phi^-1(F(v)),

with F the distribution of the values v over the data, interpolated between its quantiles at equally spaced z by
rational quadratics (see `transforms.spline`), and continued as a straight line beyond the outermost ones. A Gaussian
field then has the distribution of the data at every point, so that neither the errors of a network nor its initial
state leave the range of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import ndtr, ndtri
from torch import Tensor, nn

from pushforward.transforms.spline import Bin, bin_forward, bin_inverse

__all__ = ["NormalScores", "beyond", "undone"]

Mapped = Callable[[Tensor, Bin], Tensor]


class NormalScores(nn.Module):
    """Increasing maps of some channels; other channels are unchanged. Set their quantiles with `fit`.

    Arguments:
        channels: which are mapped.
        axis: of the channels in a batch.
        bins: number of intervals between quantiles.
    """

    quantiles: Tensor
    slopes: Tensor
    edges: Tensor

    # Values beyond the outermost quantiles, on either side.
    beyond = 32
    # Least width of a bin, in units of z: equal values must not make the map infinitely steep.
    narrowest = 1e-3
    most = 2**22

    def __init__(self, channels: Sequence[int], axis: int, bins: int = 64) -> None:
        super().__init__()
        self.channels, self.axis, self.bins = tuple(channels), axis, bins
        line = torch.linspace(-1.0, 1.0, bins + 1)
        self.register_buffer("edges", line.repeat(len(self.channels), 1))
        self.register_buffer("quantiles", line.repeat(len(self.channels), 1))
        self.register_buffer("slopes", torch.ones(len(self.channels), bins + 1))

    @torch.no_grad()
    def fit(self, values: Sequence[np.ndarray]) -> None:
        """Set the quantiles from the values of each mapped channel, of any shape."""
        for row, each in enumerate(values):
            flat = np.sort(each.ravel()[:: max(1, each.size // self.most)].astype(np.float64))
            furthest = float(ndtri(1 - max(0.5, min(self.beyond, len(flat) / 20)) / len(flat)))
            z = np.linspace(-furthest, furthest, self.bins + 1)
            found = np.interp(ndtr(z), (np.arange(len(flat)) + 0.5) / len(flat), flat)
            widths = np.maximum(np.diff(found), self.narrowest * np.diff(z))
            v = found[self.bins // 2] + np.concatenate([[0.0], np.cumsum(widths)]) - widths[: self.bins // 2].sum()
            slopes = np.diff(z) / np.diff(v)
            inner = np.sqrt(slopes[1:] * slopes[:-1])
            self.edges[row] = torch.from_numpy(z)
            self.quantiles[row] = torch.from_numpy(v)
            self.slopes[row] = torch.from_numpy(np.concatenate([slopes[:1], inner, slopes[-1:]]))

    @torch.no_grad()
    def set_quantiles(
        self,
        z: Float[Tensor, "channels knots"],
        values: Float[Tensor, "channels knots"],
        least: Float[Tensor, "channels 2"],
    ) -> None:
        """Set the quantiles, made further apart where they are closer than `narrowest` in units of z.

        Arguments:
            z: normal scores, equally spaced.
            values: quantile at each of them.
            least: smallest slopes dz/dv below and above the outermost quantiles.
        """
        z = z.double()
        middle, widths = self.bins // 2, values.double().diff()
        widths = widths.maximum(self.narrowest * z.diff())
        below = torch.cat([torch.zeros_like(z[:, :1]), widths.cumsum(1)], 1)
        v = values[:, middle : middle + 1] + below - below[:, middle : middle + 1]
        slopes = z.diff() / v.diff()
        self.edges.copy_(z)
        self.quantiles.copy_(v)
        ends = slopes[:, [0, -1]].maximum(least)
        self.slopes.copy_(torch.cat([ends[:, :1], (slopes[:, 1:] * slopes[:, :-1]).sqrt(), ends[:, 1:]], 1))

    def forward(self, v: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Normal scores of values."""
        return self._mapped(v, self.quantiles, lambda rows, bin: beyond(rows, bin, bin_forward(rows, bin)[0]))

    def inverse(self, z: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Values of normal scores."""
        return self._mapped(z, self.edges, undone)

    def log_slope(self, v: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """``ln dz/dv``; zero for channels that are not mapped."""

        def found(rows: Tensor, bin: Bin) -> Tensor:
            inside = (rows >= bin.left) & (rows <= bin.right)
            end = torch.where(rows < bin.left, bin.slope, bin.next_slope).log()
            return torch.where(inside, bin_forward(rows, bin)[1], end)

        return self._mapped(v, self.quantiles, found, unmapped=0.0)

    def to_list(self) -> list[int]:
        return [self.bins, *self.channels]

    @classmethod
    def from_list(cls, values: Sequence[int], axis: int) -> NormalScores:
        return cls(values[1:], axis, values[0])

    def _mapped(self, x: Tensor, knots: Tensor, function: Mapped, unmapped: float | None = None) -> Tensor:
        """The function of each value of the mapped channels and its bin."""
        rest = x.movedim(self.axis, 0)
        chosen = torch.tensor(self.channels, device=x.device)
        picked = rest.index_select(0, chosen)
        rows = picked.reshape(len(picked), -1).contiguous()
        tables = [table.to(x.dtype) for table in (self.quantiles, self.edges, self.slopes)]
        index = torch.searchsorted(knots.to(x.dtype)[:, 1:-1].contiguous(), rows.detach(), right=True)
        ends = [table.gather(1, index + step) for table in tables for step in (0, 1)]
        found = function(rows, Bin(*ends)).reshape(picked.shape)
        if len(self.channels) < len(rest):
            others = rest if unmapped is None else torch.full_like(rest, unmapped)
            found = others.index_copy(0, chosen, found)
        return found.movedim(0, self.axis)


def beyond(v: Tensor, bin: Bin, inside: Tensor) -> Tensor:
    """The map inside its bin, and the straight lines outside."""
    low = torch.addcmul(bin.bottom, v - bin.left, bin.slope)
    high = torch.addcmul(bin.top, v - bin.right, bin.next_slope)
    return torch.where(v < bin.left, low, torch.where(v > bin.right, high, inside))


def undone(z: Tensor, bin: Bin) -> Tensor:
    """The inverse of `beyond`."""
    low = torch.addcdiv(bin.left, z - bin.bottom, bin.slope)
    high = torch.addcdiv(bin.right, z - bin.top, bin.next_slope)
    return torch.where(z < bin.bottom, low, torch.where(z > bin.top, high, bin_inverse(z, bin)[0]))
