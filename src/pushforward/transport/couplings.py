r"""Couplings: the pairing of data with noise in a batch.

Any pairing preserves both distributions, and so does the flow learnt from it. Independent pairs are the simplest. The
pairing of least total squared distance makes the trajectories nearly disjoint: they are straighter, and the regression
target varies less at a given point. Between equally many equally weighted points an optimal plan is a permutation, so
every noise is used exactly once. The entropic plan (Sinkhorn) spreads each data point over several nearby noises: with
the regularisation epsilon = 2 sigma^2 it is the static Schroedinger bridge of Brownian motion with variance sigma^2 t.

The pairing must not mix conditions c: the flow of each condition starts from standard normal noise, and must be trained
on it. A pairing that ignores c assigns each condition the noise nearest to its data, which biases the samples of the
trained flow. So each noise row carries the condition of the row it came with, and an exchange between rows costs extra,

    cost_ij = |x_i - eps_j|^2 + w s |c_i - c_j|^2,      s = the standard deviation of |x_i - eps_j|^2 in the batch.

Rows exchange their noise only if their conditions differ by about 1/sqrt(w) or less, so the noise of a condition is
standard normal up to the change of the data over that distance; labels, whose codes are far apart in this unit, never
mix, and their pairing is unbiased.

References:
    Tong et al. 2024, https://arxiv.org/abs/2302.00482; Pooladian et al. 2023, https://arxiv.org/abs/2304.14772
    Cheng & Schwing 2025, https://arxiv.org/abs/2503.10636 (conditions)
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.transport.assignment import entropic_plan, least_cost_assignment

__all__ = ["BLOCK", "CONDITION_WEIGHT", "optimal_transport", "pairwise_cost", "sinkhorn", "with_conditions"]

CONDITION_WEIGHT = 100.0
# The energy of the learnt trajectories hardly falls beyond 64 pairs, and the time of an exact plan grows as their cube.
BLOCK = 256


def optimal_transport(
    data: Float[Tensor, "batch *shape"],
    noise: Float[Tensor, "batch *shape"],
    condition: Float[Tensor, "batch features"] | None = None,
    condition_weight: float = CONDITION_WEIGHT,
    block: int = BLOCK,
) -> Float[Tensor, "batch *shape"]:
    """Noise reordered to minimise the total cost: row i of the result is paired with row i of ``data``.

    Exact within each block of rows.

    Arguments:
        data, noise: with equally many rows.
        condition: of each row of both; None if there is none.
        condition_weight: w, in inverse squared units of the conditions. A large value keeps conditions apart.
        block: rows paired among themselves; a larger batch is divided evenly.

    Raises:
        UsageError: if the numbers of rows differ, or the block is empty.

    >>> data, noise = torch.tensor([[0.0], [5.0]]), torch.tensor([[4.0], [1.0]])
    >>> optimal_transport(data, noise).flatten().tolist()
    [1.0, 4.0]
    """
    _check(data, noise, block)
    order = [
        start + least_cost_assignment(pairwise_cost(x, eps, c, condition_weight))
        for start, x, eps, c in _blocks(data, noise, condition, block)
    ]
    return noise[torch.cat(order).to(noise.device)]


def sinkhorn(
    data: Float[Tensor, "batch *shape"],
    noise: Float[Tensor, "batch *shape"],
    uniform: Float[Tensor, " batch"],
    condition: Float[Tensor, "batch features"] | None = None,
    regularisation: float = 0.1,
    condition_weight: float = CONDITION_WEIGHT,
    block: int = BLOCK,
) -> Float[Tensor, "batch *shape"]:
    """One row of ``noise`` per row of ``data``, drawn from the entropic plan; a row may be drawn more than once.

    Arguments:
        data, noise, condition, condition_weight, block: see `optimal_transport`.
        uniform: random numbers in [0, 1).
        regularisation: epsilon of min <plan, cost> - epsilon entropy(plan), in squared units of the data.

    Raises:
        UsageError: if the numbers of rows differ, the block is empty, or the regularisation is not positive.
    """
    _check(data, noise, block)
    if regularisation <= 0:
        raise UsageError(f"the regularisation of an entropic plan must be positive, not {regularisation}")
    chosen = []
    for start, x, eps, c in _blocks(data, noise, condition, block):
        cumulative = entropic_plan(pairwise_cost(x, eps, c, condition_weight), regularisation).cumsum(1)
        rows = uniform[start : start + len(cumulative), None].to(cumulative) * cumulative[:, -1:]
        index = torch.searchsorted(cumulative, rows, right=True).squeeze(1)
        chosen.append(start + index.clamp(max=len(cumulative) - 1))
    return noise[torch.cat(chosen).to(noise.device)]


def pairwise_cost(
    data: Float[Tensor, "n *shape"],
    noise: Float[Tensor, "m *shape"],
    condition: Float[Tensor, "n features"] | None = None,
    condition_weight: float = CONDITION_WEIGHT,
) -> Float[Tensor, "n m"]:
    """Cost of pairing row i of ``data`` with row j of ``noise``, each with its row of ``condition``."""
    with torch.no_grad():
        cost = torch.cdist(data.flatten(1), noise.flatten(1)).square_()
        return with_conditions(cost, condition, condition_weight)


def with_conditions(
    cost: Float[Tensor, "n n"], condition: Float[Tensor, "n features"] | None, condition_weight: float
) -> Float[Tensor, "n n"]:
    """Add the extra cost of an exchange between rows of different conditions."""
    if condition is None or len(cost) == 1:
        return cost
    return cost + condition_weight * cost.std() * torch.cdist(condition, condition).square()


def _blocks(
    data: Tensor, noise: Tensor, condition: Tensor | None, block: int
) -> list[tuple[int, Tensor, Tensor, Tensor | None]]:
    """First row, data, noise and condition of each part of the batch."""
    parts = torch.arange(len(data)).tensor_split(-(-len(data) // block))
    rows = [slice(int(part[0]), int(part[-1]) + 1) for part in parts]
    return [(r.start, data[r], noise[r], None if condition is None else condition[r]) for r in rows]


def _check(data: Tensor, noise: Tensor, block: int) -> None:
    if len(data) != len(noise):
        raise UsageError(f"a coupling needs equally many rows of data and noise, not {len(data)} and {len(noise)}")
    if block < 1:
        raise UsageError(f"block of a coupling must be at least 1, not {block}")
