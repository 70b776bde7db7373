"""P-values are uniform where there is nothing to find, and small where there is."""

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward.errors import DataError, UsageError
from pushforward.statistics import joint_p_value, p_value, rank_p_value, significance, smallest_noticeable

NULLS = {
    "normal": ("both", lambda rng, size: rng.normal(3, 2, size)),
    "normal above": ("larger", lambda rng, size: rng.normal(3, 2, size)),
    "normal below": ("smaller", lambda rng, size: rng.normal(3, 2, size)),
    "skewed": ("both", lambda rng, size: rng.gamma(4, 1, size)),
    "one degree of freedom": ("discrepancy", lambda rng, size: np.abs(rng.normal(0, 0.3, size))),
    "three degrees of freedom": ("discrepancy", lambda rng, size: rng.chisquare(3, size) ** 0.5),
    "mean of absolute values": ("discrepancy", lambda rng, size: np.abs(rng.normal(0, 1, (20, *size))).mean(0)),
}


@pytest.mark.parametrize("compute", [p_value, rank_p_value])
@pytest.mark.parametrize("null", NULLS)
def test_p_values_are_uniform_under_the_null(null, compute):
    alternative, draw = NULLS[null]
    rng = np.random.default_rng(0)
    found = compute(draw(rng, (2000,)), draw(rng, (100, 2000)), alternative).numpy()
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert 0.5 < np.mean(found <= 0.02) / 0.02 < 1.5


@pytest.mark.parametrize("z", [3.0, 4.0, 5.0])
@pytest.mark.parametrize("alternative", ["both", "discrepancy"])
def test_tail_of_a_gaussian_number_is_continued(z, alternative):
    rng = np.random.default_rng(1)
    floor = rng.normal(size=(200, 300))
    values = np.full(300, z)
    found = p_value(values, np.abs(floor) if alternative == "discrepancy" else floor, alternative)
    assert significance(found).mean() == pytest.approx(z, rel=0.1)


def test_p_value_falls_with_the_value():
    floor = np.random.default_rng(0).normal(size=99)
    values = np.linspace(0, 8, 200)
    for alternative in ("larger", "both"):
        found = p_value(values[80:], np.repeat(floor[:, None], 120, 1), alternative)
        assert (found.diff() <= 1e-15).all()
    assert p_value(-values[-1], floor, "smaller") == pytest.approx(float(p_value(values[-1], -floor, "larger")))


def test_counted_p_value_is_its_definition():
    floor = torch.tensor([1.0, 2.0, 2.0, 3.0])
    assert rank_p_value(2.0, floor, "larger") == 4 / 5
    assert rank_p_value(2.0, floor, "smaller") == 4 / 5
    assert rank_p_value(9.0, floor, "both") == 2 / 5
    assert rank_p_value(9.0, torch.tensor([1.0, torch.nan]), "larger") == 1 / 2
    assert p_value(1.0, torch.ones(50)) == 1
    assert p_value(torch.nan, floor).isnan()


def correlated(rng, size, statistics=12):
    shared = rng.normal(size=(*size, 1))
    numbers = 0.6 * shared + 0.8 * rng.normal(size=(*size, statistics))
    return np.concatenate([numbers[..., :6], np.abs(numbers[..., 6:])], -1)


ALTERNATIVES = ["both"] * 6 + ["discrepancy"] * 6


def test_joint_p_value_of_correlated_statistics_is_uniform():
    rng = np.random.default_rng(2)
    found = [float(joint_p_value(correlated(rng, ()), correlated(rng, (199,)), ALTERNATIVES)) for _ in range(600)]
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert 0.5 < np.mean(np.array(found) <= 0.05) / 0.05 < 1.6


@pytest.mark.parametrize("which", range(0, 12, 3))
def test_one_statistic_far_out_makes_the_joint_p_value_as_small_as_it_can_be(which):
    rng = np.random.default_rng(3)
    values = correlated(rng, ())
    values[which] = 8
    assert joint_p_value(values, correlated(rng, (199,)), ALTERNATIVES) == 1 / 200
    values[(which + 1) % 12] = np.nan
    assert joint_p_value(values, correlated(rng, (199,)), ALTERNATIVES) == 1 / 200


@pytest.mark.parametrize(("dof", "alternative"), [(1, "both"), (1, "larger"), (1, "discrepancy"), (10, "discrepancy")])
def test_smallest_noticeable_defect_is_noticed_as_often_as_it_says(dof, alternative):
    rng = np.random.default_rng(4)

    def statistic(shift, count):
        numbers = rng.normal(size=(count, dof))
        numbers[:, 0] += shift
        return (numbers**2).mean(1) ** 0.5 if alternative == "discrepancy" else numbers[:, 0]

    floor = statistic(0.0, 4000)
    size = float(smallest_noticeable(floor, alternative))
    values = statistic(size * dof**0.5, 2000)
    seen = rank_p_value(values, np.repeat(floor[:, None], 2000, 1), alternative) < 0.05
    assert float(seen.double().mean()) == pytest.approx(0.95, abs=0.02)


def test_says_what_is_wrong():
    with pytest.raises(UsageError, match="unknown"):
        p_value(1.0, torch.ones(9), "upper")
    with pytest.raises(UsageError, match="shape"):
        p_value(torch.ones(3), torch.ones(9, 2))
    with pytest.raises(UsageError, match="one each"):
        joint_p_value(torch.ones(3), torch.ones(9, 3), ["both"])
    with pytest.raises(UsageError, match="power"):
        smallest_noticeable(torch.ones(9), power=1.0)
    for floor in (torch.ones(0), torch.full((4,), torch.nan)):
        with pytest.raises(DataError, match="draw"):
            p_value(1.0, floor)


@pytest.mark.parametrize("alternative", ["both", "larger", "smaller", "discrepancy"])
def test_extrapolation_never_contradicts_the_ranks(alternative):
    """Draws of a law far from Student's and chi's: the p-value lies between its rank and the next."""
    rng = np.random.default_rng(0)
    floor = rng.exponential(size=100) ** 2
    sides = 2 if alternative == "both" else 1
    for value in [*np.sort(floor)[::3], 1e-9, 60.0]:
        p, rank = (float(f(value, floor, alternative)) for f in (p_value, rank_p_value))
        assert rank - sides / 101 <= p <= rank
