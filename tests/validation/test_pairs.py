"""Emulators that are given a field, made of the simulator itself: what the verdicts on pairs are tested by."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stand_ins import StandIn

import pushforward as pf
from pushforward.simulate.cosmic_gas import gas_of_matter

BOX, SMOOTHING = 100.0, 5.0


@pytest.fixture(scope="module")
def gas() -> pf.Ensemble:
    return pf.read("cosmic-gas", members=600, grid=16, smoothing=SMOOTHING)


def draws(matter: np.ndarray, rng: np.random.Generator, **relation: float) -> np.ndarray:
    return gas_of_matter(matter, rng, **{"box": BOX, "smoothing": SMOOTHING, **relation})


EMULATORS = {
    "perfect": (draws, set()),
    "too sure": (lambda rows, rng: draws(rows, rng, scatter=0.05), {"correlation_with_truth"}),
    "not sure enough": (lambda rows, rng: draws(rows, rng, scatter=0.8), {"correlation_with_truth"}),
    "blind": (lambda rows, rng: draws(rng.permutation(rows), rng), {"correlation_with_condition"}),
    "smooth": (
        lambda rows, rng: draws(rows, rng, smoothing=8.0),
        {"correlation_with_condition", "transfer_function", "power_spectrum"},
    ),
}


@pytest.mark.parametrize("name", EMULATORS)
def test_verdicts_on_pairs(gas, name):
    draw, wrong = EMULATORS[name]
    emulator = StandIn(gas, lambda n, rows, rng: draw(rows, rng))
    report = pf.validate(emulator, gas, progress=False)
    pairs = [v.statistic for v in report.verdicts if v.group == "pairs"]
    assert pairs == ["correlation_with_condition", "correlation_with_truth", "transfer_function"]
    for statistic in wrong:
        assert report.verdict(statistic).verdict != "at the floor", report.verdict(statistic).sentence
    if not wrong:
        for statistic in (*pairs, "power_spectrum"):
            # One verdict in forty of a perfect emulator lies a little beyond its floor.
            assert report.verdict(statistic).verdict != "off", report.verdict(statistic).sentence
    drawn = {curve.name: curve for curve in report.curves}
    for statistic in pairs:
        assert drawn[statistic].x_label == drawn["power_spectrum"].x_label == "k  [h/Mpc]", statistic
    assert "given" in report.html()


def test_the_correlation_with_the_truth_is_that_of_two_draws(gas):
    """The value that the report gives for a perfect emulator is the one of the simulator, drawn twice."""
    from pushforward.statistics import cross_power_spectrum

    emulator = StandIn(gas, lambda n, rows, rng: draws(rows, rng))
    value = pf.validate(emulator, gas, progress=False).verdict("correlation_with_truth").value
    matter = gas.take_given(np.arange(len(gas)))[1].field.numpy()
    one, two = (torch.from_numpy(draws(matter, np.random.default_rng(seed))) for seed in (1, 2))
    cross = cross_power_spectrum(one, two, BOX)
    within = cross.k <= np.pi / 2 * 16 / BOX
    assert abs(float(cross.correlation[..., within].mean()) - value) < 0.02


def test_an_ensemble_without_the_field_is_refused(gas):
    emulator = StandIn(gas, lambda n, rows, rng: draws(rows, rng))
    plain = pf.read("cosmic-gas", condition=False, members=600, grid=16)
    assert not plain.condition_space
    with pytest.raises(pf.UsageError, match="condition"):
        pf.validate(emulator, plain, progress=False)


def test_members_and_their_gas_are_a_known_relation():
    matter = np.full((2, 1, 8, 8), 2.0, np.float32)
    made = gas_of_matter(matter, np.random.default_rng(0), scatter=0.0, exponent=2.0)
    np.testing.assert_allclose(made, 4.0, rtol=1e-5)
    noisy = gas_of_matter(np.ones((400, 1, 16, 16), np.float32), np.random.default_rng(0), scatter=0.5)
    assert abs(np.log(noisy).std() - 0.5) < 0.02
    assert abs(noisy.mean() - 1) < 0.02
