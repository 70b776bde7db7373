r"""Energy distance: excess of the distances between two sets over those within each set.

    E = 2 <|X - Y|> - <|X - X'|> - <|Y - Y'|> >= 0,

zero only for equal distributions (Szekely and Rizzo 2013, https://doi.org/10.1016/j.jspi.2013.03.018): the squared
maximum mean discrepancy of the kernel -|x - y|. The means over X' leave out a sample's distance to itself, so that the
estimate is unbiased; it is negative about half the time when the distributions are equal.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from pushforward.statistics.arrays import Array
from pushforward.statistics.pairwise import distance_blocks, pair_of_sets

__all__ = ["EnergyDistance", "energy_distance"]


@dataclass(frozen=True)
class EnergyDistance:
    """Energy distance, in the samples' unit, and the mean distances that it is computed from."""

    distance: Float[Tensor, ""]
    between: Float[Tensor, ""]
    within_x: Float[Tensor, ""]
    within_y: Float[Tensor, ""]


def energy_distance(x: Float[Array, "n *dim"], y: Float[Array, "m *dim"]) -> EnergyDistance:
    """Unbiased energy distance of two sets, exact over all pairs.

    Arguments:
        x, y: ``(n, dim)`` and ``(m, dim)``, at least two samples each; further axes are flattened. Costs
            (n + m)^2 dim operations and memory for a block of rows only.

    Raises:
        UsageError, DataError: if the shapes do not fit or there are fewer than two samples.

    Example:
        >>> import torch
        >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
        >>> bool(energy_distance(x, x + 3).distance > 1)
        True
    """
    x, y = pair_of_sets(x, y, least=2)
    between = _total(x, y) / (len(x) * len(y))
    within_x = _total(x, x, diagonal=False) / (len(x) * (len(x) - 1))
    within_y = _total(y, y, diagonal=False) / (len(y) * (len(y) - 1))
    return EnergyDistance(2 * between - within_x - within_y, between, within_x, within_y)


def _total(x: Tensor, y: Tensor, diagonal: bool = True) -> Tensor:
    total = x.new_zeros(())
    for rows, block in distance_blocks(x, y):
        if not diagonal:
            # A matrix product leaves rounding errors where a sample meets itself.
            block.diagonal(rows.start).zero_()
        total += block.sum()
    return total
