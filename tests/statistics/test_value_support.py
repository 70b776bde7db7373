import sys

import numpy as np
import pytest

from pushforward.errors import UsageError
from pushforward.statistics import circular_moments, value_support


def found(generated, real, **options):
    return {difference.name: difference for difference in value_support(generated, real, **options)}


def test_calorimeter_without_zeros_and_with_negative_energies_is_seen():
    rng = np.random.default_rng(0)

    def shower(count):
        energy = rng.lognormal(0, 2, (count, 3))
        return np.where(rng.random(energy.shape) < 0.75, 0.0, energy)

    real = shower(600)
    smooth = shower(400) + rng.normal(0, 0.5, (400, 3))
    seen = found(smooth, real, names=["ecal"])
    assert set(seen) == {f"{kind} of {column}" for kind in ("zeros", "bounds") for column in ("ecal", "x2", "x3")}
    assert seen["zeros of ecal"].generated == 0
    assert seen["zeros of ecal"].real == pytest.approx(0.75, abs=0.05)
    assert max(difference.p_value for difference in seen.values()) < 1e-4
    assert seen["bounds of x2"].generated > 0.2
    assert min(difference.p_value for difference in found(shower(400), real).values()) > 0.001


@pytest.mark.parametrize(
    ("kind", "real", "generated"),
    [
        (
            "allowed values",
            lambda rng: rng.choice([-1.0, 1.0], (300, 1)),
            lambda rng: np.sign(rng.normal(size=(300, 1))) * 0.98,
        ),
        ("allowed values", lambda rng: rng.poisson(3, (300, 1)).astype(float), lambda rng: rng.normal(3, 1, (300, 1))),
        (
            "whole numbers",
            lambda rng: rng.poisson(1e5, (300, 1)).astype(float),
            lambda rng: rng.normal(1e5, 300, (300, 1)),
        ),
        (
            "repeated values",
            lambda rng: np.where(rng.random((300, 1)) < 0.1, -99, rng.normal(20, 1, (300, 1))),
            lambda rng: np.where(rng.random((300, 1)) < 0.1, -97.3, rng.normal(20, 1, (300, 1))),
        ),
    ],
)
def test_values_that_are_not_among_the_data_are_seen(kind, real, generated):
    rng = np.random.default_rng(1)
    data = real(rng)
    difference = found(generated(rng), data)[f"{kind} of x1"]
    assert difference.p_value < 1e-6
    assert difference.generated < 0.3 * difference.real
    assert found(real(rng), data)[f"{kind} of x1"].p_value > 0.001


def test_bounds_are_calibrated_and_say_how_far():
    rng = np.random.default_rng(2)
    p = [found(rng.normal(size=(200, 1)), rng.normal(size=(300, 1)))["bounds of x1"].p_value for _ in range(400)]
    for level in (0.01, 0.05, 0.2):
        assert np.mean(np.array(p) <= level) <= level + 3 * (level / 400) ** 0.5
    real = rng.uniform(0, 2, (500, 1))
    far = found(np.vstack([real[:99], [[2e12]]]), real)["bounds of x1"]
    assert far.size == pytest.approx(1e12, rel=0.02)
    assert found(real - 0.3, real)["bounds of x1"].p_value < 1e-4


def test_shares_are_calibrated_for_fields_and_groups():
    rng = np.random.default_rng(3)
    groups = np.arange(30).repeat(5)

    def fields():
        level = rng.normal(size=30).repeat(5)[:, None, None, None]
        return np.maximum(0, level + 0.2 * rng.normal(size=(150, 1, 6, 6)))

    p = [found(fields(), fields(), groups=groups, real_groups=groups)["zeros of x1"].p_value for _ in range(200)]
    assert np.mean(np.array(p) < 0.05) < 0.1
    assert found(fields() + 0.1, fields())["zeros of x1"].p_value < 1e-3


