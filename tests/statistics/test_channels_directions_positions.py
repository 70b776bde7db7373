"""Cross-spectra, quadrupole and border profiles: closed forms, and the defects that only they see."""

import numpy as np
import pytest
import torch
from gaussian_maps import gaussian_fields, shell_means, wavenumber

from pushforward.errors import UsageError
from pushforward.statistics import (
    border_profile,
    cross_power_spectrum,
    cross_spectra,
    mean_difference,
    power_spectrum,
    quadrupole,
    standard_error,
)


def maps(count, seed, grid=(32, 32)):
    return gaussian_fields(count, grid, grid, lambda k: k**-2.0 * np.exp(-((k / (0.5 * np.pi)) ** 2)), seed)


def two_channels(count, seed, r=0.9):
    a, b = maps(count, seed), maps(count, seed + 1000)
    return torch.tensor(np.concatenate([a, 100 * (r * a + (1 - r * r) ** 0.5 * b)], 1))


@pytest.mark.parametrize("window", [None, "hann"])
def test_cross_spectra_are_those_of_the_channels_taken_apart(window):
    fields = torch.randn(4, 3, 10, 14, dtype=torch.float64) * torch.tensor([1.0, 1e3, 1e-3])[:, None, None]
    found = cross_spectra(fields, box=2.0, window=window)
    assert found.pairs == ((0, 1), (0, 2), (1, 2))
    for index, (i, j) in enumerate(found.pairs):
        apart = cross_power_spectrum(fields[:, [i]], fields[:, [j]], box=2.0, window=window)
        torch.testing.assert_close(found.power[:, [index]], apart.power)
        torch.testing.assert_close(found.correlation[:, [index]], apart.correlation)
        auto = power_spectrum(fields, box=2.0, window=window).power.mean(0)
        torch.testing.assert_close(found.auto[index], auto[i] * auto[j])


def test_correlation_of_the_ensemble_is_recovered_and_its_loss_is_seen():
    fields = two_channels(200, 0)
    assert (cross_spectra(fields).mean_correlation - 0.9).abs().max() < 0.02
    moved = fields.clone()
    moved[:, 1] = moved[:, 1].roll(16, -1)
    torch.testing.assert_close(power_spectrum(moved).power, power_spectrum(fields).power)
    other = cross_spectra(two_channels(200, 5000)).correlation
    assert mean_difference(cross_spectra(moved).correlation, other).z.min() < -40
    assert mean_difference(cross_spectra(fields).correlation, other).z.abs().max() < 4
    with pytest.raises(UsageError, match="channel"):
        cross_spectra(fields[:, :1])


@pytest.mark.parametrize(
    ("grid", "sides"), [((12, 12), (1.0, 1.0)), ((9, 14), (2.0, 3.0)), ((6, 5, 8), (1.0, 2.0, 1.5))]
)
def test_quadrupole_is_the_fit_of_direction_over_the_modes_of_each_shell(grid, sides):
    field = np.random.default_rng(0).normal(size=grid)
    found = quadrupole(torch.tensor(field)[None, None], box=sides, bins=None)
    axes = np.meshgrid(
        *[2 * np.pi * np.fft.fftfreq(n, d=s / n) for n, s in zip(grid, sides, strict=True)], indexing="ij"
    )
    k = wavenumber(grid, sides)
    square = np.where(k > 0, k, 1) ** 2
    if len(grid) == 2:
        angles = [(axes[0] ** 2 - axes[1] ** 2) / square]
    else:
        angles = [(3 * axis**2 / square - 1) / 2 for axis in axes]
    power = np.prod(sides) * np.abs(np.fft.fftn(field)) ** 2 / np.prod(grid) ** 2
    edges = (0.5 + np.arange(len(found.k) + 1)) * 2 * np.pi / max(sides) * (1 - 1e-10)
    for component, angle in enumerate(angles):
        first, second, product = (shell_means(v, k, edges)[0] for v in (angle, angle**2, angle * power))
        spread = second - first**2
        mean = shell_means(power, k, edges)[0]
        expected = np.where(spread > 1e-9, (product - first * mean) / np.where(spread > 1e-9, spread, 1), np.nan)
        np.testing.assert_allclose(found.moment[0, 0, component], expected, rtol=1e-9, atol=1e-12)


