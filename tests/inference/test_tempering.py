"""Tempered likelihoods: overconfident ones get posteriors of the right width, right ones are left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.conditions import ConditionSpace
from pushforward.ensembles import Parameter
from pushforward.errors import UsageError
from pushforward.inference import infer
from pushforward.inference.tempering import best_power
from pushforward.statistics import posterior_calibration

ERROR = 0.05


class Overconfident:
    """x = theta + 0.05 noise, with a likelihood that counts each number ``times`` over."""

    def __init__(self, times: float = 1.0) -> None:
        self.times = times
        self.space, self.condition_space = pf.Vector(2), ConditionSpace(2)
        self.parameters, self.wanted = (Parameter("a"), Parameter("b")), ("a", "b")
        self.config = {"parameters": [{"name": name, "minimum": 0.0, "maximum": 1.0} for name in self.wanted]}
        self.abilities = ("density",)
        self.rows = np.random.default_rng(9).uniform(0, 1, (500, 2)).astype(np.float32)

    def log_prob(self, x, condition=None):
        return -0.5 * self.times * ((x - torch.as_tensor(condition)) / ERROR).square().sum(1)


def members(count, seed=0, dim=2):
    rng = np.random.default_rng(seed)
    theta = rng.uniform(0, 1, (count, dim)).astype(np.float32)
    x = (theta[:, :2] + ERROR * rng.normal(size=(count, 2))).astype(np.float32)
    names = ("a", "b", "c")[:dim]
    return pf.Ensemble.from_array(x, conditions=theta, names=names, name="held out")


@pytest.mark.parametrize("times", [1.0, 4.0, 30.0])
def test_the_power_undoes_evidence_that_is_counted_several_times(times):
    model = Overconfident(times)
    posterior = infer(model, [0.5, 0.4], tempered=members(64), seed=0)
    assert posterior.power * times == pytest.approx(1.0, abs=0.45)
    width = posterior.covariance.diag().sqrt()
    assert width.tolist() == pytest.approx([ERROR, ERROR], rel=0.35)
    assert f"to the power {posterior.power:.3g}" in str(posterior) or posterior.power == 1


def test_posteriors_of_a_wrong_density_are_calibrated_by_it():
    """Each number is doubled, as by a model that does not know that they are the same."""
    model, tested = Overconfident(6.0), members(60, seed=1)
    power = infer(model, [0.5, 0.4], 10, tempered=members(64), seed=0).power
    spreads = []
    for each in (1.0, power):
        rng = np.random.default_rng(2)
        width = ERROR / (model.times * each) ** 0.5
        drawn = tested.tensor()[:, None] + width * torch.from_numpy(rng.normal(size=(60, 99, 2)))
        spreads.append(posterior_calibration(drawn, tested.conditions).single.spread.mean())
    assert spreads[0] > 1.3
    assert spreads[1] == pytest.approx(1.0, abs=0.15)


def test_where_no_parameters_compete_it_says_so():
    rng = np.random.default_rng(0)
    truth, others = rng.uniform(0, 1, (40, 3)), rng.uniform(0, 1, (100, 3))
    with pytest.warns(UserWarning, match="narrower than the distances of parameters in training"):
        best_power(lambda number, theta: -1e4 * ((theta - truth[number]) ** 2).sum(1), truth, others)


def test_members_that_have_no_density_do_not_decide_the_power():
    rng = np.random.default_rng(0)
    truth, others = rng.uniform(0, 1, (60, 1)), rng.uniform(0, 1, (200, 1))
    x = truth + 0.1 * rng.normal(size=truth.shape)

    def log_likelihood(number, theta, excluded=3):
        logs = -0.5 * 9 * (((x[number] - theta) / 0.1) ** 2).sum(1)
        return np.full(len(theta), -np.inf) if number < excluded else logs

    assert best_power(log_likelihood, truth, others) == pytest.approx(1 / 9, rel=0.6)
    with pytest.raises(UsageError, match="55 of 60 held-out members have no density"):
        best_power(lambda number, theta: log_likelihood(number, theta, 55), truth, others)


def test_powers_and_members_that_do_not_fit_are_refused():
    model = Overconfident()
    for power in (0.0, 1.5, -1):
        with pytest.raises(UsageError, match=r"a power in \(0, 1\]"):
            infer(model, [0.5, 0.4], tempered=power)
    with pytest.raises(UsageError, match="20 held-out members"):
        infer(model, [0.5, 0.4], tempered=members(12))
    with pytest.raises(UsageError, match="need the conditions a, b"):
        infer(model, [0.5, 0.4], tempered=members(64, dim=3))
    model.abilities = ("sampler",)
    with pytest.raises(UsageError, match="only those by a likelihood"):
        infer(model, {"a": 0.5, "b": 0.4}, tempered=0.5)


def test_a_run_is_tempered_by_its_own_validation_members(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = members(400)
    np.save("x.npy", data.tensor().numpy())
    np.save("theta.npy", data.conditions)
    np.save("observed.npy", np.array([0.5, 0.4], np.float32))
    command("fit", "x.npy", "--condition", "theta.npy", "--model", "realnvp", "--steps", 20, "--out", "run",
            "--set", "couplings=2", "--set", "width=8")  # fmt: skip
    command("infer", "run", "observed.npy", "-n", 50, "--of", "conditions", "--tempered", "-o", "p.csv")
    assert pf.read("p.csv").tensor().shape == (50, 2)
