r"""Variational dequantisation: noise within the cells of discrete values, with a learned density.

A flow has a density p of continuous numbers, and a discrete value x stands for a cell of them, x + [0, 1). With any
density q of the place u in [0, 1) within the cell,

    log P(x) = log ∫_0^1 p(x + u) du ≥ E_q[log p(x + u) - log q(u | x)],

with equality if q(u | x) ∝ p(x + u). Uniform dequantisation is q = 1, for which the optimal p has steps at the edges of
cells. Here u = Φ(v), with Φ the normal distribution function and v from couplings conditional on the discrete values;
they start as the identity, so that q starts as uniform. Minus the bound, divided by ln 2 and the number of dimensions,
is an upper bound on the code length in bits per dimension.

Source: Ho, Chen, Srinivas, Duan and Abbeel 2019 (Flow++, arXiv:1902.00275), equations 11 and 12.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import singledispatch

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import laid_out
from pushforward.models.chains import CouplingSettings, coupling_chain
from pushforward.spaces import Field, Space, Vector
from pushforward.tensors import normal_log_prob
from pushforward.transforms import Affine, Transform
from pushforward.transforms.monotone import squashed

__all__ = ["Dequantiser"]

# Distance of places from the edges of the unit cell, so that rounding cannot move a value into the next cell.
_MARGIN = 1e-6


class Dequantiser(nn.Module):
    """Learned noise within the cells of discrete values.

    Arguments:
        space: space of the samples, a vector or a field.
        condition_dim: length of a condition vector, or channels of a condition field; 0 for none.
        cells: edges of the cells of each channel, in network units; empty for an unchanged channel.

    Raises:
        UsageError: if the space is neither a vector nor a field.
    """

    discrete: Tensor

    def __init__(self, space: Space, condition_dim: int, cells: Sequence[Sequence[float]]) -> None:
        super().__init__()
        channels = [channel for channel, edges in enumerate(cells) if edges]
        for channel in channels:
            self.register_buffer(f"edges_{channel}", torch.tensor(cells[channel]), persistent=False)
        self.register_buffer("discrete", torch.tensor(channels), persistent=False)
        self.channels, self.all_discrete = tuple(channels), len(channels) == space.shape[0]
        self.size = space.size // space.shape[0] * len(channels)
        self.chain = _couplings(space, len(channels), condition_dim)

    def places(
        self, x: Float[Tensor, "batch *shape"], u: Float[Tensor, "batch *shape"], condition: Tensor | None
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, " batch"]]:
        """Places within cells, in (0, 1), and their log-density in nats.

        Arguments:
            x: samples in network units, anywhere in their cells.
            u: uniform numbers in [0, 1); those of continuous channels are returned unchanged.
            condition: condition vectors (batch, condition_dim), or fields (batch, condition_dim, *grid).
        """
        low, width = self._cell(x)
        seen = squashed(x.index_copy(1, self.discrete, low + width / 2))
        own = u.index_select(1, self.discrete).clamp(_MARGIN, 1 - _MARGIN)
        noise = torch.special.ndtri(own)
        v, log_abs_det = self.chain.inverse(noise.flatten(1), _context(seen, condition))
        log_q = normal_log_prob(noise) - log_abs_det - normal_log_prob(v)
        inside = _MARGIN + (1 - 2 * _MARGIN) * torch.special.ndtr(v).view_as(own)
        return u.index_copy(1, self.discrete, inside), log_q

    def spread(
        self, x: Float[Tensor, "batch *shape"], u: Float[Tensor, "batch *shape"], condition: Tensor | None
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, " batch"], Float[Tensor, " batch"]]:
        """Samples spread within their cells by `places`, which has the same arguments.

        Returns:
            Samples in network units, log-densities of their places in nats, and logarithms of the cells' volumes.
        """
        places, log_q = self.places(x, u, condition)
        low, width = self._cell(x)
        spread = x.index_copy(1, self.discrete, low + width * places.index_select(1, self.discrete))
        return spread, log_q, width.log().flatten(1).sum(1)

    def bits_per_dimension(self, log_prob: Tensor, log_volume: Tensor) -> Tensor | None:
        """Mean upper bound on the code length, in bits per dimension; None if some channels are continuous.

        Arguments:
            log_prob: log p - log q of each sample in network units, nats, shape (batch,).
            log_volume: logarithm of the volume of its cell, shape (batch,).
        """
        return -(log_prob + log_volume).mean() / (self.size * math.log(2)) if self.all_discrete else None

    def _cell(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Lower edge and width of the cell of each discrete value."""
        lows, widths = [], []
        for channel in self.channels:
            edges = getattr(self, f"edges_{channel}").to(x)
            index = torch.searchsorted(edges[1:-1], x[:, channel].contiguous(), right=True)
            lows.append(edges[index])
            widths.append(edges[index + 1] - edges[index])
        return torch.stack(lows, 1), torch.stack(widths, 1)


@singledispatch
def _couplings(space: Space, channels: int, condition_dim: int) -> Transform:
    return coupling_chain(space, Affine(), condition_dim, CouplingSettings())


@_couplings.register
def _(space: Vector, channels: int, condition_dim: int) -> Transform:
    settings = CouplingSettings(couplings=4, width=64, depth=2)
    return coupling_chain(Vector(channels), Affine(), space.dim + condition_dim, settings)


@_couplings.register
def _(space: Field, channels: int, condition_dim: int) -> Transform:
    settings = CouplingSettings(couplings=4, width=32, depth=1, levels=0)
    # Without wavelet levels: places within neighbouring cells have no large-scale structure to model.
    inner = Field(channels, space.grid)
    return coupling_chain(inner, Affine(), space.channels + condition_dim, settings)


def _context(seen: Tensor, condition: Tensor | None) -> Tensor:
    return seen if condition is None else torch.cat([seen, laid_out(condition, seen.shape[2:])], 1)
