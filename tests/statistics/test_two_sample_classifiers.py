import numpy as np
import pytest
import torch

from pushforward.errors import UsageError
from pushforward.statistics import two_sample_classifiers
from pushforward.statistics.two_sample_classifiers import CLASSIFIERS, folds_of


def simulations(rng, count=25, members=12, dim=4):
    """Members of simulations that share most of their fluctuation, and the simulation of each."""
    shared = rng.normal(size=(count, dim)).repeat(members, 0)
    return shared + 0.3 * rng.normal(size=shared.shape), np.arange(count).repeat(members)


def test_each_classifier_knows_its_difference_and_the_worst_is_reported():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(500, 3))
    cases = {
        "linear": rng.normal([0, 0.5, 0], 1, (500, 3)),
        "network": rng.normal(0, [1, 1.8, 1], (500, 3)),
        "trees": np.column_stack([rng.normal(size=500), real[rng.permutation(500), 1].round(1), rng.normal(size=500)]),
    }
    for best, generated in cases.items():
        found = two_sample_classifiers(generated, real, importance=True, names=["a", "b"])
        assert found.auc == max(scores.auc for scores in found.by_name.values())
        assert found.by_name[best].auc > 0.58
        assert next(iter(found.importance)) == "b"
        assert set(found.importance) == {"a", "b", "x3"}
        assert found.by_name[best].auc > 0.95 * found.auc


def test_columns_of_zeros_and_ones_that_come_out_continuous_are_seen():
    rng = np.random.default_rng(1)
    real, generated = rng.normal(size=(2, 500, 10))
    real[:, 3] = real[:, 3] > 0
    generated[:, 3] = (generated[:, 3] > 0) + 0.2 * rng.normal(size=500)
    found = two_sample_classifiers(generated, real)
    assert found.worst == "trees"
    assert found.auc > 0.99
    assert found.by_name["linear"].auc < 0.6


def test_sharp_structure_in_two_dimensions_is_seen_by_trees():
    rng = np.random.default_rng(2)

    def moons(noise):
        angle, upper = rng.uniform(0, np.pi, 600), rng.random(600) < 0.5
        x = np.where(upper, np.cos(angle), 1 - np.cos(angle))
        y = np.where(upper, np.sin(angle), 0.5 - np.sin(angle))
        return np.column_stack([x, y]) + noise * rng.normal(size=(600, 2))

    assert two_sample_classifiers(moons(0.25), moons(0.1), classifiers=["trees"]).auc > 0.6
    assert abs(two_sample_classifiers(moons(0.1), moons(0.1), classifiers=["trees"]).auc - 0.5) < 0.06


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_groups_and_pairs_do_not_fool_it(classifier):
    rng = np.random.default_rng(3)
    areas, errors, of_pairs = [], [], []
    for seed in range(4 if classifier == "network" else 12):
        real, groups = simulations(rng)
        other, others = simulations(rng)
        free = two_sample_classifiers(
            other, real, groups=others + 100, real_groups=groups, classifiers=[classifier], seed=seed
        )
        areas.append(float(free.auc))
        errors.append(float(free.error))
        same = real.mean(1, keepdims=True)
        condition = same + 0.01 * rng.normal(size=same.shape)
        pairs = two_sample_classifiers(
            *(condition + 0.5 * rng.normal(size=(300, 4)) for _ in range(2)),
            conditions=condition,
            real_conditions=condition,
            groups=groups,
            paired=True,
            classifiers=[classifier],
            seed=seed,
        )
        of_pairs.append(float(pairs.auc))
    assert abs(np.mean(of_pairs) - 0.5) < 0.04
    assert abs(np.mean(areas) - 0.5) < 3.5 * np.mean(errors) / len(areas) ** 0.5
    assert np.mean(errors) > 0.03


def test_error_is_the_scatter_over_seeds():
    found = []
    for seed in range(150):
        x, y = np.random.default_rng(seed).normal(size=(2, 100, 2))
        scores = two_sample_classifiers(x, y + 0.7, classifiers=["linear"], seed=seed)
        found.append((float(scores.auc), float(scores.error)))
    areas, errors = np.array(found).T
    assert 0.85 < errors.mean() / areas.std() < 1.2


def test_folds_are_even_and_keep_groups_together():
    rng = np.random.default_rng(4)
    member = rng.integers(0, 40, 600)
    labels = np.repeat([0, 1], 300)
    fold = folds_of(member, labels, 5, seed=0)
    assert all(len(set(fold[member == group])) == 1 for group in range(40))
    counts = np.array([[np.sum((fold == f) & (labels == label)) for f in range(5)] for label in (0, 1)])
    assert counts.min() > 40
    assert counts.max() < 85


def test_is_repeatable_takes_missing_values_and_says_which_samples_are_surest():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 200, 3))
    x[:20, 0] += 6
    y[:60, 2] = np.nan
    found, again = (two_sample_classifiers(x, y[:180], importance=True) for _ in range(2))
    assert found.auc == again.auc
    assert found.importance == again.importance
    assert "x3 missing" in list(found.importance)[:2]
    outlying = two_sample_classifiers(x, np.nan_to_num(y[:180]), classifiers=["trees"])
    assert np.mean(outlying.surest_generated[:8].numpy() < 20) > 0.8
    assert (outlying.by_name["trees"].real[outlying.surest_real].diff() <= 0).all()
    assert outlying.by_name["trees"].generated.isnan().sum() == 20
    assert outlying.by_name["trees"].real.isfinite().all()


def test_says_what_is_wrong():
    x = torch.randn(40, 2)
    with pytest.raises(UsageError, match="unknown"):
        two_sample_classifiers(x, x, classifiers=["forest"])
    with pytest.raises(UsageError, match="folds"):
        two_sample_classifiers(x[:8], x)
    with pytest.raises(UsageError, match="folds"):
        two_sample_classifiers(x, x, real_groups=torch.arange(40) // 20)
    with pytest.raises(UsageError, match="alone"):
        two_sample_classifiers(x, x, conditions=x)
    with pytest.raises(UsageError, match="groups"):
        two_sample_classifiers(x, x, groups=torch.arange(9))
    with pytest.raises(UsageError, match="pairs"):
        two_sample_classifiers(x[:30], x, paired=True)
