"""Posteriors by regression: calibrated, honest within groups, and indifferent to summaries that do not vary."""

from __future__ import annotations

import numpy as np
import pytest

from pushforward.errors import DataError
from pushforward.inference.regression import RegressionPosteriors
from pushforward.statistics import posterior_calibration


def simulated(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two parameters, and five summaries of which noise grows with the first."""
    rng = np.random.default_rng(seed)
    theta = rng.uniform(size=(count, 2))
    noise = (0.1 + 0.4 * theta[:, :1]) * rng.normal(size=(count, 5))
    return theta, theta @ rng.normal(size=(2, 5)) + noise


def test_posteriors_are_calibrated_and_as_wide_as_the_noise():
    theta, s = simulated(2000, 0)
    posteriors = RegressionPosteriors.fit(s[:1500], theta[:1500])
    drawn = posteriors.samples(s[1500:])
    single = posterior_calibration(drawn, theta[1500:]).single
    assert (single.bias.abs() < 4 * single.bias_null.std(0)).all()
    assert ((single.spread - 1).abs() < 4 * single.spread_null.std(0)).all()
    wide = drawn.std(1).mean(1)
    noisy, quiet = theta[1500:, 0] > 0.8, theta[1500:, 0] < 0.2
    assert wide[noisy].mean() > 1.3 * wide[quiet].mean()


def test_members_of_a_group_do_not_inform_on_each_other():
    """Summaries that name the group, and nothing else, tell nothing of a group that is held out."""
    rng = np.random.default_rng(0)
    theta, names = rng.uniform(size=(30, 1)).repeat(10, 0), rng.normal(size=(30, 4)).repeat(10, 0)
    groups = np.arange(30).repeat(10)
    drawn = RegressionPosteriors.fit(names, theta, groups).samples(names, groups)
    assert np.sqrt(((drawn.mean(1) - theta) ** 2).mean()) > 0.9 * theta.std()


def test_a_summary_that_hardly_varies_cannot_mislead():
    theta, s = simulated(400, 1)
    posteriors = RegressionPosteriors.fit(np.c_[s, 1 + 1e-8 * np.random.default_rng(0).normal(size=400)], theta)
    moved = np.c_[s[:5], np.full(5, 1.01)]
    assert np.allclose(posteriors.samples(moved), posteriors.samples(np.c_[s[:5], np.ones(5)]))


def test_fewer_groups_than_folds_and_values_that_are_not_finite_are_refused():
    theta, s = simulated(40, 2)
    with pytest.raises(DataError, match="at least 5 groups of simulations, not 4"):
        RegressionPosteriors.fit(s, theta, np.arange(40) // 10)
    s[3, 1] = np.inf
    with pytest.raises(DataError, match="finite"):
        RegressionPosteriors.fit(s, theta)
