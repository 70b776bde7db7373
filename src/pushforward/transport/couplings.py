r"""Which noise a data point is joined to.

Any pairing of a batch's data with its noise keeps both distributions, and so does the flow that is learnt from it.
Independent pairs are the simplest. The pairing of least total squared distance makes the paths nearly disjoint: they
are straighter, and the regression target varies less at a given point. Between equally many equally weighted points an
optimal plan is a permutation, so nothing is drawn twice and nothing is left out. The entropic plan (Sinkhorn) spreads
each data point over several near noises: with the regularisation epsilon = 2 sigma^2 it is the static Schroedinger
bridge of Brownian motion with variance sigma^2 t.

With conditions c the pairing must not mix them: the flow of a condition starts from standard normal noise, and has to
have been trained on it. A pairing that ignores c sends each condition the noise that lies nearest to its data, and
samples of the trained flow are then biased. So each noise row carries the condition of the row it came with, and an
exchange between rows pays for the difference,

    cost_ij = |x_i - eps_j|^2 + w s |c_i - c_j|^2,      s = the standard deviation of |x_i - eps_j|^2 in the batch.

Rows exchange their noise only where their conditions differ by about 1/sqrt(w) or less, so the noise of a condition is
standard normal up to what the data change over that distance; labels, whose codes are far apart in this unit, never
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
# The energy of the learned paths hardly falls beyond 64 pairs, while the time of an exact plan grows with their cube.
BLOCK = 256


def optimal_transport(
    data: Float[Tensor, "batch *shape"],
    noise: Float[Tensor, "batch *shape"],
    condition: Float[Tensor, "batch features"] | None = None,
    condition_weight: float = CONDITION_WEIGHT,
    block: int = BLOCK,
) -> Float[Tensor, "batch *shape"]:
    """The noise in the order that minimises the total cost: row i of the result belongs to row i of ``data``.

    Exact within each block of rows.

    Arguments:
        data, noise: of equally many rows.
        condition: of the rows of both; None if there is none.
        condition_weight: w, in inverse squared units of the conditions. Large keeps conditions apart.
        block: rows that are paired among themselves; a batch of more is divided evenly.

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
    """For each row of ``data`` one row of ``noise``, drawn from the entropic plan; some rows are drawn more than once.

    Arguments:
        data, noise, condition, condition_weight, block: see `optimal_transport`.
        uniform: numbers in [0, 1) to draw with.
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
    """The cost of joining row i of ``data`` to row j of ``noise``, each with its row of ``condition``."""
    with torch.no_grad():
        cost = torch.cdist(data.flatten(1), noise.flatten(1)).square_()
        return with_conditions(cost, condition, condition_weight)


def with_conditions(
    cost: Float[Tensor, "n n"], condition: Float[Tensor, "n features"] | None, condition_weight: float
) -> Float[Tensor, "n n"]:
    """Add what an exchange pays for the difference of conditions."""
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
        raise UsageError(
            f"a coupling pairs equally many rows, but was given {len(data)} of data, {len(noise)} of noise"
        )
    if block < 1:
        raise UsageError(f"a coupling pairs at least 1 row, not block={block}")
