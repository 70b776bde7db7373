r"""Density of particles on periodic maps and cubes, by cloud in cell, for simulators without derivatives.

Cloud in cell (Hockney & Eastwood 1981, section 5-2): a particle is a square or cube of the size of a cell, whose mass
goes to the cells that it covers. At the fraction u of its cell along an axis it has the weight 1 - u there and u in the
next. The weight is linear in each fraction, so the sums over the particles of each cell of all products of fractions
(1, a, b and ab in two dimensions) determine the density: along each axis in turn,

.. math:: \rho(c) = S_1(c) - S_u(c) + S_u(c - 1).

Cells are found once per particle, not once per corner. `cloud_in_cell` has gradients and reads fields at particles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["density", "projected_density"]

# Particles per block, few enough that their arrays stay in the CPU cache.
_CHUNK = 65536


def density(positions: NDArray[np.float32], grid: int) -> NDArray[np.float32]:
    """1 + overdensity of particles, shape ``(grid, grid, grid)``.

    Arguments:
        positions: in units of the box, shape ``(3, count)``; wrapped around.
        grid: cells per side.
    """
    sums = np.zeros((8, grid**3))
    for cell, shares in _cells(positions, grid):
        _add_products(sums, (cell[0] * grid + cell[1]) * grid + cell[2], shares)
    return _normalised(_spread(sums.reshape(2, 2, 2, *(grid,) * 3), 3), positions.shape[1])


def projected_density(positions: NDArray[np.float32], grid: int, slabs: int = 1) -> NDArray[np.float32]:
    """1 + overdensity of particles, projected along each axis through slabs of the box.

    Particles are projected first and painted in two dimensions, on 4 cells instead of 8.

    Arguments:
        positions: in units of the box, shape ``(3, count)``; wrapped around.
        grid: cells per side of the maps; a multiple of ``slabs``.
        slabs: equal slices of the box along the line of sight.

    Returns:
        Shape ``(3, slabs, grid, grid)``: axis of projection, slab, and the other two axes in their order. The mean over
        the slabs of an axis is one.
    """
    sums = np.zeros((3, 4, slabs * grid * grid))
    for cell, shares in _cells(positions, grid):
        slab = cell // (grid // slabs)
        for axis, (row, column) in enumerate(((1, 2), (0, 2), (0, 1))):
            index = (slab[axis] * grid + cell[row]) * grid + cell[column]
            _add_products(sums[axis], index, (shares[row], shares[column]))
    maps = [_spread(of_axis.reshape(2, 2, slabs, grid, grid), 2) for of_axis in sums]
    return np.stack([_normalised(of_axis, positions.shape[1]) for of_axis in maps])


def _cells(positions: NDArray[np.float32], grid: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Cell and fraction along each axis, shapes ``(3, block)``, of blocks of particles."""
    for start in range(0, positions.shape[1], _CHUNK):
        shares = positions[:, start : start + _CHUNK] * np.float32(grid)
        floor = np.floor(shares)
        shares -= floor
        cell = floor.astype(np.intp)
        cell %= grid
        yield cell, shares


def _add_products(
    sums: NDArray[np.float64], index: NDArray[np.intp], shares: Sequence[NDArray[np.float32]] | NDArray[np.float32]
) -> None:
    """Add every product of fractions, the last axis varying fastest, to the sums of the particles' cells."""
    products: list[NDArray[np.float32] | None] = [None]
    for share in shares:
        products = [part for each in products for part in (each, share if each is None else each * share)]
    for total, weights in zip(sums, products, strict=True):
        total += np.bincount(index, weights, minlength=len(total))


def _spread(sums: NDArray[np.float64], axes: int) -> NDArray[np.float64]:
    """Mass per cell from the sums of products, shape ``(2,) * axes + (..., *grid)``; the grid has ``axes`` axes."""
    for axis in range(-axes, 0):
        one, share = sums
        sums = one - share + np.roll(share, 1, axis)
    return sums


def _normalised(mass: NDArray[np.float64], particles: int) -> NDArray[np.float32]:
    # In empty cells the differences of sums can be slightly negative by rounding.
    return (np.maximum(mass, 0.0) * (mass.size / particles)).astype(np.float32)
