import numpy as np
import pytest
import torch
from scipy import stats

from pushforward.errors import DataError, UsageError
from pushforward.statistics import mean_difference, permutation_test


def sets(rng, kind, shift=0.0):
    """Two sets of five correlated statistics with equal means (or means ``shift`` apart), and their groups."""
    if kind == "independent":
        a, b = (
            rng.normal(size=(40, 1)) + rng.exponential(size=(40, 5)),
            rng.normal(size=(60, 1)) + rng.exponential(size=(60, 5)),
        )
        return a + shift, b, {}
    if kind == "unequal widths":
        return 4 * rng.normal(size=(40, 5)) + shift, rng.normal(size=(120, 5)), {}
    groups = np.arange(15).repeat(4)
    shared = rng.normal(size=(2, 15, 5)).repeat(4, 1)
    noise = 0.5 * rng.normal(size=(2, 60, 5))
    if kind == "groups":
        a, b = shared + noise
        return a + shift, b, {"groups": groups, "real_groups": groups}
    effect = 0.3 * rng.normal(size=(15, 5)).repeat(4, 0)
    return shared[0] + effect + noise[0] + shift, shared[0] + noise[1], {"groups": groups, "paired": True}


@pytest.mark.parametrize("kind", ["independent", "unequal widths", "groups", "pairs"])
def test_p_values_are_uniform_under_the_null(kind):
    single, joint = [], []
    for seed in range(300):
        a, b, options = sets(np.random.default_rng(seed), kind)
        found = permutation_test(a, b, permutations=199, seed=seed, **options)
        single.append(float(found.p_value[0]))
        joint.append(float(found.joint_p_value))
    assert stats.kstest(single, "uniform").pvalue > 0.01
    assert stats.kstest(joint, "uniform").pvalue > 0.01


@pytest.mark.parametrize("kind", ["independent", "groups", "pairs"])
def test_t_is_that_of_the_difference_of_means_and_a_shift_is_seen(kind):
    a, b, options = sets(np.random.default_rng(0), kind, shift=2.0)
    found = permutation_test(a, b, **options)
    expected = mean_difference(a, b, **options)
    torch.testing.assert_close(found.t, expected.z)
    torch.testing.assert_close(found.difference, expected.value)
    assert found.joint_p_value == 1 / 1000
    assert found.draws.shape == (999, 5)


def test_permutations_are_those_of_scipy():
    rng = np.random.default_rng(1)
    a, b = rng.normal([[0.4], [0.0]], 1, (2, 30))
    found = permutation_test(a, b, permutations=9999)
    theirs = stats.permutation_test(
        (a, b), lambda x, y, axis: stats.ttest_ind(x, y, axis=axis, equal_var=False).statistic, vectorized=True, rng=0
    )
    assert float(found.p_value) == pytest.approx(theirs.pvalue, abs=0.015)
    assert found.draws.shape == (9999,)
    assert found.joint_p_value == found.p_value


def test_says_what_is_wrong():
    with pytest.raises(UsageError, match="shapes"):
        permutation_test(np.ones((4, 2)), np.ones((4, 3)))
    with pytest.raises(UsageError, match="pairs"):
        permutation_test(np.ones((4, 2)), np.ones((5, 2)), paired=True)
    with pytest.raises(UsageError, match="permutations"):
        permutation_test(np.ones((4, 2)), np.ones((4, 2)), permutations=0)
    with pytest.raises(DataError, match="two"):
        permutation_test(np.ones((4, 2)), np.ones((1, 2)))
    assert (permutation_test(np.ones((4, 2)), np.ones((4, 2))).p_value == 1).all()
