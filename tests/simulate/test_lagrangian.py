"""Displacements against exact solutions: one plane wave, two crossed waves, and linear theory."""

import numpy as np
import pytest
from scipy import fft

from pushforward.simulate import Cosmology
from pushforward.simulate.lagrangian import displacement, linear_modes
from pushforward.simulate.mesh import projected_density

GRID = 16


def modes_of(function):
    """``rfftn`` of an overdensity given as a function of the three coordinates in units of the box."""
    q = np.arange(GRID) / GRID
    return fft.rfftn(function(*np.meshgrid(q, q, q, indexing="ij")).astype(np.float32))


def lattice(particles):
    q = np.arange(particles) / particles
    return np.meshgrid(q, q, q, indexing="ij")


def test_a_plane_wave_has_the_displacement_of_zeldovich_and_no_second_order():
    """delta = A cos(2 pi x) gives Psi = -A sin(2 pi x) / (2 pi), and one dimension is exact at first order."""
    modes = modes_of(lambda x, y, z: 0.3 * np.cos(2 * np.pi * x))
    x = lattice(32)[0]
    for second in (0.0, -3 / 7):
        psi = displacement(modes, first=0.5, second=second, particles=32)
        np.testing.assert_allclose(psi[0], -0.15 * np.sin(2 * np.pi * x) / (2 * np.pi), atol=1e-7)
        np.testing.assert_allclose(psi[1:], 0, atol=1e-7)


def test_crossed_waves_have_the_second_order_of_the_closed_form():
    """phi1 = -A cos x - B cos y gives lap phi2 = AB cos x cos y and phi2 = -AB cos x cos y / 2."""
    a, b, first, second = 0.3, 0.2, 0.8, -0.27
    modes = modes_of(lambda x, y, z: a * np.cos(2 * np.pi * x) + b * np.cos(2 * np.pi * y))
    x, y, _ = (2 * np.pi * q for q in lattice(24))
    psi = displacement(modes, first=first, second=second, particles=24) * 2 * np.pi
    np.testing.assert_allclose(psi[0], -first * a * np.sin(x) + second * a * b / 2 * np.sin(x) * np.cos(y), atol=1e-6)
    np.testing.assert_allclose(psi[1], -first * b * np.sin(y) + second * a * b / 2 * np.cos(x) * np.sin(y), atol=1e-6)
    np.testing.assert_allclose(psi[2], 0, atol=1e-6)


def test_more_particles_see_the_same_displacement():
    modes = linear_modes(Cosmology(), GRID, 200.0, np.random.default_rng(0), smoothing=8.0)
    coarse, fine = (displacement(modes, first=1.0, second=-3 / 7, particles=n) for n in (GRID, 2 * GRID))
    np.testing.assert_allclose(fine[:, ::2, ::2, ::2], coarse, atol=1e-6)


def test_the_linear_field_has_the_linear_spectrum():
    box, cosmology = 400.0, Cosmology(wiggles=False)
    power = 0
    for seed in range(30):
        modes = linear_modes(cosmology, GRID, box, np.random.default_rng(seed))
        power = power + np.abs(modes) ** 2 * box**3 / GRID**6 / 30
    axes = (fft.fftfreq(GRID, 1 / GRID), fft.fftfreq(GRID, 1 / GRID), fft.rfftfreq(GRID, 1 / GRID))
    numbers = sum(np.square(np.meshgrid(*axes, indexing="ij")))
    for low, high in ((1, 4), (4, 16), (16, 64)):
        shell = (numbers >= low) & (numbers < high)
        ratio = (power[shell] / cosmology.linear_power(2 * np.pi / box * np.sqrt(numbers[shell]))).mean()
        assert ratio == pytest.approx(1, abs=5 / np.sqrt(30 * shell.sum() / 2))
    assert power[0, 0, 0] == 0


def test_small_displacements_give_the_linear_density():
    """The projection of what has hardly moved is the projection of the linear overdensity, mode by mode.

    Particles on the edge of a cell would spill to one side only, however little they move: the lattice is shifted by a
    quarter of a cell, and the shift is taken out of the phases.
    """
    grid, growth, shift = 32, 0.05, 1 / 128
    modes = linear_modes(Cosmology(), grid, 500.0, np.random.default_rng(1), smoothing=25.0)
    psi = displacement(modes, first=growth, particles=2 * grid)
    positions = np.stack([(q + shift + p).reshape(-1) for q, p in zip(lattice(2 * grid), psi, strict=True)])
    maps = projected_density(positions.astype(np.float32), grid)[:, 0]
    linear = fft.irfftn(modes, s=(grid,) * 3) * growth
    row, column = np.meshgrid(np.arange(6), np.arange(1, 6), indexing="ij")
    window = np.exp(-2j * np.pi * (row + column) * shift) * (np.sinc(row / grid) * np.sinc(column / grid)) ** 2
    for axis in range(3):
        found, expected = fft.rfft2(maps[axis] - 1)[:6, 1:6], fft.rfft2(linear.mean(axis))[:6, 1:6] * window
        assert np.linalg.norm(found - expected) < 0.02 * np.linalg.norm(expected)
