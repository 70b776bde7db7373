"""The pendulum and the light curves against closed forms, and what is missing of them."""

import numpy as np
import pytest

import pushforward as pf
from pushforward.ensembles import write
from pushforward.errors import UsageError
from pushforward.simulate import simulate
from pushforward.simulate.light_curves import YEAR, draw_stars, magnitudes
from pushforward.simulate.pendulum import GRAVITY, draw_pendulums, swing


def test_a_small_swing_is_a_damped_cosine():
    metres, damping, angle = 0.8, 0.3, 1e-3
    times = np.linspace(0, 10, 60)[None]
    found = swing(np.array([[metres, damping, angle]]), times)[0, :, 0]
    omega = np.sqrt(GRAVITY / metres - damping**2 / 4)
    wave = np.cos(omega * times[0]) + damping / (2 * omega) * np.sin(omega * times[0])
    np.testing.assert_allclose(found, angle * np.exp(-damping * times[0] / 2) * wave, atol=1e-8)


def test_a_large_swing_without_friction_keeps_its_energy():
    times = np.sort(np.random.default_rng(0).uniform(0, 10, (1, 50)))
    angle, velocity = np.moveaxis(swing(np.array([[1.1, 0.0, 2.4]]), times), -1, 0)
    energy = velocity**2 / 2 - GRAVITY / 1.1 * np.cos(angle)
    np.testing.assert_allclose(energy, -GRAVITY / 1.1 * np.cos(2.4), atol=2e-5)


def test_a_star_repeats_after_its_period_and_has_its_mean_and_range():
    stars = draw_stars(np.random.default_rng(1), 20)
    period = stars[:, 2:3]
    times = period * (np.arange(400) + 0.5) / 400
    found = magnitudes(stars, times)
    np.testing.assert_allclose(magnitudes(stars, times + period), found, atol=1e-9)
    np.testing.assert_allclose(found.mean(1)[:, 0], stars[:, 0], atol=1e-9)
    power = stars[:, 1] ** 2 / 2 * (1 + (stars[:, 4] / 2) ** 2)
    np.testing.assert_allclose(found.var(1)[:, 0], power, rtol=1e-9)


def test_no_star_is_seen_in_its_dark_season():
    times = simulate("light-curve", 40, seed=2, gap=0.4).x[..., 0] / YEAR
    phase = np.sort(times % 1, axis=1)
    around = np.concatenate([phase, phase[:, :1] + 1], axis=1)
    assert (np.diff(around, axis=1).max(1) >= 0.4 - 1e-4).all(), "every year must have the gap"


@pytest.mark.parametrize(("name", "noise"), [("damped-pendulum", 0.1), ("light-curve", 0.05)])
def test_observations_are_the_truth_with_noise(name, noise):
    made = simulate(name, 200, seed=3)
    error = made.x[..., 1:] - made.truth
    seen = ~np.isnan(error)
    assert error[seen].std() == pytest.approx(noise, rel=0.05)
    assert seen.mean() == pytest.approx({"damped-pendulum": 0.8, "light-curve": 1.0}[name], abs=0.02)
    assert (np.diff(made.x[..., 0], axis=1) >= 0).all()


def test_parameters_can_be_conditions():
    made = simulate("damped-pendulum", 30, seed=1, parameters=True)
    np.testing.assert_allclose(made.conditions, draw_pendulums(np.random.default_rng(1), 30)[:, :2], rtol=1e-6)
    assert made.names == ("length", "damping")
    np.testing.assert_array_equal(made.x, simulate("damped-pendulum", 30, seed=1).x)


@pytest.mark.parametrize(
    ("name", "option", "word"),
    [
        ("damped-pendulum", {"missing": 1.0}, "missing"),
        ("damped-pendulum", {"noise": -1}, "noise"),
        ("light-curve", {"gap": 1}, "gap"),
        ("light-curve", {"length": 1}, "length"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(name, option, word):
    with pytest.raises(UsageError, match=word):
        simulate(name, 3, **option)


@pytest.mark.parametrize("ending", [".npz", ".h5", ".csv"])
@pytest.mark.parametrize("name", ["damped-pendulum", "light-curve"])
def test_series_come_back_from_a_file(tmp_path, name, ending):
    made = simulate(name, 20)
    write(made, tmp_path / f"series{ending}")
    found = pf.read(str(tmp_path / f"series{ending}"))
    assert found.space.timed
    assert found.space.dim == made.space.dim
    x = found.take(np.arange(20))
    for ours, theirs in zip(made.x, x, strict=True):
        # a row without a value is no observation, and has no line in a table
        ours, theirs = (each[~np.isnan(each[:, 1:]).all(1)] for each in (ours, theirs))
        np.testing.assert_allclose(theirs, ours, rtol=1e-6)
