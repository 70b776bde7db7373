r"""Optimal transport between periodic fields and noise, up to translations.

On a periodic grid, white noise shifted by any number of cells is equally likely, and so are the data if their
statistics are homogeneous. The squared distance of a field and a shifted noise

    |x - T_s eps|^2 = |x|^2 + |eps|^2 - 2 (x * eps)(s),        (x * eps)(s) = sum_r x(r) eps(r - s),

is a cross-correlation, which one FFT gives at all shifts s at once. Shifting each noise to its best position makes the
trajectories straighter without loss of diversity; the assignment of least total distance may follow.

The shifted noise is white over all data because the best shift moves with the data. This requires an ensemble in which
every translation of a member is as likely as the member.

References:
    Klein et al. 2023, https://arxiv.org/abs/2306.15030 (transport up to a symmetry)
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.transport.assignment import least_cost_assignment
from pushforward.transport.couplings import BLOCK, CONDITION_WEIGHT, with_conditions

__all__ = ["best_shift", "moved", "translated_transport"]


def translated_transport(
    data: Float[Tensor, "batch channels *grid"],
    noise: Float[Tensor, "batch channels *grid"],
    condition: Float[Tensor, "batch features"] | None = None,
    condition_weight: float = CONDITION_WEIGHT,
    block: int = BLOCK,
) -> Float[Tensor, "batch channels *grid"]:
    """Noise shifted and reordered to minimise the total squared distance; row i is paired with row i of ``data``.

    Arguments:
        data, noise: fields on one periodic grid; all channels of a noise shift together.
        condition, condition_weight, block: see `optimal_transport`.

    Raises:
        UsageError: if the shapes differ or have no grid.
    """
    _check(data, noise)
    with torch.no_grad():
        parts = []
        for rows in torch.arange(len(data), device=data.device).tensor_split(-(-len(data) // block)):
            x, eps = data[rows], noise[rows]
            correlation = _correlations(x, eps).flatten(2)
            best, cell = correlation.max(2)
            cost = x.flatten(1).square().sum(1)[:, None] + eps.flatten(1).square().sum(1) - 2 * best
            cost = with_conditions(cost, None if condition is None else condition[rows], condition_weight)
            order = least_cost_assignment(cost).to(data.device)
            chosen = cell[torch.arange(len(rows), device=data.device), order]
            parts.append(moved(eps[order], _unravel(chosen, data.shape[2:])))
        return torch.cat(parts)


def best_shift(
    data: Float[Tensor, "batch channels *grid"], noise: Float[Tensor, "batch channels *grid"]
) -> Int[Tensor, "batch axes"]:
    """Shift in cells along each axis that brings each noise nearest to its field.

    Raises:
        UsageError: if the shapes differ or have no grid.
    """
    _check(data, noise)
    axes = tuple(range(2, data.dim()))
    spectrum = torch.fft.rfftn(data, dim=axes) * torch.fft.rfftn(noise, dim=axes).conj()
    correlation = torch.fft.irfftn(spectrum.sum(1), s=data.shape[2:], dim=[axis - 1 for axis in axes])
    return _unravel(correlation.flatten(1).argmax(1), data.shape[2:])


def moved(x: Float[Tensor, "batch channels *grid"], shift: Int[Tensor, "batch axes"]) -> Tensor:
    """Each field shifted around its periodic grid by its own number of cells along each axis."""
    index: list[Tensor] = [torch.arange(len(x), device=x.device).view(-1, *[1] * (x.dim() - 1))]
    index.append(torch.arange(x.shape[1], device=x.device).view(-1, *[1] * (x.dim() - 2)))
    for axis, cells in enumerate(x.shape[2:]):
        place = torch.arange(cells, device=x.device) - shift[:, axis, None]
        index.append((place % cells).view(len(x), *[1] * (axis + 1), cells, *[1] * (x.dim() - 3 - axis)))
    return x[tuple(index)]


def _correlations(x: Tensor, eps: Tensor) -> Float[Tensor, "n n *grid"]:
    """(x_i * eps_j)(s), summed over channels."""
    grid = x.shape[2:]
    axes = tuple(range(2, x.dim()))
    spectrum = torch.einsum("ic...,jc...->ij...", torch.fft.rfftn(x, dim=axes), torch.fft.rfftn(eps, dim=axes).conj())
    return torch.fft.irfftn(spectrum, s=grid, dim=axes)


def _unravel(cell: Tensor, grid: torch.Size) -> Int[Tensor, "batch axes"]:
    strides = [math.prod(grid[axis + 1 :]) for axis in range(len(grid))]
    return torch.stack([cell // stride % cells for stride, cells in zip(strides, grid, strict=True)], dim=1)


def _check(data: Tensor, noise: Tensor) -> None:
    if data.shape != noise.shape or data.dim() < 3:
        raise UsageError(
            "translations need data and noise of one shape (batch, channels, *grid), not "
            f"{tuple(data.shape)} and {tuple(noise.shape)}"
        )
