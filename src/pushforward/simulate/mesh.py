"""Particles painted on periodic maps.

Cloud in cell (Hockney & Eastwood 1981, section 5-2): a particle is a square of the size of a cell, and each cell
receives the share that it covers. Particles are projected first and painted in two dimensions, 4 shares instead of 8.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["projected_density"]

# Particles painted at a time: few enough that all their intermediate arrays stay in the processor's cache.
_CHUNK = 16384


def projected_density(positions: NDArray[np.float32], grid: int, slabs: int) -> NDArray[np.float32]:
    """1 + overdensity of particles, projected along each axis through slabs of the box.

    Arguments:
        positions: in units of the box, shape ``(3, count)``; wrapped around.
        grid: cells a side of the maps; a multiple of ``slabs``.
        slabs: equal slices of the box along the line of sight.

    Returns:
        Shape ``(3, slabs, grid, grid)``: axis of projection, slab, and the other two axes in their order. The mean over
        the slabs of an axis is one.
    """
    count = positions.shape[1]
    maps = torch.zeros(3, slabs * grid * grid)
    per_slab = grid // slabs
    for start in range(0, count, _CHUNK):
        scaled = torch.from_numpy(positions[:, start : start + _CHUNK]) * grid
        floor = scaled.floor()
        share = scaled - floor
        # A negative number just below zero can round up to the whole grid: the remainder brings it back.
        cell = floor.to(torch.int32).remainder_(grid)
        following = (cell + 1).remainder_(grid)
        for axis in range(3):
            row, column = (i for i in range(3) if i != axis)
            slab = (cell[axis] // per_slab) * (grid * grid)
            both = share[row] * share[column]
            near, far = slab + cell[row] * grid, slab + following[row] * grid
            flat = maps[axis]
            flat.index_add_(0, near + cell[column], 1 - share[row] - share[column] + both)
            flat.index_add_(0, near + following[column], share[column] - both)
            flat.index_add_(0, far + cell[column], share[row] - both)
            flat.index_add_(0, far + following[column], both)
    return (maps * (slabs * grid * grid / count)).view(3, slabs, grid, grid).numpy()