def anisotropic(fields, strength, angle):
    n = fields.shape[-1]
    kx, ky = np.meshgrid(*[np.fft.fftfreq(n)] * 2, indexing="ij")
    filter_ = np.sqrt(1 + strength * np.cos(2 * (np.arctan2(ky, kx) - angle)))
    return np.fft.ifft2(np.fft.fft2(fields) * filter_).real


@pytest.mark.parametrize("angle", [0.0, np.pi / 4, 0.3])
def test_dependence_on_direction_is_measured_and_seen(angle):
    found = quadrupole(anisotropic(maps(200, 0), 0.3, angle))
    expected = 0.3 * np.array([np.cos(2 * angle), np.sin(2 * angle)])
    value, error = found.strength.mean(0)[0], standard_error(found.strength)[0]
    np.testing.assert_allclose(value, expected, atol=0.02)
    assert (value / error).norm() > 40
    isotropic = quadrupole(maps(200, 1)).strength
    assert mean_difference(isotropic, quadrupole(maps(200, 2)).strength).z.abs().max() < 4
    assert mean_difference(found.strength, isotropic).z.norm() > 30
    torch.testing.assert_close(found.relative[0, 0, 1:12].mean(), found.strength.mean(0)[0, 0], atol=0.05, rtol=0)


def test_stretched_cubes_have_a_quadrupole_about_one_axis():
    cubes = torch.randn(40, 1, 12, 12, 12, dtype=torch.float64)
    smooth = cubes + 0.5 * cubes.roll(1, 4)
    strength = quadrupole(smooth).strength.mean(0)[0]
    assert strength[2] < -0.3
    torch.testing.assert_close(strength[0], strength[1], atol=0.05, rtol=0)
    isotropic = quadrupole(cubes).strength
    assert (isotropic.mean(0) / standard_error(isotropic)).abs().max() < 4


@pytest.mark.parametrize("grid", [(20,), (12, 20), (9, 8, 10)])
def test_border_profile_is_the_mean_over_rings(grid):
    fields = np.random.default_rng(0).normal(1, 2, (5, 2, *grid))
    found = border_profile(fields, box=tuple(2.0 * n for n in grid), widths=(1, 2))
    index = np.indices(grid)
    depth = np.minimum(index, np.array(grid).reshape(-1, *[1] * len(grid)) - 1 - index).min(0)
    for ring, members in enumerate((depth == 0, (depth == 1) | (depth == 2), depth > 2)):
        inside = fields[:, :, members]
        np.testing.assert_allclose(found.mean[:, :, ring], inside.mean(-1))
        centre = inside.mean((0, 2))[:, None]
        np.testing.assert_allclose(found.variance[:, :, ring], ((inside - centre) ** 2).mean(-1))
        np.testing.assert_allclose(found.distance[ring], 2 * (depth[members] + 0.5).mean())
        assert found.cells[ring] == members.sum()


def test_a_dimmer_border_is_seen():
    real, generated = maps(200, 0), maps(200, 1)
    inner = np.full((32, 32), 0.85)
    inner[1:-1, 1:-1] = 1
    found = mean_difference(border_profile(generated * inner).variance, border_profile(real).variance, relative=True)
    assert found.value[0, 0] == pytest.approx(2 * np.log(0.85), abs=0.07)
    assert found.z[0, 0] < -8
    same = mean_difference(border_profile(generated).variance, border_profile(real).variance, relative=True)
    assert same.z.abs().max() < 4
    bright = mean_difference(border_profile((generated + 20) * inner).mean, border_profile(real + 20).mean)
    assert bright.z[0, 0] < -20
    with pytest.raises(UsageError, match="widths"):
        border_profile(real, widths=(0,))


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("paired", [False, True])
def test_difference_of_means_has_the_error_that_it_says(relative, paired):
    rng = np.random.default_rng(0)
    z = []
    groups = np.arange(30).repeat(4)
    for _ in range(200):
        shared = rng.normal(size=(30, 2)).repeat(4, 0)
        other = shared if paired else rng.normal(size=(30, 2)).repeat(4, 0)
        a, b = (10 + part + 0.3 * rng.normal(size=(120, 2)) for part in (shared, other))
        z.append(mean_difference(a, b, groups, groups, paired=paired, relative=relative).z.numpy())
    assert 0.85 < np.std(z) < 1.2
    with pytest.raises(UsageError, match="pairs"):
        mean_difference(a[:10], b, paired=True)
