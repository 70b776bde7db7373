r"""Pair energies of particles, :math:`U(x) = \sum_{i<j} v(|x_i - x_j|)`, without periodic boundaries."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["pair_distances", "pair_energy", "pair_gradient"]


def pair_distances(x: Float[Tensor, "batch count dim"]) -> Float[Tensor, "batch pairs"]:
    """Distances |x_i - x_j| of all pairs i < j, ``pairs = count * (count - 1) / 2``, in the unit of ``x``."""
    return _separations(x).square().sum(1).sqrt().T


def pair_energy(x: Float[Tensor, "batch count dim"], potential: Callable[[Tensor], Tensor]) -> Float[Tensor, "batch"]:
    """Sum over pairs of ``potential``, an elementwise function of the squared distance r^2.

    Powers of r^2 avoid the root, which has no gradient where two particles coincide.
    """
    return potential(_separations(x).square().sum(1)).sum(0)


def pair_gradient(
    x: Float[Tensor, "batch count dim"], slope: Callable[[Tensor], Tensor]
) -> Float[Tensor, "batch count dim"]:
    """Gradient of `pair_energy` from the derivative of its potential with respect to r^2: 2 v'(r^2) (x_i - x_j)."""
    separations = _separations(x)
    forces = 2 * slope(separations.square().sum(1)).unsqueeze(1) * separations
    first, second = _pairs(x.shape[1], x.device)
    gradient = forces.new_zeros(*x.shape[1:], len(x))
    gradient.index_add_(0, first, forces).index_add_(0, second, forces, alpha=-1)
    return gradient.permute(2, 0, 1)


def _separations(x: Tensor) -> Tensor:
    """x_i - x_j, shape ``(pairs, dim, batch)``; with the batch last, whole rows are gathered in order."""
    rows = x.permute(1, 2, 0).contiguous()
    first, second = _pairs(x.shape[1], x.device)
    return rows[first] - rows[second]


@lru_cache
def _pairs(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    first, second = torch.triu_indices(count, count, 1, device=device)
    return first, second
