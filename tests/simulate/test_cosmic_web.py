"""Maps of the cosmic web: their mean, shape, spectrum, conditions and groups."""

import numpy as np
import pytest
from scipy.stats import skew

from pushforward.errors import UsageError
from pushforward.simulate import Cosmology, simulate
from pushforward.simulate.cosmic_web import simulation_maps

SMALL = {"grid": 32, "box": 100.0, "smoothing": 2.0}


def spectrum(maps, box):
    """Mean 2-D P(k) of maps of 1 + overdensity in integer bins of the fundamental, in the box's unit squared."""
    grid = maps.shape[-1]
    power = (np.abs(np.fft.fft2(maps - 1)) ** 2).reshape(-1, grid, grid).mean(0) * box**2 / grid**4
    axis = np.fft.fftfreq(grid, 1 / grid)
    numbers = np.hypot(*np.meshgrid(axis, axis))
    bins = np.rint(numbers).astype(int)
    return np.array([power[bins == n].mean() for n in range(1, grid // 4)]), numbers, bins


@pytest.fixture(scope="module")
def web():
    return simulate("cosmic-web", 96, seed=3, **SMALL)


def test_the_density_is_positive_with_mean_one_and_skewed(web):
    assert web.x.min() >= 0
    each = web.x.reshape(8, 3, 4, -1).mean((2, 3))
    np.testing.assert_allclose(each, 1, rtol=1e-5, err_msg="the slabs of a simulation hold all of its matter")
    assert skew(web.x.reshape(-1)) > 1.5
    assert skew(np.log(web.x.reshape(-1))) < skew(web.x.reshape(-1)) / 2


def test_a_simulation_is_a_group_of_one_pair_of_parameters(web):
    assert web.names == ("Omega_m", "sigma_8")
    assert (np.bincount(web.groups) == 12).all()
    for group in range(8):
        rows = web.conditions[web.groups == group]
        assert (rows == rows[0]).all()
    assert len(np.unique(web.conditions, axis=0)) == 8
    low, high = web.conditions.min(0), web.conditions.max(0)
    assert (low >= (0.1, 0.6)).all()
    assert (high <= (0.5, 1.0)).all()


def test_a_smaller_count_gives_the_first_maps_of_a_larger_one(web):
    few = simulate("cosmic-web", 20, seed=3, **SMALL)
    assert (few.x == web.x[:20]).all()
    assert (few.conditions == web.conditions[:20]).all()


def test_the_parameters_fill_their_ranges_evenly():
    from pushforward.simulate.cosmic_web import _design

    points = (_design(256, 7, None, None) - (0.1, 0.6)) / 0.4
    counts = np.histogram2d(*points.T, bins=8, range=((0, 1), (0, 1)))[0]
    assert counts.min() >= 2, "no part of the square of parameters is left out"
    assert counts.max() <= 6


def test_the_spectrum_at_large_scales_is_that_of_linear_theory():
    """Through the whole box, P_2D(k) = P_3D(k) / box: only modes across the line of sight remain."""
    box, redshift, cosmology = 1000.0, 3.0, Cosmology(0.3, 0.8)
    maps = np.concatenate(
        [
            simulation_maps(cosmology, np.random.default_rng(s), grid=32, box=box, slabs=1, redshift=redshift)
            for s in range(30)
        ]
    )
    power, numbers, bins = spectrum(maps, box)
    axis = np.fft.fftfreq(32, 1 / 32)
    window = np.outer(np.sinc(axis / 32), np.sinc(axis / 32)) ** 4  # of cloud in cell, squared
    linear = cosmology.linear_power(2 * np.pi / box * numbers, redshift) / box * window
    for n in range(1, 6):
        modes = 90 * (bins == n).sum() / 2
        assert power[n - 1] / linear[bins == n].mean() == pytest.approx(1, abs=4 / np.sqrt(modes) + 0.02)


def test_more_sigma_8_means_more_power_and_omega_m_bends_the_spectrum():
    """With the same random numbers, so that only the parameters differ."""

    def power(matter, fluctuations):
        cosmology = Cosmology(matter, fluctuations)
        maps = [simulation_maps(cosmology, np.random.default_rng(s), **SMALL) for s in range(4)]
        return spectrum(np.concatenate(maps), SMALL["box"])[0]

    weak, middle, strong = (power(0.3, s) for s in (0.6, 0.8, 1.0))
    assert (weak < middle).all()
    assert (middle < strong).all()
    assert strong[0] / weak[0] > 1.8
    tilt = power(0.1, 0.8) / power(0.5, 0.8)
    assert tilt[0] > 1.3
    assert tilt[0] > 1.5 * tilt[-1], "little matter means a larger share of the power at large scales"


def test_second_order_makes_voids_emptier_or_knots_denser():
    first, second = (
        simulation_maps(Cosmology(), np.random.default_rng(0), order=order, **SMALL).reshape(-1) for order in (1, 2)
    )
    assert skew(second) > skew(first)
    assert np.corrcoef(first, second)[0, 1] > 0.9


def test_the_field_is_periodic_and_said_to_be(web):
    assert web.space.periodic
    assert web.space.isotropic
    assert web.space.box == 100.0
    jump = np.abs(web.x[..., 0] - web.x[..., -1]).mean()
    assert jump == pytest.approx(np.abs(np.diff(web.x, axis=-1)).mean(), rel=0.25)


def test_projections_look_alike_along_every_axis(web):
    maps = web.x.reshape(8, 3, 4, 32, 32)
    deviations = maps.std((0, 2, 3, 4))
    assert deviations.max() / deviations.min() < 1.25
    gradients = np.abs(np.diff(maps, axis=-1)).mean(), np.abs(np.diff(maps, axis=-2)).mean()
    assert gradients[0] / gradients[1] == pytest.approx(1, abs=0.1)


def test_parameters_can_be_given():
    made = simulate("cosmic-web", 13, Omega_m=0.25, sigma_8="0.9", **SMALL)
    np.testing.assert_allclose(made.conditions, np.tile([0.25, 0.9], (13, 1)), rtol=1e-6)


@pytest.mark.parametrize(
    ("option", "value"),
    [("grid", 7), ("slabs", 5), ("box", 0), ("redshift", -1), ("order", 3), ("smoothing", -1), ("Omega_m", 0.01)],
)
def test_an_option_out_of_range_is_refused_by_name(option, value):
    with pytest.raises(UsageError, match=option):
        simulate("cosmic-web", 2, **{option: value})
