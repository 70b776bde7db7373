import numpy as np
import pytest
import torch
from scipy import stats

from pushforward.errors import DataError, UsageError
from pushforward.statistics import class_counts, cluster_counts, compare_counts

TEN = [str(digit) for digit in range(10)]


def test_chi_squared_and_its_p_value_are_those_of_a_contingency_table():
    rng = np.random.default_rng(0)
    a, b = rng.choice(4, 500, p=[0.3, 0.3, 0.2, 0.2]), rng.choice(4, 700, p=[0.25, 0.3, 0.25, 0.2])
    found = compare_counts(a, b, TEN[:6])
    table = np.stack([np.bincount(part, minlength=4) for part in (a, b)])
    expected = stats.chi2_contingency(table)
    assert float(found.chi_squared) == pytest.approx(expected.statistic)
    assert expected.pvalue / 2 < float(found.p_value) < 2 * expected.pvalue
    shares = table / table.sum(1, keepdims=True)
    assert (np.sign(found.z[:4].numpy()) == np.sign(shares[0] - shares[1])).all()


@pytest.mark.parametrize("size", [15, 120])
@pytest.mark.parametrize("grouped", [False, True])
def test_p_value_is_uniform_under_the_null(size, grouped):
    found = []
    for seed in range(250):
        rng = np.random.default_rng(seed)
        if grouped:
            groups = np.arange(size).repeat(4)
            parts = [rng.choice(5, size)[groups] for _ in range(2)]
        else:
            groups, parts = None, [rng.choice(5, size) for _ in range(2)]
        found.append(float(compare_counts(*parts, TEN, groups=groups, real_groups=groups, seed=seed).p_value))
    # Few counts give few possible values of chi^2: the p-value may then be too large, never too small.
    kind = "greater" if size < 100 else "two-sided"
    assert stats.kstest(found, "uniform", alternative=kind).pvalue > 0.01


def test_absent_class_of_the_digits_is_named():
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(1).permutation(len(digits.data))
    x, y = digits.data[order], digits.target[order]
    rest = x[800:][y[800:] != 7]
    found = class_counts(rest, x[:800], y[:800], TEN)
    assert found.absent == ("7",)
    assert found.covered == 9
    assert found.p_value < 1e-3
    assert found.z[7] < -6
    same = class_counts(x[800:], x[:800], y[:800], TEN)
    assert same.absent == ()
    assert same.p_value > 0.01


def test_clusters_that_collapsed_are_named():
    rng = np.random.default_rng(2)
    angle = 2 * np.pi * np.arange(8) / 8

    def ring(modes, count):
        mode = rng.choice(modes, count)
        return 4 * np.stack([np.cos(angle[mode]), np.sin(angle[mode])], 1) + 0.3 * rng.normal(size=(count, 2))

    found = cluster_counts(ring([0, 3, 4], 400), ring(8, 400), ring(8, 2000), clusters=8)
    assert found.covered == 3
    assert len(found.absent) == 5
    assert found.p_value < 1e-3
    p = [float(cluster_counts(ring(8, 200), ring(8, 400), seed=seed).p_value) for seed in range(40)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_groups_are_dealt_whole():
    rng = np.random.default_rng(3)
    groups = np.arange(20).repeat(10)
    modes = [rng.choice(3, 20)[groups] for _ in range(2)]
    whole = [
        compare_counts(*modes, TEN, groups=groups, real_groups=groups).p_value,
        compare_counts(*modes, TEN).p_value,
    ]
    assert whole[0] > whole[1]
    features = rng.normal(size=(200, 2))
    assert cluster_counts(features, features, groups=groups, real_groups=groups).p_value > 0.01


def test_says_what_is_wrong():
    x = torch.randn(40, 2)
    with pytest.raises(UsageError, match="names"):
        compare_counts([0, 1], [0, 3], TEN[:3])
    with pytest.raises(UsageError, match="labels"):
        class_counts(x, x, torch.zeros(3), TEN)
    with pytest.raises(DataError, match="classes"):
        class_counts(x, x, torch.zeros(40), TEN)
    with pytest.raises(UsageError, match="clusters"):
        cluster_counts(x, x, clusters=1)
    with pytest.raises(DataError, match="clusters"):
        cluster_counts(x[:5], x)
    with pytest.raises(DataError, match="finite"):
        cluster_counts(x.log(), x)
    with pytest.raises(UsageError, match="groups"):
        compare_counts([0, 1], [0, 1], TEN, groups=[0])
