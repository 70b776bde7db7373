"""Distances between all pairs of two sets, a block of rows at a time, so that memory grows with the sets' size only."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.statistics.arrays import Array, as_vectors, same_device, wide

__all__ = ["distance_blocks", "pair_of_sets", "rounding_of_squares"]

# Values of one block of the distance matrix: 32 MiB in float64.
BLOCK_VALUES = 1 << 22

# Below this many coordinates the differences themselves cost less than a matrix product, and they lose no digits.
DIRECT_DIM = 16


def pair_of_sets(x: Array, y: Array, least: int = 1) -> tuple[Tensor, Tensor]:
    """Two sets of vectors in float64 on one device, both moved so that the mean of ``y`` is the origin.

    Distances do not change, and their rounding error, which grows with the distance from the origin, is smallest there.
    """
    x, y = same_device(as_vectors(x, least), as_vectors(y, least))
    x, y = wide(x), wide(y)
    origin = y.mean(0)
    return x - origin, y - origin


def rounding_of_squares(x: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
    """Bound on the rounding error of a squared distance from each sample to a near one, as `distance_blocks` finds it.

    Two squared distances closer than this are a tie: equal samples are at a distance of zero, and samples that take few
    values (spins, counts) have many neighbours at one distance.
    """
    return 4 * torch.finfo(x.dtype).eps * x.shape[1] ** 0.5 * x.square().sum(1)


def distance_blocks(
    x: Float[Tensor, "n dim"], y: Float[Tensor, "m dim"], squared: bool = False
) -> Iterator[tuple[slice, Float[Tensor, "rows m"]]]:
    """Euclidean distances from a few rows of ``x`` to all of ``y``: ``(rows, block)`` until all rows are done.

    Arguments:
        squared: yield squared distances, which saves the root where only their order matters.
    """
    direct = x.shape[1] <= DIRECT_DIM
    y_square = None if direct else y.square().sum(1)
    size = max(1, BLOCK_VALUES // len(y))
    for start in range(0, len(x), size):
        rows = slice(start, min(start + size, len(x)))
        if y_square is None:
            distance = torch.cdist(x[rows], y, compute_mode="donot_use_mm_for_euclid_dist")
            yield rows, distance.square_() if squared else distance
        else:
            x_square = x[rows].square().sum(1, keepdim=True)
            square = torch.addmm(x_square + y_square, x[rows], y.T, alpha=-2).clamp_min_(0)
            yield rows, square if squared else square.sqrt_()
