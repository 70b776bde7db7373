"""Painting against a loop over particles."""

from itertools import product

import numpy as np
import pytest

from pushforward.simulate.mesh import projected_density


def painted_one_by_one(positions, grid, slabs):
    maps = np.zeros((3, slabs, grid, grid))
    for particle in positions.T.astype(float) % 1:
        for axis in range(3):
            slab = int(particle[axis] * slabs)
            place = np.delete(particle, axis) * grid
            base = np.floor(place).astype(int)
            for corner in product((0, 1), repeat=2):
                weight = np.prod(np.abs(1 - np.array(corner) - (place - base)))
                maps[(axis, slab, *(base + corner) % grid)] += weight
    return maps * slabs * grid**2 / positions.shape[1]


@pytest.mark.parametrize("slabs", [1, 2, 4])
def test_maps_are_those_of_a_loop_over_particles(slabs):
    positions = np.random.default_rng(0).random((3, 300), dtype=np.float32) * 0.999 - 0.3
    maps = projected_density(positions, 8, slabs)
    np.testing.assert_allclose(maps, painted_one_by_one(positions, 8, slabs), atol=1e-4)
    assert (maps >= 0).all()
    np.testing.assert_allclose(maps.mean((1, 2, 3)), 1, rtol=1e-6)


def test_a_lattice_is_uniform():
    q = np.arange(16, dtype=np.float32) / 16
    positions = np.stack(np.meshgrid(q, q, q)).reshape(3, -1)
    np.testing.assert_allclose(projected_density(positions, 8, 2), 1, rtol=1e-6)


def test_a_particle_at_the_edge_is_wrapped():
    positions = np.array([[-1e-9, 1.0], [0.5, 2.25], [0.25, -0.75]], dtype=np.float32)
    maps = projected_density(positions, 4, 4)
    assert np.isfinite(maps).all()
    np.testing.assert_allclose(maps.sum((1, 2, 3)), 4 * 16)


def test_shifting_particles_by_a_cell_shifts_the_maps():
    positions = np.random.default_rng(1).integers(0, 2**20, (3, 2000)).astype(np.float32) / 2**20
    moved = (positions + np.float32(1 / 8)) % 1
    before, after = projected_density(positions, 8, 8), projected_density(moved, 8, 8)
    np.testing.assert_allclose(after, np.roll(before, (1, 1, 1), (1, 2, 3)), atol=1e-4)
