r"""Wasserstein distance: least root mean square displacement that transports one set to the other.

    W_2^2 = min_pi sum_ij pi_ij |x_i - y_j|^2,   rows of pi sum to 1/n, columns to 1/m

(Peyre and Cuturi 2019, https://arxiv.org/abs/1803.00567, eq. 2.11), solved exactly by the network simplex of POT. For
samples of one distribution it is positive and falls slowly, as n^(-1/dim) for dim > 4: read it beside the distance of
two real sets of the same sizes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.statistics.arrays import Array
from pushforward.statistics.coupling import wasserstein_sorted
from pushforward.statistics.pairwise import distance_blocks, pair_of_sets

__all__ = ["Wasserstein2", "wasserstein2"]

# The simplex of 10,000 points against 10,000 takes a few million pivots; POT's default stops at 100,000.
MOST_PIVOTS = 10**9


@dataclass(frozen=True)
class Wasserstein2:
    """W_2 in the samples' unit."""

    distance: Float[Tensor, ""]


def wasserstein2(x: Float[Array, "n *dim"], y: Float[Array, "m *dim"]) -> Wasserstein2:
    """Exact 2-Wasserstein distance of two sets; the sizes may differ.

    Arguments:
        x, y: ``(n, dim)`` and ``(m, dim)``; further axes are flattened. Memory is 8 n m
            bytes; 2,000, 5,000 and 10,000 points per set take about 0.4, 4 and 18 seconds on one core.

    Raises:
        DataError: if a coordinate is not finite.
        UsageError: if the shapes do not fit or the solver did not reach the optimum.

    Example:
        >>> x = torch.randn(100, 2)
        >>> bool((wasserstein2(x, x + torch.tensor([3.0, 4.0])).distance - 5).abs() < 1e-6)
        True
    """
    x, y = pair_of_sets(x, y)
    if not bool(x.isfinite().all() and y.isfinite().all()):
        raise DataError("a sample holds a value that is not finite; optimal transport needs finite coordinates")
    if x.shape[1] == 1:
        square = wasserstein_sorted(x.T.sort(1).values, y.T.sort(1).values, 2)[0]
        return Wasserstein2(square.sqrt())
    return Wasserstein2(torch.tensor(_transport_cost(x, y), dtype=x.dtype, device=x.device).clamp_min(0).sqrt())


def _transport_cost(x: Tensor, y: Tensor) -> float:
    import ot

    cost = torch.cat([block for _, block in distance_blocks(x, y, squared=True)]).cpu().double().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value, log = ot.emd2([], [], cost, numItermax=MOST_PIVOTS, log=True)
    if log["warning"] is not None:
        raise UsageError(f"the optimal transport of {len(x)} to {len(y)} samples was not solved: {log['warning']}")
    return float(value)
