"""Nearest members of a set, searched among all a block at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.statistics.arrays import Array, wide
from pushforward.statistics.pairwise import distance_blocks, pair_of_sets

__all__ = ["NearestMembers", "nearest_members"]


@dataclass(frozen=True)
class NearestMembers:
    """The nearest member of a set to each of n samples.

    Attributes:
        distance: distance to it; 0 if the sample equals it.
        second: distance to the next nearest; infinite if the set has one member.
        index: its number in the set.
    """

    distance: Float[Tensor, " n"]
    second: Float[Tensor, " n"]
    index: Int[Tensor, " n"]

    def shifted(self, start: int) -> NearestMembers:
        """The same members in a set in which they begin at number ``start``."""
        return replace(self, index=self.index + start)

    def joined(self, other: NearestMembers) -> NearestMembers:
        """The nearest of two parts of a set."""
        closer = other.distance < self.distance
        farther = torch.maximum(self.distance, other.distance)
        return NearestMembers(
            torch.minimum(self.distance, other.distance),
            torch.minimum(farther, torch.minimum(self.second, other.second)),
            torch.where(closer, other.index, self.index),
        )


def nearest_members(samples: Float[Array, "n *dim"], members: Float[Array, "t *dim"]) -> NearestMembers:
    """The nearest member to each sample by Euclidean distance; a sample that equals one to single precision is at 0.

    Raises:
        UsageError, DataError: if the shapes do not fit, or a set is empty.

    Example:
        >>> found = nearest_members([[0.0, 1.0], [2.0, 2.0]], [[2.0, 2.0], [0.0, 0.0]])
        >>> found.distance.tolist(), found.index.tolist()
        ([1.0, 0.0], [1, 0])
    """
    x, y = pair_of_sets(samples, members)
    squares, index = x.new_full((2, len(x)), torch.inf), torch.empty(len(x), dtype=torch.long, device=x.device)
    for rows, square in distance_blocks(x, y, squared=True):
        least = square.topk(min(2, len(y)), dim=1, largest=False)
        squares[: least.values.shape[1], rows], index[rows] = least.values.T, least.indices[:, 0]
    # The matrix product rounds at 10^-16 of the squared norm: the smallest distances are recomputed exactly.
    blocks = torch.arange(len(x), device=x.device).split(1024)
    distance = torch.cat([(x[some] - y[index[some]]).norm(dim=1) for some in blocks])
    # Samples that passed through single precision on their way equal their originals to its rounding.
    rounding = 4 * torch.finfo(torch.float32).eps * wide(torch.as_tensor(samples)).flatten(1).norm(dim=1).to(x.device)
    return NearestMembers(torch.where(distance <= rounding, 0.0, distance), squares[1].sqrt(), index)
