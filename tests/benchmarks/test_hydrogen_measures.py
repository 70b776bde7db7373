"""The measures of the benchmark on hydrogen: the lognormal rival, voids, and the densities that hold the mass."""

import numpy as np
import pytest
from benchmarks.hydrogen import density_bins, void_radii

from benchmarks import lognormal


def correlated(count, seed, grid=16):
    """Lognormal cubes with a red spectrum and unit variance of the logarithm."""
    axis = np.fft.fftfreq(grid, 1 / grid)
    square = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[: grid // 2 + 1] ** 2
    white = np.fft.rfftn(np.random.default_rng(seed).standard_normal((count, *(grid,) * 3)), axes=(1, 2, 3))
    g = np.fft.irfftn(white / (1 + square), s=(grid,) * 3, axes=(1, 2, 3))
    return np.exp(g / g.std())


def test_the_lognormal_model_has_the_mean_and_the_spectrum_of_what_it_is_fitted_to(monkeypatch):
    monkeypatch.setattr(lognormal, "SAMPLES", 40)
    cubes = correlated(80, 0)
    model = lognormal.Lognormal(cubes)
    made = model.sample(80, np.random.default_rng(9))
    assert made.min() > 0
    assert made.mean() == pytest.approx(cubes.mean(), rel=0.05)
    ratio = model._spectrum(made)[0, 0, 1:8] / model._spectrum(cubes)[0, 0, 1:8]
    np.testing.assert_allclose(ratio, 1, atol=0.2)


def test_the_void_of_an_empty_ball_has_its_radius():
    """A ball of radius 5 about the corner, which wraps around, in a dense cube of 25 Mpc/h."""
    axis = np.minimum(np.arange(32), 32 - np.arange(32))
    square = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis**2
    radii = void_radii(np.where(square < 25, 0.0, 1.0), 0.5)
    assert radii.tolist() == pytest.approx([5 * 25 / 32])


def test_the_bins_hold_ninety_nine_hundredths_of_the_mass():
    x = np.exp(np.random.default_rng(0).standard_normal((4, 20_000)))
    edges = density_bins(x)
    assert x[(x >= edges[0]) & (x <= edges[-1])].sum() / x.sum() == pytest.approx(0.99, abs=0.002)
    np.testing.assert_allclose(np.diff(np.log10(edges)), 0.25, atol=0.03)
