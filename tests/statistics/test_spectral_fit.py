"""Amplitude, slope and noise: known defects are measured with their size, seen at the expected significance."""

import numpy as np
import pytest
import torch
from gaussian_maps import gaussian_fields, wavenumber

from pushforward.errors import DataError, UsageError
from pushforward.statistics import PowerSpectrum, amplitude_and_slope, power_spectrum, spectrum_weights

GRID = (32, 32)
K = np.where(wavenumber(GRID, GRID) > 0, wavenumber(GRID, GRID), 1.0)


def maps(count, seed, grid=GRID):
    return gaussian_fields(count, grid, grid, lambda k: k**-2.0 * np.exp(-((k / (0.5 * np.pi)) ** 2)), seed)


def spectra(fields):
    return power_spectrum(torch.tensor(fields), bins="all")


def tilted(fields, slope):
    return np.fft.ifft2(np.fft.fft2(fields) * K ** (slope / 2)).real


def noisy(fields, share):
    return fields + share * fields.std() * np.random.default_rng(9).standard_normal(fields.shape)


DEFECTS = {
    "amplitude": (lambda x: 1.02 * x, 2 * np.log(1.02), 7),
    "slope": (lambda x: tilted(x, 0.05), 0.05, 5),
    "falling slope": (lambda x: tilted(x, -0.05), -0.05, 5),
    "noise": (lambda x: noisy(x, 0.03), 0.03**2, 4),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_small_defects_are_measured_and_significant(name):
    change, size, least = DEFECTS[name]
    number = name.split()[-1]
    found, z = [], []
    for seed in range(6):
        fit = amplitude_and_slope(spectra(change(maps(200, seed))), spectra(maps(200, seed + 100)))
        found.append(float(getattr(fit, number)))
        z.append(float(fit.z[number]) * np.sign(size))
    assert np.mean(z) > least
    assert np.mean(found) == pytest.approx(size, rel=0.3)


def test_errors_are_the_scatter_over_seeds():
    fits = [amplitude_and_slope(spectra(maps(60, seed)), spectra(maps(60, seed + 500))) for seed in range(100)]
    for name in ("amplitude", "slope", "noise"):
        values, z = [float(getattr(f, name)) for f in fits], [float(f.z[name]) for f in fits]
        errors = [float(getattr(f, f"{name}_error")) for f in fits]
        assert 0.8 < np.mean(errors) / np.std(values) < 1.2, name
        assert np.mean(np.abs(z) > 1.96) < 0.13, name


def test_pairs_at_the_same_condition_cancel_its_scatter_and_groups_stay_whole():
    strength = np.exp(np.random.default_rng(0).normal(0, 0.5, 30)).repeat(6)[:, None, None, None]
    groups = torch.arange(30).repeat_interleave(6)
    a, b = spectra(1.02 * strength * maps(180, 0)), spectra(strength * maps(180, 1))
    pairs = amplitude_and_slope(a, b, groups, paired=True)
    apart = amplitude_and_slope(a, b, groups, groups)
    assert pairs.z["amplitude"] > 4
    assert apart.amplitude_error > 5 * pairs.amplitude_error
    own = torch.arange(180)
    torch.testing.assert_close(
        amplitude_and_slope(a, b, paired=True).amplitude, amplitude_and_slope(a, b, own, paired=True).amplitude
    )


@pytest.mark.parametrize("grid", [(64,), (16, 24), (10, 10, 10)])
def test_a_change_of_amplitude_and_slope_is_recovered_exactly(grid):
    real = power_spectrum(torch.randn(50, 2, *grid, dtype=torch.float64), bins="all")
    pivot = spectrum_weights(real).pivot[:, None]
    changed = PowerSpectrum(real.k, real.power * 1.1 * (real.k / pivot) ** 0.3, real.modes)
    fit = amplitude_and_slope(changed, real)
    torch.testing.assert_close(fit.amplitude, torch.full((2,), 1.1, dtype=torch.float64).log())
    torch.testing.assert_close(fit.slope, torch.full((2,), 0.3, dtype=torch.float64))


def test_weights_serve_for_many_sets_at_once():
    real = spectra(maps(100, 0))
    weights = spectrum_weights(real)
    means = torch.stack([spectra(maps(100, seed)).power.mean(0) for seed in (1, 2)])
    together = weights.apply(means, real.power.mean(0))
    assert together.shape == (2, 1, 3)
    single = amplitude_and_slope(spectra(maps(100, 2)), real, weights=weights)
    torch.testing.assert_close(together[1, 0, 0], single.amplitude[0])


def test_shells_of_all_modes_hold_every_mode_but_the_mean():
    for grid, box in (((32, 32), 1.0), ((9, 12), None), ((6, 6, 8), 3.0), ((15,), None)):
        found = power_spectrum(torch.randn(2, 1, *grid), box, bins="all")
        assert found.modes.sum() == np.prod(grid) - 1


def test_says_what_is_wrong():
    real = spectra(maps(10, 0))
    with pytest.raises(UsageError, match="same bins"):
        amplitude_and_slope(power_spectrum(torch.randn(4, 1, 16, 16), bins="all"), real)
    with pytest.raises(UsageError, match="pairs"):
        amplitude_and_slope(spectra(maps(9, 0)), real, paired=True)
    with pytest.raises(DataError, match="three"):
        amplitude_and_slope(real, spectra(maps(2, 0)))
    with pytest.raises(DataError, match="bins"):
        amplitude_and_slope(real, spectra(0 * maps(10, 0)))
    with pytest.raises(UsageError, match="'some'"):
        power_spectrum(torch.randn(4, 1, 16, 16), bins="some")
