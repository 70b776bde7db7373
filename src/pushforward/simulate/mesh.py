"""Projected density of particles on periodic maps.

Cloud in cell (Hockney & Eastwood 1981, section 5-2): a particle is a square of the size of a cell, whose mass goes to
the cells that it covers. Particles are projected first and painted in two dimensions, on 4 cells instead of 8.

A particle at the fractions a, b of its cell has the weight (1 - a)(1 - b) there and (1 - a) b, a (1 - b), a b in the
following cells. So it suffices to sum 1, a, b and ab over the particles of each cell, and to combine and shift the
four maps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["projected_density"]

# Particles per block, few enough that their arrays stay in the CPU cache.
_CHUNK = 65536


def projected_density(positions: NDArray[np.float32], grid: int, slabs: int = 1) -> NDArray[np.float32]:
    """1 + overdensity of particles, projected along each axis through slabs of the box.

    Arguments:
        positions: in units of the box, shape ``(3, count)``; wrapped around.
        grid: cells per side of the maps; a multiple of ``slabs``.
        slabs: equal slices of the box along the line of sight.

    Returns:
        Shape ``(3, slabs, grid, grid)``: axis of projection, slab, and the other two axes in their order. The mean over
        the slabs of an axis is one.
    """
    count, cells = positions.shape[1], slabs * grid * grid
    sums = np.zeros((4, 3, cells))
    for start in range(0, count, _CHUNK):
        shares = positions[:, start : start + _CHUNK] * np.float32(grid)
        floor = np.floor(shares)
        shares -= floor
        cell = floor.astype(np.intp)
        cell %= grid
        slab = cell // (grid // slabs)
        for axis, (row, column) in enumerate(((1, 2), (0, 2), (0, 1))):
            index = (slab[axis] * grid + cell[row]) * grid + cell[column]
            a, b = shares[row], shares[column]
            for total, weights in zip(sums, (None, a, b, a * b), strict=True):
                total[axis] += np.bincount(index, weights, minlength=cells)
    one, a, b, ab = sums.reshape(4, 3, slabs, grid, grid)
    here, right, below, across = one - a - b + ab, b - ab, a - ab, ab
    maps = here + np.roll(right, 1, -1) + np.roll(below, 1, -2) + np.roll(across, (1, 1), (-2, -1))
    # In empty cells the differences of sums can be slightly negative by rounding.
    return (np.maximum(maps, 0.0) * (cells / count)).astype(np.float32)
