r"""Precision, recall, density and coverage: fidelity and diversity from nearest neighbours.

With B_k(z) the ball around z that reaches to its k-th nearest neighbour in its own set,

    precision = < x_i lies in some B_k(y_j) >_i          recall   = < y_j lies in some B_k(x_i) >_j
    density   = < number of B_k(y_j) around x_i >_i / k  coverage = < some x_i lies in B_k(y_j) >_j

for generated x and real y (Naeem et al. 2020, https://arxiv.org/abs/2002.09797, eqs. 1-4; precision and recall from
Kynkaanniemi et al. 2019, https://arxiv.org/abs/1904.06991). Low precision or density: samples unlike the data. Low
recall or coverage: data without samples like them, as when modes have collapsed. Two sets of one distribution do not
give 1: two sets of 10,000 standard normal points in 1000 dimensions give about .48, .47, 1.06 and .97, so read them
beside those of a real set. Balls are closed: of samples that take few values, many lie at one distance, often at 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import Array
from pushforward.statistics.pairwise import distance_blocks, pair_of_sets, rounding_of_squares

__all__ = ["PrecisionRecallDensityCoverage", "precision_recall_density_coverage"]


@dataclass(frozen=True)
class PrecisionRecallDensityCoverage:
    """All without a unit; precision, recall and coverage in [0, 1], density at least 0 and about 1 for equal sets."""

    precision: Float[Tensor, ""]
    recall: Float[Tensor, ""]
    density: Float[Tensor, ""]
    coverage: Float[Tensor, ""]


def precision_recall_density_coverage(
    generated: Float[Array, "n *dim"], real: Float[Array, "m *dim"], k: int = 5
) -> PrecisionRecallDensityCoverage:
    """Precision, recall, density and coverage of generated samples.

    Arguments:
        generated, real: ``(n, dim)`` and ``(m, dim)``; further axes are flattened. Scale the coordinates first so that
            Euclidean distance means something. Costs (n^2 + m^2 + n m) dim operations and memory for a block of rows.
        k: neighbour that the balls reach to.

    Raises:
        UsageError: if a set has not more than ``k`` samples, or the shapes do not fit.

    Example:
        >>> real = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
        >>> collapsed = 0.01 * torch.randn(500, 2)
        >>> scores = precision_recall_density_coverage(collapsed, real)
        >>> bool(scores.precision == 1), bool(scores.recall < 0.01), bool(scores.coverage < 0.1)
        (True, True, True)
    """
    x, y = pair_of_sets(generated, real)
    if not 1 <= k < min(len(x), len(y)):
        raise UsageError(f"k={k} was given for {len(x)} and {len(y)} samples; k must be at least 1 and below both")
    radius_x, radius_y = _squared_radii(x, k), _squared_radii(y, k)
    inside = x.new_zeros(len(x), dtype=torch.long)
    recalled = torch.zeros(len(y), dtype=torch.bool, device=y.device)
    covered = torch.zeros_like(recalled)
    for rows, square in distance_blocks(x, y, squared=True):
        within_real = square <= radius_y
        inside[rows] = within_real.sum(1)
        # A real sample's nearest generated one lies in its ball when any does.
        covered |= within_real.any(0)
        recalled |= (square <= radius_x[rows, None]).any(0)
    counts = inside.to(x.dtype)
    return PrecisionRecallDensityCoverage(
        precision=(inside > 0).to(x.dtype).mean(),
        recall=recalled.to(x.dtype).mean(),
        density=counts.mean() / k,
        coverage=covered.to(x.dtype).mean(),
    )


def _squared_radii(x: Float[Tensor, "n dim"], k: int) -> Float[Tensor, " n"]:
    """Squared distance of each sample to its ``k``-th nearest neighbour, itself left out, and what rounding may add."""
    radii = x.new_empty(len(x))
    for rows, square in distance_blocks(x, x, squared=True):
        square.diagonal(rows.start).fill_(float("inf"))
        radii[rows] = square.topk(k, dim=1, largest=False, sorted=False).values.amax(1)
    return radii * (1 + 1e-12) + rounding_of_squares(x)
