"""The flow of a vector field as a layer: against matrix exponentials, and what it costs."""

import pytest
import torch
from torch import nn

from pushforward.dynamics import NeuralODE
from pushforward.errors import UsageError


class Linear(nn.Module):
    """dy/dt = A y, whose flow is exp(A (t1 - t0))."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.matrix = nn.Parameter(scale * torch.randn(3, 3, generator=generator, dtype=torch.float64))

    def forward(self, t, y):
        return y @ self.matrix.T


def start(count: int = 4) -> torch.Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("span", [(0.0, 1.0), (2.0, 0.5)])
def test_the_flow_of_a_linear_field_is_a_matrix_exponential(span):
    field = Linear()
    flow = NeuralODE(field, span, evaluation_rtol=1e-10).eval()
    exact = start() @ torch.linalg.matrix_exp(field.matrix * (span[1] - span[0])).T
    torch.testing.assert_close(flow(start()), exact, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(flow.inverse(flow(start())), start(), rtol=1e-7, atol=1e-7)


def test_evaluation_is_more_exact_than_training_and_costs_more():
    flow, exact = NeuralODE(Linear(), rtol=1e-2, evaluation_rtol=1e-8), None
    exact = start() @ torch.linalg.matrix_exp(flow.field.matrix).T
    errors, costs = [], []
    for mode in (True, False):
        flow.train(mode)
        errors.append(float((flow(start()) - exact).detach().abs().max()))
        costs.append(flow.stats.evaluations)
    assert errors[1] < 1e-6 < errors[0] < 0.1
    assert costs[0].shape == (4,), "statistics are told for each sample"
    assert (costs[1] > costs[0]).all()


@pytest.mark.parametrize("gradient", ["adjoint", "checkpointed", "direct"])
def test_gradients_are_those_of_the_exact_flow(gradient):
    flow = NeuralODE(Linear(), rtol=1e-10, gradient=gradient)
    y = start().requires_grad_()
    found = torch.autograd.grad(flow(y).sin().sum(), [y, flow.field.matrix])
    exact = (y @ torch.linalg.matrix_exp(flow.field.matrix).T).sin().sum()
    for ours, theirs in zip(found, torch.autograd.grad(exact, [y, flow.field.matrix]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-7)


def kept(flow: NeuralODE) -> int:
    """Numbers that autograd keeps for the backward pass of one call."""
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
        flow(start().requires_grad_())
    return sum(sizes)


def test_the_adjoint_keeps_as_much_for_a_deep_flow_as_for_a_shallow_one():
    shallow, deep = (NeuralODE(Linear(), (0.0, end), rtol=1e-6) for end in (0.1, 10.0))
    assert kept(shallow) == kept(deep)
    assert (deep.stats.accepted > 5 * shallow.stats.accepted).all(), "the comparison needs many more steps"
    direct = [NeuralODE(Linear(), (0.0, end), rtol=1e-6, gradient="direct") for end in (0.1, 10.0)]
    assert kept(direct[1]) > 5 * kept(direct[0]), "which is what the adjoint is there for"


def test_it_composes_and_trains_like_any_layer():
    torch.manual_seed(0)

    class Field(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 2))

        def forward(self, t, y):
            return self.layers(torch.cat([y, t[:, None]], 1))

    network = nn.Sequential(nn.Linear(2, 2), NeuralODE(Field()), nn.Linear(2, 1))
    x = torch.randn(64, 2)
    wanted = (x[:, :1] * x[:, 1:]).tanh()
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-2)
    losses = []
    for _ in range(120):
        loss = (network(x) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert "1.field.layers.0.weight" in network.state_dict()


def test_outputs_at_times_of_their_own_and_anywhere():
    flow = NeuralODE(Linear(), evaluation_rtol=1e-9).eval()
    times = torch.tensor([[0.0, 0.3, 1.0], [0.0, 0.5, 2.0]], dtype=torch.float64)
    solution = flow.solve(start(2), times, dense=True)
    for sample in range(2):
        for column in range(3):
            exact = torch.linalg.matrix_exp(flow.field.matrix * times[sample, column]) @ start(2)[sample]
            torch.testing.assert_close(solution.y[column, sample], exact, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(solution(times[:, 1:2])[0], solution.y[1], rtol=1e-6, atol=1e-6)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match="two different times"):
        NeuralODE(Linear(), (1.0, 1.0))
    with pytest.raises(UsageError, match="positive"):
        NeuralODE(Linear(), rtol=0.0)
