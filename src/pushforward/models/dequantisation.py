r"""Variational dequantisation: noise within the cells of discrete values, with a learned density.

A flow gives the density p of numbers z, a discrete value x the cell of all z that are mapped back to it. With any
density q of the place u in [0, 1) within the cell,

    log P(x) = log ∫_0^1 p(x + u) du ≥ E_q[log p(x + u) - log q(u | x)],

with equality if q(u | x) ∝ p(x + u). Uniform dequantisation is q = 1, for which the optimal p has steps at the edges of
cells. Here u = Φ(v), with Φ the normal distribution function and v from couplings conditional on the discrete values;
they start as the identity, so that q starts as uniform. Divided by the number of dimensions and ln 2, minus the bound
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

# Places are kept this far from the edges of cells, to which a sum could be rounded.
_LEAST = 1e-6


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
        chosen = [number for number, edges in enumerate(cells) if edges]
        for number in chosen:
            self.register_buffer(f"edges_{number}", torch.tensor(cells[number]), persistent=False)
        self.register_buffer("discrete", torch.tensor(chosen), persistent=False)
        self.channels, self.everything = tuple(chosen), len(chosen) == space.shape[0]
        self.size = space.size // space.shape[0] * len(chosen)
        self.chain = _couplings(space, len(chosen), condition_dim)

    def places(
        self, x: Float[Tensor, "batch *shape"], u: Float[Tensor, "batch *shape"], condition: Tensor | None
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, " batch"]]:
        """Places within cells, and their log-density in nats.

        Arguments:
            x: samples in network units, anywhere in their cells.
            u: uniform numbers in [0, 1); those of other channels are passed on.
            condition: condition vectors or fields.
        """
        low, width = self._cell(x)
        seen = squashed(x.index_copy(1, self.discrete, low + width / 2))
        own = u.index_select(1, self.discrete).clamp(_LEAST, 1 - _LEAST)
        noise = torch.special.ndtri(own)
        v, log_abs_det = self.chain.inverse(noise.flatten(1), _context(seen, condition))
        log_q = normal_log_prob(noise) - log_abs_det - normal_log_prob(v)
        inside = _LEAST + (1 - 2 * _LEAST) * torch.special.ndtr(v).view_as(own)
        return u.index_copy(1, self.discrete, inside), log_q

    def spread(
        self, x: Float[Tensor, "batch *shape"], u: Float[Tensor, "batch *shape"], condition: Tensor | None
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, " batch"], Float[Tensor, " batch"]]:
        """Samples at these places in their cells, in network units; log-densities of the places; log-volumes of cells.

        Arguments: as of `places`.
        """
        places, log_q = self.places(x, u, condition)
        low, width = self._cell(x)
        spread = x.index_copy(1, self.discrete, low + width * places.index_select(1, self.discrete))
        return spread, log_q, width.log().flatten(1).sum(1)

    def bits_per_dimension(self, log_prob: Tensor, log_volume: Tensor) -> Tensor | None:
        """Mean bound in bits of densities in network units; None if some channels are continuous."""
        return -(log_prob + log_volume).mean() / (self.size * math.log(2)) if self.everything else None

    def _cell(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Lower edge and width of the cell of each discrete value."""
        lows, widths = [], []
        for number in self.channels:
            edges = getattr(self, f"edges_{number}").to(x)
            index = torch.searchsorted(edges[1:-1], x[:, number].contiguous(), right=True)
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
    # Places of neighbouring cells have no spectrum of their own, so the couplings are all there is.
    inner = Field(channels, space.grid)
    return coupling_chain(inner, Affine(), space.channels + condition_dim, settings)


def _context(seen: Tensor, condition: Tensor | None) -> Tensor:
    return seen if condition is None else torch.cat([seen, laid_out(condition, seen.shape[2:])], 1)
