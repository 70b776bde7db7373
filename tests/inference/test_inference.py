"""Posteriors: by likelihood and by a model of parameters, where the exact posterior is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.errors import DataError, UsageError
from pushforward.inference import Posterior, infer, inferred, prior_of, sample_likelihood
from pushforward.inference.observations import numbers_observed, plain_array, samples_observed

LOW, HIGH = np.array([0.0, -1.0]), np.array([1.0, 3.0])


def _prior(given=None):
    return prior_of(given, ["a", "b"], LOW, HIGH)


class Linear:
    """x = theta + 0.1 noise with theta uniform over (0, 1): both kinds of emulator, with their exact densities."""

    def __init__(self, *, of_parameters: bool) -> None:
        from pushforward.conditions import ConditionSpace
        from pushforward.ensembles import Parameter
        from pushforward.spaces import Vector

        self.space = Vector(1, ("theta",)) if of_parameters else Vector(1)
        self.parameters = (Parameter("x" if of_parameters else "theta"),)
        self.condition_space, self.wanted = ConditionSpace(1), (self.parameters[0].name,)
        self.config = {"parameters": [{"name": "theta", "minimum": 0.0, "maximum": 1.0}]}
        self.abilities = ("sampler",) if of_parameters else ("density",)
        self.rows = np.random.default_rng(9).uniform(0, 1, (500, 1)).astype(np.float32)

    def sample(self, n, condition=None, *, seed=None):
        x = float(condition["x"]) if isinstance(condition, dict) else float(condition[0, 0])
        return x + 0.1 * torch.randn(n, 1, generator=torch.Generator().manual_seed(seed))

    def log_prob(self, x, condition=None):
        return -0.5 * ((x - torch.as_tensor(condition)) / 0.1).square().sum(1)


def test_a_likelihood_and_normal_priors_give_the_product_of_gaussians():
    prior = _prior({"b": "1+-0.2"})
    at, error = np.array([0.45, 1.3]), np.array([0.05, 0.2])
    posterior = sample_likelihood(lambda theta: -0.5 * (((theta - at) / error) ** 2).sum(1), prior, 4000, seed=0)
    scatter = torch.tensor([0.05, 0.2 / 2**0.5])
    deviation = (posterior.mean - torch.tensor([0.45, 1.15])) / scatter
    assert deviation.abs().max() < 4 / posterior.ess.min() ** 0.5
    assert posterior.covariance.diag().sqrt().tolist() == pytest.approx(scatter.tolist(), rel=0.08)
    assert posterior.r_hat.max() < 1.05
    assert posterior.samples.shape == (4000, 2)


def test_two_separate_modes_keep_their_shares():
    def log_likelihood(theta):
        near = -0.5 * (((theta[:, 0] - 0.3) / 0.05) ** 2)
        far = -0.5 * (((theta[:, 0] - 0.7) / 0.05) ** 2) + np.log(3)
        return np.logaddexp(near, far)

    samples = sample_likelihood(log_likelihood, _prior(), 4000, seed=1).samples
    assert (samples[:, 0] > 0.5).double().mean() == pytest.approx(0.75, abs=0.05)


@pytest.mark.filterwarnings("ignore:the prior b=2.9")
def test_the_posterior_of_nothing_is_the_prior():
    prior = _prior({"a": "0.2:0.6", "b": "2.9+-0.5"})
    posterior = sample_likelihood(lambda theta: np.zeros(len(theta)), prior, 4000, seed=0).samples.double().numpy()
    drawn = prior.sample(20000, np.random.default_rng(0))
    assert prior.contains(posterior).all()
    assert posterior.mean(0) == pytest.approx(drawn.mean(0), abs=0.03)
    assert posterior.std(0) == pytest.approx(drawn.std(0), rel=0.1)


def test_an_impossible_observation_is_told():
    with pytest.raises(UsageError, match="zero likelihood"):
        sample_likelihood(lambda theta: np.full(len(theta), -np.inf), _prior(), 10, seed=0)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"c": "0:1"}, "no parameter called 'c'"),
        ({"a": "1:0"}, "no width"),
        ({"a": "0:2"}, "exceeds the training range, 0 to 1"),
        ({"a": (2, 3)}, "a=2:3 lies outside of the training range, 0 to 1"),
        ({"b": "-9:-2"}, "lies outside of the training range, -1 to 3"),
        ({"a": "3+-0.1"}, "lies outside of the training range, 0 to 1"),
        ({"b": "-1e6+-1"}, "with 0 % of its probability within"),
        ({"a": "wide"}, "cannot be read"),
        ({"a": "0.5+-0"}, "not positive"),
        ({"a": (0.1, float("nan"))}, "cannot be read"),
    ],
)
def test_priors_that_make_no_sense_are_refused(given, sentence):
    with pytest.raises(UsageError, match=sentence):
        _prior(given)


@pytest.mark.parametrize(("text", "left_out"), [("0.9+-0.2", "31 %"), ("0.5+-5", "92 %"), ("1.2+-0.1", "98 %")])
def test_a_normal_prior_that_reaches_beyond_the_training_range_is_cut_off_and_told(text, left_out):
    with pytest.warns(UserWarning, match=f"cut off at the training range, 0 to 1, which leaves out {left_out}"):
        prior = _prior({"a": text})
    assert (prior.low[0], prior.high[0]) == (0, 1)


@pytest.mark.filterwarnings("error")
def test_nothing_is_said_of_a_normal_prior_within_the_training_range():
    assert _prior({"a": "0.5+-0.15"}).deviation[0] == 0.15


def test_bounds_beyond_what_a_model_of_parameters_has_learned_are_told_or_refused():
    learned = Linear(of_parameters=True)
    learned.config["data"] = {"ranges": [[0.0, 1.0]]}
    with pytest.warns(UserWarning, match="theta=0.1:7 reaches beyond the training range, 0 to 1"):
        found = infer(learned, {"x": 0.5}, prior={"theta": (0.1, 7.0)}, seed=0)
    assert float(found.samples.min()) >= 0.1
    with pytest.raises(UsageError, match="theta=3:4 lies outside of the training range, 0 to 1"):
        infer(learned, {"x": 0.5}, prior={"theta": "3:4"})


def test_the_range_of_what_a_model_of_parameters_has_learned_is_recorded(tmp_path):
    rng = np.random.default_rng(0)
    theta = rng.uniform(0, 1, (200, 2)) + np.array([0.0, 1e6])
    data = pf.Ensemble.from_array(theta, conditions=theta[:, :1] + rng.normal(size=(200, 1)), name="both")
    settings = {"couplings": 1, "width": 8}
    emulator = pf.fit(data, "realnvp", steps=2, out=tmp_path / "run", settings=settings, progress=False, device="cpu")
    low, high = np.array(pf.Emulator.load(tmp_path / "run").config["data"]["ranges"]).T
    assert low == pytest.approx([0, 1e6], abs=0.1)
    assert high == pytest.approx([1, 1e6 + 1], abs=0.1)
    given = dict.fromkeys([parameter.name for parameter in emulator.parameters], 0.5)
    with pytest.raises(UsageError, match="lies outside of the training range"):
        emulator.posterior(given, of="samples", prior={"x2": "0:1"})


class Far(Linear):
    """The same with theta uniform over 10^6 and 10^6 + 1, and ten times less noise."""

    def __init__(self) -> None:
        super().__init__(of_parameters=False)
        self.config = {"parameters": [{"name": "theta", "minimum": 1e6, "maximum": 1e6 + 1.0}]}

    def log_prob(self, x, condition=None):
        return -0.5 * ((x + 1e6 - torch.as_tensor(condition)) / 0.01).square().sum(1)


def test_parameters_with_a_large_offset_keep_their_digits():
    found = infer(Far(), [0.5], seed=0)
    assert found.samples.dtype == torch.float64
    assert (found.mean - 1e6).item() == pytest.approx(0.5, abs=0.002)
    assert found.covariance.sqrt().item() == pytest.approx(0.01, rel=0.1)
    assert infer(Linear(of_parameters=False), [0.5], 100, seed=0).samples.dtype == torch.float32


SHAPES = {
    "vector": (pf.Vector(2), [(2,), (1, 2), (5, 2)], [(3,), (1, 3), (2, 1), (2, 2, 2), (), (0, 2)]),
    "one number": (pf.Vector(1), [(), (1,), (5,), (5, 1)], [(1, 2), (0,)]),
    "map": (pf.Field(1, (4, 6)), [(4, 6), (1, 4, 6), (3, 4, 6), (3, 1, 4, 6)], [(24,), (6, 4), (3, 2, 4, 6)]),
    "channels": (pf.Field(2, (4, 6)), [(2, 4, 6), (3, 2, 4, 6)], [(4, 6), (3, 4, 6), (3, 1, 4, 6)]),
}


@pytest.mark.parametrize(("space", "right", "wrong"), SHAPES.values(), ids=SHAPES)
def test_observed_samples_are_one_or_several_in_the_shape_of_the_space(space, right, wrong):
    for shape in right:
        numbers = np.arange(np.prod(shape), dtype=float)
        found = samples_observed(numbers.reshape(shape), space)
        assert found.shape[1:] == space.shape
        assert found.ravel().tolist() == numbers.tolist()
    for shape in wrong:
        with pytest.raises(UsageError, match="expected one sample, ") as told:
            samples_observed(np.zeros(shape), space)
        assert f"the observation has shape {shape}" in str(told.value), "as in the file, not as it was read"


def test_files_of_an_observation_are_taken_as_they_are(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.save(tmp_path / "words.npy", np.array(["a"]))
    (tmp_path / "damaged.npy").write_bytes(b"no array")
    assert plain_array(tmp_path / "one.npy").shape == (3,)
    for other in ("words.npy", "damaged.npy", "absent.npy", "one.csv"):
        assert plain_array(tmp_path / other) is None


def test_the_bounds_of_the_simulations_are_allowed_though_draws_end_short_of_them():
    prior = prior_of({"a": "0.2:0.4"}, ["a"], np.array([0.2001]), np.array([0.3999]))
    assert (prior.low[0], prior.high[0]) == (0.2, 0.4)


@pytest.mark.parametrize("of_parameters", [True, False])
def test_both_kinds_of_model_give_one_posterior(of_parameters):
    posterior = Linear(of_parameters=of_parameters)
    found = infer(posterior, {"x": 0.5} if of_parameters else [0.5], seed=0)
    assert found.mean.item() == pytest.approx(0.5, abs=0.02)
    assert found.covariance.sqrt().item() == pytest.approx(0.1, rel=0.1)
    assert found.names == ("theta",)
    assert torch.equal(found.samples, infer(posterior, {"x": 0.5} if of_parameters else [0.5], seed=0).samples)


def test_independent_observations_are_combined():
    rng = np.random.default_rng(0)
    x = 0.4 + 0.1 * rng.normal(size=(25, 1))
    found = infer(Linear(of_parameters=False), x, seed=0)
    assert found.mean.item() == pytest.approx(x.mean(), abs=0.004)
    assert found.covariance.sqrt().item() == pytest.approx(0.02, rel=0.1)


def test_bounds_cut_what_a_model_of_parameters_has_learned():
    found = infer(Linear(of_parameters=True), {"x": 0.5}, prior={"theta": "0.5:0.7"}, seed=0)
    assert float(found.samples.min()) >= 0.5
    assert float(found.samples.max()) <= 0.7
    assert found.acceptance == pytest.approx(0.477, abs=0.03)
    with pytest.raises(UsageError, match="can only be truncated"):
        infer(Linear(of_parameters=True), {"x": 0.5}, prior={"theta": "0.5+-0.1"})
    with pytest.raises(UsageError, match="lie within the prior"):
        infer(Linear(of_parameters=True), {"x": 0.5}, prior={"theta": "3:4"})


def test_what_is_inferred_is_asked_where_both_are_possible():
    both = Linear(of_parameters=True)
    both.abilities = ("sampler", "density")
    with pytest.raises(UsageError, match="give the target of inference: --of samples"):
        inferred(both)
    assert inferred(both, "conditions") == "conditions"
    both.wanted = ()
    with pytest.raises(UsageError, match="trained without"):
        inferred(both)


@pytest.mark.parametrize(
    ("observation", "sentence"), [([[0.1], [0.2]], "one row of 1"), ({"x": [0.1, 0.2]}, "of one observation")]
)
def test_several_observations_of_one_posterior_are_refused(observation, sentence):
    with pytest.raises(UsageError, match=sentence):
        infer(Linear(of_parameters=True), observation)


@pytest.mark.parametrize("of_parameters", [True, False])
@pytest.mark.parametrize(
    "observation", [["a"], [0.1 + 1j], [np.nan], [[[0.1]], [[0.2]]], np.zeros((0, 1)), None, object()]
)
def test_an_observation_that_is_no_row_of_numbers_is_refused(observation, of_parameters):
    with pytest.raises(UsageError, match=r"the observation (has shape|holds)"):
        infer(Linear(of_parameters=of_parameters), observation)


def test_an_observation_in_a_file_is_matched_by_name_or_refused(tmp_path):
    (tmp_path / "named.csv").write_text("v,u\n2,1\n")
    np.save(tmp_path / "row.npy", [1.0, 2.0])
    assert numbers_observed(tmp_path / "named.csv", ["u", "v"]) == {"u": 1, "v": 2}
    assert numbers_observed(tmp_path / "row.npy", ["u", "v"]).tolist() == [[1.0, 2.0]]
    assert numbers_observed(tmp_path / "named.csv", ["condition_0", "condition_1"]).tolist() == [[2.0, 1.0]]
    with pytest.raises(UsageError, match="no column w; it has v, u"):
        numbers_observed(tmp_path / "named.csv", ["u", "w"])
    with pytest.raises(DataError, match="there is no file"):
        numbers_observed(tmp_path / "absent.npy", ["u", "v"])
    np.save(tmp_path / "wide.npy", np.zeros((1, 5)))
    for names in (["u", "v"], ["condition_0", "condition_1"], ["condition_0"]):
        with pytest.raises(UsageError, match=r"has shape \(1, 5\); expected one row of"):
            numbers_observed(tmp_path / "wide.npy", names)


def test_an_empty_file_is_left_to_the_reader_of_files(tmp_path):
    (tmp_path / "empty.npy").touch()
    assert plain_array(tmp_path / "empty.npy") is None


def test_from_simulations_to_a_posterior_by_commands(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    theta = rng.uniform(-1, 1, (3000, 2))
    x = theta @ np.array([[1.0, 0.5], [0.0, 1.0]]) + 0.1 * rng.normal(size=(3000, 2))
    np.save("theta.npy", theta.astype(np.float32))
    np.save("x.npy", x.astype(np.float32))
    np.save("observed.npy", np.array([0.2, 0.1], np.float32))
    command("fit", "theta.npy", "--condition", "x.npy", "--model", "nsf", "--steps", 300, "--out", "run", "--seed", 0)
    command("infer", "run", "observed.npy", "-n", 2000, "--of", "samples", "-o", "posterior.csv", "--seed", 1)
    samples = pf.read("posterior.csv").tensor().numpy()
    assert samples.shape == (2000, 2)
    assert samples.mean(0) == pytest.approx([0.2, 0.0], abs=0.05)
    assert samples.std(0) == pytest.approx([0.1, (0.1**2 + 0.05**2) ** 0.5], rel=0.35)
    report = pf.validate(pf.Emulator.load("run"), samples=200, progress=False)
    judged = {v.statistic: v for v in report.verdicts if v.group == "calibration"}
    assert list(judged) == [f"calibration_{name}" for name in ("bias", "width", "correlations", "coverage")]
    assert judged["calibration_bias"].value < 15
    assert "Coverage" in report.html()


def test_a_corner_has_a_panel_for_each_parameter_and_pair():
    rng = np.random.default_rng(0)
    samples = torch.from_numpy(np.column_stack([rng.normal(size=(500, 2)), np.full(500, 3.0)]))
    each = Posterior(samples, ("a", "b", "c"), "neural", np.full(3, 500.0), np.full(3, np.nan), 1.0, 0)
    figure = each.plot(truth=(0.0, 0.0, 3.0))
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 6
    assert [axes.get_xlabel() for axes in shown[-3:]] == ["a", "b", "c"]
    with pytest.raises(UsageError, match="2 true values were given for 3 parameters"):
        each.plot(truth=(0.0, 0.0))
