"""The continuous normalizing flow: its density, its gradients, its penalties, and what it is told to do."""

from __future__ import annotations

import math
from itertools import repeat

import pytest
import torch
from torch import nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import TrainingError, UsageError
from pushforward.models import Batch
from pushforward.models.cnf import CNF
from pushforward.models.settings import parse_settings
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector


def moved(dim=2, numbers=0, seed=0, scale=0.05, **settings):
    """A small flow whose every parameter has a random part."""
    torch.manual_seed(seed)
    model = CNF(Vector(dim), ConditionSpace(numbers), CNF.Settings(**{"width": 16, "matching": 0.0, **settings}))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(scale * torch.randn_like(parameter))
        model.velocity.weights[-1].add_(0.1 * torch.randn_like(model.velocity.weights[-1]))
    return model.eval()


def batch_of(x, condition=None, seed=0, progress=0.5):
    return Batch(x, condition, Draws(seed, len(x), dtype=x.dtype), progress)


def turn_of(model, x, **given):
    """The last of the turns on a batch."""
    *_, turn = model.turns(repeat(batch_of(x, **given)))
    return turn


class Linear(nn.Module):
    """dz/dt = A z: the flow is a matrix exponential, and the density a normal one."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def given(self, condition=None):
        return self

    @property
    def weights(self):
        return (self.matrix,)

    @property
    def tensors(self):
        return [self.matrix]

    rowwise = True

    def forward(self, t, y):
        return y @ self.matrix.T

    def with_divergence(self, t, y):
        return self(t, y), self.matrix.trace().expand(len(y))

    def with_changes(self, t, y, directions):
        return self(t, y), directions @ self.matrix.T


@pytest.fixture
def linear():
    def make(**settings):
        model = CNF(Vector(2), settings=CNF.Settings(**{"matching": 0.0, "test_tolerance": 1e-9, **settings})).double()
        model.velocity = Linear(torch.tensor([[0.6, 0.9], [-0.4, 0.2]], dtype=torch.float64))
        return model

    return make


def test_the_density_of_a_linear_field_is_the_normal_density_of_its_matrix_exponential(linear):
    model = linear()
    carried = torch.linalg.matrix_exp(model.velocity.matrix.detach())
    covariance = torch.linalg.inv(carried.T @ carried)
    exact = torch.distributions.MultivariateNormal(torch.zeros(2, dtype=torch.float64), covariance)
    x = torch.randn(9, 2, dtype=torch.float64)
    torch.testing.assert_close(model.log_prob(x), exact.log_prob(x), rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(model.encode(x), x @ carried.T, rtol=1e-7, atol=1e-7)


def test_the_penalties_are_the_integrals_that_they_are_said_to_be(linear):
    model = linear(kinetic=0.3, jacobian=0.2, steps=40)
    x = torch.randn(400, 2, dtype=torch.float64)
    turn = turn_of(model, x)
    times = torch.linspace(0, 1, 401, dtype=torch.float64)
    matrix = model.velocity.matrix.detach()
    speeds = torch.stack([(x @ torch.linalg.matrix_exp(t * matrix).T @ matrix.T).square().sum(1).mean() for t in times])
    energy = torch.trapezoid(speeds, times)
    torch.testing.assert_close(turn.logs["kinetic"], energy, rtol=1e-5, atol=0)
    # for signs ε the form ‖Aε‖² scatters about ‖A‖² by twice the product of the columns
    scatter = 2 * (matrix[:, 0] @ matrix[:, 1]).abs() / len(x) ** 0.5
    assert (turn.logs["jacobian"] - matrix.square().sum()).abs() < 5 * scatter
    penalty = (0.3 * turn.logs["kinetic"] + 0.2 * turn.logs["jacobian"]) / 2
    torch.testing.assert_close(turn.loss.detach(), turn.logs["nll_per_dim"] + penalty)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_density_is_that_of_the_code_times_the_volume(depth):
    model = moved(dim=3, depth=depth, test_tolerance=1e-9).double()
    x = torch.randn(4, 3, dtype=torch.float64)
    z = model.encode(x)
    jacobian = torch.autograd.functional.jacobian(lambda x: model.encode(x).sum(0), x).movedim(1, 0)
    normal = -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
    torch.testing.assert_close(model.log_prob(x), normal + torch.linalg.slogdet(jacobian)[1], rtol=1e-6, atol=1e-6)


def test_the_density_integrates_to_one():
    model = moved(scale=0.1)
    axis = torch.linspace(-14, 14, 181)
    with torch.no_grad():
        mass = model.log_prob(torch.cartesian_prod(axis, axis)).double().exp().sum() * (axis[1] - axis[0]) ** 2
    assert float(mass) == pytest.approx(1.0, abs=1e-3)


def test_densities_between_data_and_noise_are_those_of_the_moving_samples():
    model = moved(scale=0.15)
    x = torch.randn(6, 2)
    with torch.no_grad():
        positions = model.flow(x, (0.0, 0.4, 1.0))
        middle = model.log_prob_at(positions[1], 0.4)
        there = model.log_prob_at(positions[2], 1.0)
        torch.testing.assert_close(model.flow(positions[2], (1.0, 0.4))[-1], positions[1], rtol=1e-3, atol=1e-3)
    field, t = model.velocity.given(), torch.linspace(0, 0.4, 201)
    with torch.no_grad():
        path = model.flow(x, t.tolist())
        traces = torch.stack([field.with_divergence(t[i : i + 1], y)[1] for i, y in enumerate(path)])
    torch.testing.assert_close(
        middle, model.log_prob(x).detach() - torch.trapezoid(traces, t, dim=0), rtol=0, atol=1e-3
    )
    torch.testing.assert_close(there, -0.5 * (positions[2].square() + math.log(2 * math.pi)).sum(1))


def test_samples_come_with_the_density_that_they_have():
    model = moved(numbers=2)
    condition = Condition(torch.randn(8, 2))
    with torch.no_grad():
        x, log_prob = model.sample_and_log_prob(Draws(3, 8), condition)
        torch.testing.assert_close(x, model.sample(Draws(3, 8), condition), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(log_prob, model.log_prob(x, condition), rtol=1e-3, atol=1e-3)
        cold, density = model.sample_and_log_prob(Draws(3, 8), condition, CNF.Sampling(temperature=0.5))
        z = model.encode(cold, condition)
        change = model.log_prob(cold, condition) + 0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
    base = -0.5 * ((z / 0.5).square() + math.log(2 * math.pi)).sum(1) - 2 * math.log(0.5)
    torch.testing.assert_close(density, base + change, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["rademacher", "gaussian"])
def test_the_estimated_trace_has_the_mean_of_the_exact_one(kind):
    exact, estimated = (
        moved(dim=3, scale=0.2, trace=trace, probe=kind, kinetic=0.0) for trace in ("exact", "hutchinson")
    )
    x = torch.randn(1, 3).expand(4096, 3).contiguous()
    with torch.no_grad():
        truth = turn_of(exact, x[:1]).logs["nll_per_dim"]
        found = turn_of(estimated, x).logs["nll_per_dim"]
        halves = [turn_of(estimated, x[:64], seed=seed).logs["nll_per_dim"] for seed in range(1, 65)]
    error = torch.stack(halves).std() / 8
    assert error > 0, "an estimate must scatter"
    assert (found - truth).abs() < 5 * error


@pytest.mark.parametrize("gradient", ["direct", "checkpointed", "adjoint"])
@pytest.mark.parametrize("numbers", [0, 2])
def test_every_way_to_differentiate_gives_the_same_gradient(gradient, numbers):
    adaptive = {"solver": "dopri5", "tolerance": 1e-8}
    reference = moved(numbers=numbers, solver="rk4", steps=60, kinetic=0.1).double()
    model = moved(numbers=numbers, gradient=gradient, kinetic=0.1, **adaptive).double()
    x = torch.randn(5, 2, dtype=torch.float64)
    condition = Condition(torch.randn(5, numbers, dtype=torch.float64)) if numbers else None
    gradients = []
    for each in (reference, model):
        loss = turn_of(each, x, condition=condition).loss
        found = torch.autograd.grad(loss, list(each.parameters()))
        gradients.append(torch.cat([part.flatten() for part in found]))
    assert (gradients[0] - gradients[1]).norm() < 1e-5 * gradients[0].norm()


def test_a_turn_tells_how_often_the_velocity_was_evaluated():
    x = torch.randn(16, 2)
    assert float(turn_of(moved(steps=5), x).logs["evaluations"]) == 20
    loose, tight = (turn_of(moved(solver="tsit5", tolerance=tol), x).logs["evaluations"] for tol in (1e-2, 1e-6))
    assert float(loose) < float(tight)
    assert float(turn_of(moved(matching=1.0), x).logs["evaluations"]) == 1
    with torch.no_grad():
        counts = [moved(test_tolerance=tol).evaluations(x) for tol in (1e-2, 1e-6)]
    assert counts[0].shape == (16,)
    assert (counts[0] < counts[1]).all()


def test_a_run_begins_with_flow_matching_and_goes_on_with_the_likelihood():
    model, x = moved(matching=0.3), torch.randn(8, 2)
    assert "nll_per_dim" not in turn_of(model, x, progress=0.29).logs
    assert len(list(model.turns(repeat(batch_of(x, progress=0.29))))) == CNF.regressions
    assert "nll_per_dim" in turn_of(model, x, progress=0.3).logs


def test_maximum_likelihood_alone_learns_a_correlated_normal_distribution():
    torch.manual_seed(0)
    model = CNF(Vector(2), settings=CNF.Settings(width=16, matching=0.0, kinetic=0.01, steps=4))
    factor = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    exact = torch.distributions.MultivariateNormal(torch.zeros(2), factor @ factor.T)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(250):
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / 250)
        loss = turn_of(model, torch.randn(128, 2, generator=torch.Generator().manual_seed(step)) @ factor.T).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x = exact.sample((2000,))
    with torch.no_grad():
        gap = (exact.log_prob(x) - model.log_prob(x)).mean()
    assert -0.005 < float(gap) < 0.02


def test_spaces_and_settings_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="vectors and particles, not a field"):
        CNF(Field(1, (8, 8)))
    with pytest.raises(UsageError, match="known solvers are"):
        parse_settings(CNF.Settings, {"solver": "rk5"})
    with pytest.raises(UsageError, match="needs an adaptive solver"):
        parse_settings(CNF.Settings, {"gradient": "adjoint"})
    with pytest.raises(UsageError, match="of 1 number"):
        CNF(Vector(2), ConditionSpace(1)).log_prob(torch.zeros(3, 2))


def test_a_flow_that_cannot_be_integrated_says_so(linear):
    class Explosive(Linear):
        def forward(self, t, y):
            return 50 * y * y.square().sum(1, keepdim=True)

    model = linear(solver="tsit5", test_tolerance=1e-4)
    model.velocity = Explosive(torch.zeros(2, 2, dtype=torch.float64))
    x = torch.ones(4, 2, dtype=torch.float64)
    with pytest.raises(TrainingError, match=r"could not be integrated.*sample"):
        turn_of(model, x)
    with pytest.raises(UsageError, match="larger tolerance"):
        model.encode(x)


def test_a_run_that_is_resumed_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, monkeypatch):
    from pushforward.ensembles import Ensemble
    from pushforward.training import fit, loop

    points = Ensemble.from_array(torch.randn(200, 2).numpy())
    settings = {"width": 8, "steps": 2, "matching": 0.5, "batch_size": 16, "trace": "hutchinson", "jacobian": 0.01}
    options = {"steps": 12, "settings": {**settings, "checkpoint_every": 0}, "progress": False}
    whole = fit(points, "cnf", out=tmp_path / "whole", **options)
    real, saved = loop.save_checkpoint, []

    def stop_in_the_middle(path, state):
        saved.append(path)
        if len(saved) > 8:
            raise UsageError("no space left")
        real(path, state)

    monkeypatch.setattr(loop, "save_checkpoint", stop_in_the_middle)
    with pytest.raises(TrainingError):
        fit(points, "cnf", out=tmp_path / "parts", **options)
    monkeypatch.undo()
    resumed = fit(points, "cnf", out=tmp_path / "parts", resume=True, **options)
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), f"{name} differs after the run was resumed"


@pytest.mark.parametrize("solver", ["tsit5", "dopri5", "rk4"])
def test_a_row_of_nan_has_no_density_and_spoils_no_other(solver):
    torch.manual_seed(0)
    model = CNF(Vector(2), settings=CNF.Settings(test_solver=solver)).eval()
    x = torch.randn(64, 2)
    whole, codes = model.log_prob(x), model.encode(x)
    x[7, 1] = math.nan
    others = torch.arange(64) != 7
    found, code = model.log_prob(x), model.encode(x)
    torch.testing.assert_close(found[others], whole[others])
    torch.testing.assert_close(code[others], codes[others])
    assert found[7].isnan()
    assert code[7].isnan().any()
