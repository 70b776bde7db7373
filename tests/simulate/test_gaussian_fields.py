"""Gaussian fields: their spectrum, density and entropy are exact."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from pushforward.errors import UsageError
from pushforward.simulate import simulate


@pytest.mark.parametrize("dim", [2, 3])
def test_every_mode_has_the_power_that_is_claimed(dim):
    """<|delta_k|^2> V / N^2 = P(k) for each mode, within the scatter of its mean."""
    count, grid, box = 400, 8, 3.0
    made = simulate("gaussian-field", count, seed=1, grid=grid, box=box, dim=dim, slope=-1.5, cutoff=0.8)
    axes = tuple(range(1, dim + 1))
    power = (np.abs(np.fft.fftn(made.x[:, 0], axes=axes)) ** 2).mean(0) * box**dim / grid ** (2 * dim)
    axis = 2 * np.pi * np.fft.fftfreq(grid, box / grid)
    k = np.sqrt(sum(np.square(np.meshgrid(*[axis] * dim))))
    ratio = power / made.exact.power_spectrum(k)
    assert np.abs(ratio - 1).max() < 5 * np.sqrt(2 / count)
    assert ratio.mean() == pytest.approx(1, abs=5 * np.sqrt(2 / count / ratio.size))


def test_the_spectrum_is_a_power_law_with_a_cutoff():
    exact = simulate("gaussian-field", 1, grid=64, box=2.0, slope=-2.5, cutoff=0.4).exact
    k, cutoff = np.array([10.0, 20.0]), 0.4 * np.pi * 32
    power = exact.power_spectrum(k) / np.exp(-((k / cutoff) ** 2))
    assert power[1] / power[0] == pytest.approx(2**-2.5)


def test_the_cells_have_the_standard_deviation_that_was_asked_for():
    made = simulate("gaussian-field", 500, grid=16, std=3.0)
    axis = np.fft.fftfreq(16, 1 / 16) * 2 * np.pi
    total = made.exact.power_spectrum(np.hypot(*np.meshgrid(axis, axis))).sum()
    assert total == pytest.approx(9.0), "sum_k P(k) / V is the variance of a cell"
    assert made.x.std() == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize("dim", [2, 3])
def test_the_density_is_that_of_the_covariance_matrix_of_the_cells(dim):
    """The covariance is built cell by cell from the spectrum, xi(r) = 1/V sum_k P(k) cos(k r), and given to scipy."""
    grid, box = 4, 1.7
    made = simulate("gaussian-field", 6, grid=grid, box=box, dim=dim, slope=-1.0, cutoff=1.0)
    cells = np.stack(np.meshgrid(*[np.arange(grid)] * dim, indexing="ij"), -1).reshape(-1, dim) * box / grid
    waves = np.stack(np.meshgrid(*[np.fft.fftfreq(grid, 1 / grid)] * dim, indexing="ij"), -1).reshape(-1, dim)
    waves = waves * 2 * np.pi / box
    power = made.exact.power_spectrum(np.linalg.norm(waves, axis=1))
    apart = cells[:, None] - cells
    covariance = (np.cos(apart @ waves.T) * power).sum(-1) / box**dim
    normal = multivariate_normal(np.zeros(len(cells)), covariance)
    np.testing.assert_allclose(made.exact.log_prob(made.x), normal.logpdf(made.x.reshape(6, -1)), rtol=1e-6)
    assert made.exact.entropy == pytest.approx(normal.entropy(), rel=1e-8)


def test_the_mean_negative_log_density_is_the_entropy():
    made = simulate("gaussian-field", 400, seed=4, grid=32)
    logs = made.exact.log_prob(made.x)
    assert abs(-logs.mean() - made.exact.entropy) < 4 * logs.std() / np.sqrt(400)
    assert logs.std() == pytest.approx(np.sqrt(32**2 / 2), rel=0.15), "chi-squared with one degree for each cell"


@pytest.mark.parametrize("options", [{"dim": 1}, {"grid": 2}, {"box": 0}, {"std": -1}, {"cutoff": 0.01}])
def test_an_option_out_of_range_is_refused_by_name(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        simulate("gaussian-field", 2, **options)