def test_angles_are_compared_on_the_circle():
    rng = np.random.default_rng(4)
    real, same = (rng.vonmises(np.pi, 2, (400, 1)) * 180 / np.pi % 360 for _ in range(2))
    apart = found((same + 25) % 360, real, periods={0: 360.0})["direction of x1"]
    assert apart.p_value < 1e-4
    assert np.degrees(apart.size) == pytest.approx(25, abs=9)
    assert found(same, real, periods={0: 360.0})["direction of x1"].p_value > 0.01
    wide = found(rng.uniform(0, 360, (400, 1)), real, periods={0: 360.0})["direction of x1"]
    assert wide.generated < 0.15
    assert wide.real == pytest.approx(0.698, abs=0.08)
    mean, length = circular_moments(np.array([[350.0, 0.0], [10.0, 180.0]]), 360.0)
    np.testing.assert_allclose(mean[0], 0, atol=1e-9)
    np.testing.assert_allclose(length, [np.cos(np.radians(10)), 0], atol=1e-12)


def test_missing_values_and_their_patterns_are_compared():
    rng = np.random.default_rng(5)

    def catalogue(count, together):
        x = rng.normal(size=(count, 3))
        first = rng.random(count) < 0.3
        x[first, 0] = np.nan
        x[first if together else rng.random(count) < 0.3, 1] = np.nan
        return x

    real = catalogue(600, True)
    seen = found(catalogue(500, False), real, names=["u", "g", "r"])
    assert "missing of r" not in seen
    assert min(seen["missing of u"].p_value, seen["missing of g"].p_value) > 1e-3
    assert seen["pattern of missing values"].p_value < 1e-3
    assert found(catalogue(500, True), real)["pattern of missing values"].p_value > 0.01
    assert found(rng.normal(size=(500, 3)), real)["missing of x1"].p_value < 1e-10


def test_many_values_are_thinned_without_losing_a_rare_one(monkeypatch):
    module = sys.modules["pushforward.statistics.value_support"]
    spins = np.random.default_rng(6).choice([-1.0, 1.0], (50, 1, 10, 10))
    spins[7, 0, 3, 3] = 0
    whole = found(spins, spins)
    monkeypatch.setattr(module, "MANY_VALUES", 100)
    assert found(spins, spins) == whole
    assert whole["allowed values of x1"].generated == 1


def test_says_what_is_wrong():
    with pytest.raises(UsageError, match="columns"):
        value_support(np.ones(4), np.ones(4))
    with pytest.raises(UsageError, match="names"):
        value_support(np.ones((4, 1)), np.ones((4, 1)), names=["a", "b"])
    with pytest.raises(UsageError, match="shapes"):
        value_support(np.ones((4, 1)), np.ones((4, 2)))
    assert value_support(np.ones((4, 1)), np.full((4, 1), np.nan))[0].kind == "missing"


@pytest.mark.parametrize("shape", [(100, 2), (60, 1, 4, 4)], ids=["rounded columns", "fields of one value each"])
def test_values_that_repeat_by_chance_are_no_difference(shape):
    """Numbers of one decimal, and fields whose cells are equal: the other set has other values as often."""
    beyond = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        if len(shape) == 2:
            a, b = rng.normal(size=(2, *shape)).round(1)
        else:
            a, b = rng.normal(size=(2, *shape[:2], 1, 1)) * np.ones(shape)
        beyond += [each.p_value < 0.05 for each in value_support(a, b)]
    assert np.mean(beyond) <= 0.07


CHANGES = {
    "values repeated by the samples": lambda x: np.clip(x, -2, 2),
    "half precision": lambda x: x.astype(np.float16).astype(np.float32),
}


@pytest.mark.parametrize("shape", [(1000, 1), (60, 1, 16, 16)])
@pytest.mark.parametrize("change", CHANGES)
def test_clipped_tails_and_lost_digits_are_seen(change, shape):
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(2, *shape)).astype(np.float32)
    kinds = {each.kind: each for each in found(CHANGES[change](generated), real).values()}
    assert kinds[change].p_value < 0.02
    assert kinds[change].generated > kinds[change].real
    assert set(CHANGES).isdisjoint(each.kind for each in found(generated, real).values())
    # Both sets are alike: data that were clipped or rounded themselves have samples that are, too.
    alike = found(CHANGES[change](generated), CHANGES[change](real))
    assert all(each.p_value > 1e-3 for each in alike.values())


def test_zeros_are_not_lost_digits():
    rng = np.random.default_rng(1)
    real = np.where(rng.random((400, 1)) < 0.7, 0.0, rng.normal(size=(400, 1)))
    assert "half precision" not in {each.kind for each in found(rng.normal(size=(400, 1)), real).values()}
