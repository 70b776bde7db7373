"""Linear theory against limits, independent integrals and an independent library."""

import numpy as np
import pytest
from scipy.integrate import quad

from pushforward.errors import UsageError
from pushforward.simulate import Cosmology


@pytest.mark.parametrize("wiggles", [True, False])
@pytest.mark.parametrize("matter", [0.1, 0.3, 0.5])
def test_sigma_8_comes_back_from_an_independent_quadrature(matter, wiggles):
    cosmology = Cosmology(matter, 0.83, wiggles=wiggles)

    def integrand(log_k):
        k = np.exp(log_k)
        x = 8 * k
        window = 3 * (np.sin(x) - x * np.cos(x)) / x**3
        return k**3 * float(cosmology.linear_power(k)) * window**2 / (2 * np.pi**2)

    # below k = 1e-3 the window is one to 1e-5, and its closed form loses digits
    parts = zip(
        np.linspace(np.log(1e-3), np.log(60), 30)[:-1], np.linspace(np.log(1e-3), np.log(60), 30)[1:], strict=True
    )
    variance = sum(quad(integrand, low, high)[0] for low, high in parts)
    variance += quad(lambda k: k**2 * float(cosmology.linear_power(k)) / (2 * np.pi**2), 0, 1e-3)[0]
    assert np.sqrt(variance) == pytest.approx(0.83, rel=1e-4)
    assert cosmology.sigma(8.0) == pytest.approx(0.83, rel=1e-12)


def test_growth_is_the_scale_factor_when_matter_is_all_there_is():
    assert Cosmology(1.0).growth(z=3.0) == pytest.approx(0.25)
    assert Cosmology(1.0).second_order_growth(z=1.0) == pytest.approx(-3 / 7 / 4)


@pytest.mark.parametrize("matter", [0.1, 0.3, 0.7])
def test_growth_is_the_integral_over_the_expansion(matter):
    """D ~ H(a) int_0^a da' / (a' H(a'))^3."""
    cosmology = Cosmology(matter)

    def growing(a):
        def rate(a):
            return np.sqrt(matter / a**3 + 1 - matter)

        return rate(a) * quad(lambda b: 1 / (b * rate(b)) ** 3, 0, a)[0]

    for z in (0.5, 2.0, 10.0):
        assert cosmology.growth(z) == pytest.approx(growing(1 / (1 + z)) / growing(1.0), rel=1e-6)


@pytest.mark.parametrize("wiggles", [True, False])
def test_the_transfer_function_has_its_limits(wiggles):
    cosmology = Cosmology(wiggles=wiggles)
    assert cosmology.transfer([1e-6])[0] == pytest.approx(1, abs=1e-3)
    slope = np.diff(np.log(cosmology.transfer([50.0, 100.0])))[0] / np.log(2)
    assert -2.1 < slope < -1.7, "k^-2 log k"
    assert float(cosmology.linear_power(0.0)) == 0


def test_the_wiggles_oscillate_about_the_smooth_form():
    k = np.geomspace(0.02, 0.4, 200)
    ratio = Cosmology().linear_power(k) / Cosmology(wiggles=False).linear_power(k)
    crossings = (np.diff(np.sign(ratio - np.median(ratio))) != 0).sum()
    assert crossings >= 4
    assert 0.02 < np.abs(ratio / np.median(ratio) - 1).max() < 0.12


@pytest.mark.parametrize("matter", [0.1, 0.3, 0.5])
def test_both_forms_equal_an_independent_implementation(matter):
    spectra = pytest.importorskip("colossus.cosmology.power_spectrum")
    k = np.geomspace(1e-4, 20, 100)
    theirs = spectra.modelEisenstein98(k, 0.6711, matter, 0.049, 2.7255)
    np.testing.assert_allclose(Cosmology(matter).transfer(k), theirs, rtol=1e-10)
    theirs = spectra.modelEisenstein98ZeroBaryon(k, 0.6711, matter, 0.049, 2.7255)
    np.testing.assert_allclose(Cosmology(matter, wiggles=False).transfer(k), theirs, rtol=1e-10)


@pytest.mark.parametrize("values", [{"Omega_m": 1.2}, {"Omega_m": 0.01}, {"sigma_8": 0.0}, {"h": -1.0}])
def test_an_impossible_universe_is_refused(values):
    with pytest.raises(UsageError, match=next(iter(values))):
        Cosmology(**values)
