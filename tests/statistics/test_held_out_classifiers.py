import numpy as np
import pytest
from scipy import stats

from pushforward.errors import UsageError
from pushforward.statistics import held_out_classifiers


def sets(rng, case):
    """Two sets of one distribution: independent, in groups of their own, or pairs at one condition in groups."""
    if case == "independent":
        return {"generated": rng.normal(size=(80, 3)), "real": rng.normal(size=(80, 3))}
    groups = np.arange(120) // 6
    shared = rng.normal(size=(2, 20, 3))[:, groups]
    x, y = shared + 0.3 * rng.normal(size=(2, 120, 3))
    if case == "groups":
        return {"generated": x, "real": y, "groups": groups + 100, "real_groups": groups}
    condition = shared[0, :, :1]
    return {
        "generated": condition + 0.3 * x,
        "real": condition + 0.3 * y,
        "conditions": condition,
        "real_conditions": condition,
        "groups": groups,
        "real_groups": groups,
        "paired": True,
    }


@pytest.mark.parametrize("case", ["independent", "groups", "pairs"])
def test_p_value_is_uniform_for_sets_of_one_distribution(case):
    rng = np.random.default_rng(0)
    p = [
        float(held_out_classifiers(**sets(rng, case), classifiers=["linear"], permutations=199, seed=s).p_value)
        for s in range(120)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) < 0.05) < 0.13


@pytest.mark.parametrize("case", ["independent", "groups", "pairs"])
def test_joint_p_value_of_all_classifiers_is_not_too_small(case):
    rng = np.random.default_rng(1)
    p = [
        float(held_out_classifiers(**sets(rng, case), classifiers=["linear", "trees"], permutations=99).p_value)
        for _ in range(25)
    ]
    assert np.mean(np.array(p) < 0.1) < 0.3


def test_finds_what_is_wrong_and_says_where():
    rng = np.random.default_rng(2)
    generated, real = rng.normal(size=(2, 400, 4))
    generated[:, 2] = generated[:, 2].round()
    found = held_out_classifiers(generated, real, names=["a", "b", "mass", "d"])
    assert found.worst == "trees"
    assert found.auc["trees"] > 0.95
    assert found.auc["linear"] < 0.6
    assert found.p_value < 1e-6
    assert next(iter(found.importance)) == "mass"
    assert len(found.surest_generated) == 200
    assert 0.5 < found.draws.mean() < 0.55
    pairs = sets(rng, "pairs")
    assert held_out_classifiers(**{**pairs, "generated": pairs["generated"] + 1.0}).p_value < 0.01


def test_is_repeatable_and_refuses_too_few():
    x, y = np.random.default_rng(3).normal(size=(2, 60, 2))
    assert held_out_classifiers(x, y).p_value == held_out_classifiers(x, y).p_value
    with pytest.raises(UsageError, match="folds"):
        held_out_classifiers(x[:3], y)


def test_the_last_bit_tells_no_sets_apart():
    """Discrete features of one set that are computed in another order."""
    x, y = np.random.default_rng(0).integers(0, 4, (2, 300, 3)) * 0.1
    assert held_out_classifiers(x * (1 + 1e-15), y).p_value > 0.01
