r"""Optimal transport between particles and noise, up to rotations, reflections and permutations.

If a density has these symmetries, noise moved by them is noise again, and each pair may be brought as close together as
they allow,

.. math:: c(x, \epsilon) = \min_{R \in O(d),\, \pi} \sum_i |x_i - R\, \epsilon_{\pi(i)}|^2 .

The pairs are chosen by a bound that needs neither R nor the permutation: with the singular values :math:`s_k` of the
(particles, d) matrices,

.. math:: c(x, \epsilon) \ge \sum_k \big(s_k(x) - s_k(\epsilon)\big)^2 ,

by von Neumann's trace inequality. A pair is then aligned: for each of the :math:`2^d` ways to match principal axes, the
best permutation (Jonker and Volgenant), then alternately the best rotation (Kabsch) and permutation. The total cost
never rises; the optimum is reached if one of the starts leads to it.

References:
    Klein, Kraemer & Noe 2023, https://arxiv.org/abs/2306.15030 (transport up to symmetries)
    Kabsch 1976, https://doi.org/10.1107/S0567739476001873; Mirsky 1975, https://doi.org/10.1007/BF01647331
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.transport.assignment import least_cost_assignment
from pushforward.transport.couplings import BLOCK, CONDITION_WEIGHT, with_conditions

__all__ = ["aligned", "aligned_transport"]


def aligned_transport(
    data: Float[Tensor, "batch count dim"],
    noise: Float[Tensor, "batch count dim"],
    condition: Float[Tensor, "batch features"] | None = None,
    condition_weight: float = CONDITION_WEIGHT,
    block: int = BLOCK,
    species: Sequence[str] = (),
) -> Float[Tensor, "batch count dim"]:
    """Noise reordered for a small total cost, each row aligned to its row of ``data``.

    Arguments:
        data, noise: configurations about a common origin.
        condition, condition_weight, block: see `optimal_transport`.
        species: of each particle; only particles of one species are exchanged. Empty: all are identical.

    Raises:
        UsageError: if the shapes differ or are not those of particles.
    """
    _check(data, noise)
    with torch.no_grad():
        parts = []
        for rows in torch.arange(len(data), device=data.device).tensor_split(-(-len(data) // block)):
            bound = torch.cdist(torch.linalg.svdvals(data[rows]), torch.linalg.svdvals(noise[rows])).square()
            bound = with_conditions(bound, None if condition is None else condition[rows], condition_weight)
            order = least_cost_assignment(bound).to(data.device)
            parts.append(aligned(data[rows], noise[rows][order], species))
        return torch.cat(parts)


def aligned(
    data: Float[Tensor, "batch count dim"],
    noise: Float[Tensor, "batch count dim"],
    species: Sequence[str] = (),
    rounds: int = 2,
) -> Float[Tensor, "batch count dim"]:
    """Rotate, reflect and permute each row of noise towards its row of ``data``.

    Arguments:
        data, noise: configurations about a common origin.
        species: see `aligned_transport`.
        rounds: number of alternating permutations and rotations.

    Raises:
        UsageError: if the shapes differ or are not those of particles.

    >>> x = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]])
    >>> aligned(x, torch.tensor([[[0.0, -2.0], [0.0, 2.0]]])).abs()
    tensor([[[2., 0.],
             [2., 0.]]])
    """
    _check(data, noise)
    dim = data.shape[2]
    apart = _forbidden(species, data)
    (axes, wanted) = (torch.linalg.svd(x, full_matrices=True)[2] for x in (noise, data))
    signs = torch.tensor(list(product((1.0, -1.0), repeat=dim)), dtype=data.dtype, device=data.device)
    starts = torch.einsum("bki,sk,bkj->bsij", axes, signs, wanted)
    candidates = torch.einsum("bni,bsij->bsnj", noise, starts)
    permuted = _permuted(data[:, None].expand_as(candidates).flatten(0, 1), candidates.flatten(0, 1), apart)
    permuted = permuted.unflatten(0, candidates.shape[:2])
    best = (permuted - data[:, None]).square().sum((2, 3)).argmin(1)
    moved = permuted[torch.arange(len(data), device=data.device), best]
    for _ in range(rounds - 1):
        moved = _permuted(data, _turned(data, moved), apart)
    return _turned(data, moved)


def _turned(data: Tensor, noise: Tensor) -> Tensor:
    """The noise after the rotation or reflection that minimises its distance to the data."""
    left, _, right = torch.linalg.svd(noise.mT @ data)
    return noise @ (left @ right)


def _permuted(data: Tensor, noise: Tensor, apart: Tensor) -> Tensor:
    """The noise with its particles permuted to the least squared distance to those of the data."""
    costs = (torch.cdist(data, noise).square() + apart).cpu().double().numpy()
    order = np.stack([linear_sum_assignment(cost)[1] for cost in costs])
    index = torch.from_numpy(order).to(noise.device)
    return noise.gather(1, index[..., None].expand_as(noise))


def _forbidden(species: Sequence[str], like: Tensor) -> Tensor:
    """Cost (count, count) that rules out an exchange between species."""
    names = sorted(set(species))
    number = torch.tensor([names.index(name) for name in species] or [0], device=like.device)
    size = 8 * like.shape[1] * like.square().sum((1, 2)).max() + 1e6
    return size * (number[:, None] != number)


def _check(data: Tensor, noise: Tensor) -> None:
    if data.shape != noise.shape or data.dim() != 3:
        raise UsageError(
            "alignment needs data and noise of one shape (batch, count, dim), not "
            f"{tuple(data.shape)} and {tuple(noise.shape)}"
        )
