"""The measures of `benchmarks.posteriors` and the solver of its tasks, where the answer is known."""

import numpy as np
import pytest
from benchmarks.c2st import c2st
from benchmarks.posterior_tasks import solved
from benchmarks.posteriors import versus


@pytest.mark.parametrize(("shift", "accuracy"), [(0.0, 0.5), (2.0, 0.841)])
def test_c2st_is_the_accuracy_of_the_best_classifier(shift, accuracy):
    rng = np.random.default_rng(0)
    real, drawn = rng.normal(size=(700, 1)), shift + rng.normal(size=(700, 1))
    assert c2st(real, drawn.astype(np.float32)) == pytest.approx(accuracy, abs=0.04)


def test_solver_keeps_an_oscillation():
    found = solved(lambda x: np.stack([x[:, 1], -x[:, 0]], 1), np.array([[1.0, 0.0]]), every=1.0, count=8, steps=50)
    times = np.arange(8.0)
    assert np.allclose(found[0], np.stack([np.cos(times), -np.sin(times)], 1), atol=1e-6)


def test_posteriors_are_compared_over_observations_that_both_have():
    assert versus({1: 0.6, 2: 0.9}, {1: 0.7}) is True
    assert versus({1: 0.6}, {1: 0.5, 2: 0.9}) is False
    assert versus({}, {1: 0.5}) is None
