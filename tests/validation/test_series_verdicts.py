"""Series are judged by verdicts that call faults by their name, and find none where there is none."""

import numpy as np
import pytest
from stand_ins import StandIn

from pushforward.ensembles import Ensemble
from pushforward.errors import UsageError
from pushforward.spaces import Series
from pushforward.validation import validate
from pushforward.validation.series import _structure
from pushforward.validation.verdict import OFF

SPACE = Series(2, 20, timed=True)


def walks(count: int, rng: np.random.Generator, memory: float = 2.0) -> np.ndarray:
    """Pairs of Ornstein-Uhlenbeck processes of unit variance at random times in 0 to 10, a fifth missing."""
    times = np.sort(rng.uniform(0, 10, (count, SPACE.length)), axis=1)
    values = rng.standard_normal((count, SPACE.length, 2))
    kept = np.exp(-np.diff(times, axis=1) / memory)[..., None]
    for row in range(1, SPACE.length):
        values[:, row] = kept[:, row - 1] * values[:, row - 1] + np.sqrt(1 - kept[:, row - 1] ** 2) * values[:, row]
    values[rng.random(values.shape) < 0.2] = np.nan
    values[:, 0] = np.nan_to_num(values[:, 0])
    return np.concatenate([times[..., None], values], -1).astype(np.float32)


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble.from_array(walks(1500, np.random.default_rng(0)), space=SPACE, name="walks")


def judged(ensemble, draw):
    report = validate(StandIn(ensemble, draw), ensemble, progress=False)
    return {verdict.statistic: verdict for verdict in report.verdicts}, report


def test_more_of_the_same_is_at_the_floor(ensemble):
    verdicts, report = judged(ensemble, lambda n, c, rng: walks(n, rng))
    assert not [v.sentence for v in verdicts.values() if v.verdict == OFF]
    assert report.joint_p_value > 0.01, report.multiplicity
    page = report.html()
    assert "Structure function" in page
    assert "Real and generated series over time" in page


@pytest.mark.parametrize(
    ("fault", "statistic"),
    [
        (lambda n, c, rng: walks(n, rng, memory=0.2), "structure_function"),
        (lambda n, c, rng: np.concatenate([(x := walks(n, rng))[..., :1], x[..., 1:] + 1], -1), "values_over_time"),
        (lambda n, c, rng: np.concatenate([(x := walks(n, rng))[..., :2], x[..., 1:2]], -1), "time_correlations"),
    ],
    ids=["too short a memory", "shifted", "two coordinates alike"],
)
def test_a_fault_is_called_by_its_name(ensemble, fault, statistic):
    verdicts, _ = judged(ensemble, fault)
    assert verdicts[statistic].verdict == OFF


def test_the_structure_function_of_a_walk_is_that_of_theory():
    """S(tau) = 1 - exp(-tau / memory) for unit variance."""
    x = walks(4000, np.random.default_rng(1)).astype(float)
    edges = np.geomspace(0.5, 5, 6)
    found = _structure(x[..., 0], x[..., 1:], edges).mean((0, 1))
    fine = np.linspace(0, 1, 50)
    tau = edges[:-1] + fine[:, None] * np.diff(edges)
    np.testing.assert_allclose(found, (1 - np.exp(-tau / 2)).mean(0), rtol=0.04)


def test_a_sample_of_which_nothing_is_left_is_refused(ensemble):
    def broken(n, c, rng):
        x = walks(n, rng)
        x[3, :, 1:] = np.nan
        return x

    with pytest.raises(UsageError, match="1 of 150 generated samples hold values that are not finite"):
        judged(ensemble, broken)
