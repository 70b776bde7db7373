"""Nearest training members, searched among all a block at a time."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.statistics.arrays import Array
from pushforward.statistics.pairwise import distance_blocks, pair_of_sets

__all__ = ["nearest"]


def nearest(samples: Array, training: Tensor) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"]]:
    """Distance of each sample to its nearest training member, and the index of that member."""
    x, y = pair_of_sets(samples, training)
    distance, index = x.new_empty(len(x)), torch.empty(len(x), dtype=torch.long, device=x.device)
    for rows, square in distance_blocks(x, y, squared=True):
        distance[rows], index[rows] = square.min(1)
    # The matrix product rounds at 10^-16 of the squared norm: the smallest distances are recomputed exactly.
    return torch.cat([(x[some] - y[index[some]]).norm(dim=1) for some in torch.arange(len(x)).split(1024)]), index
