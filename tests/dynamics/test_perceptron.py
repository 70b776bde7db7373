"""The divergence of a perceptron, and its derivatives, against those by automatic differentiation."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from pushforward.dynamics import PerceptronFlow, exact_divergence, odeint
from pushforward.errors import UsageError


def layers(dim, hidden, others=0, dtype=torch.float64):
    torch.manual_seed(0)
    widths = [dim + 1 + others, *hidden, dim]
    linear = [torch.nn.Linear(a, b, dtype=dtype) for a, b in pairwise(widths)]
    return [layer.weight for layer in linear], [layer.bias for layer in linear]


def by_differentiation(weights, biases, t, state, *others):
    def field(t, y):
        h = torch.cat([y, t[:, None], *others], 1)
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            h = torch.tanh(h @ weight.T + bias)
        return h @ weights[-1].T + biases[-1]

    value, divergence = exact_divergence(field, t, state[:, :-1])
    return torch.cat([value, divergence[:, None]], 1)


def by_flow(weights, biases, *inputs):
    return PerceptronFlow(weights, biases)(*inputs)


@pytest.mark.parametrize(("dim", "hidden", "others"), [(1, (5,), 0), (2, (8, 6), 2), (3, (6, 7, 5), 0)])
def test_value_divergence_and_gradients(dim, hidden, others):
    weights, biases = layers(dim, hidden, others)
    state = torch.randn(11, dim + 1, dtype=torch.float64, requires_grad=True)
    t = torch.rand(11, dtype=torch.float64, requires_grad=True)
    columns = [torch.randn(11, 1, dtype=torch.float64, requires_grad=True) for _ in range(others)]

    def everything(function):
        out = function(weights, biases, t, state, *columns)
        loss = (out * torch.linspace(1, 2, dim + 1)).sin().sum()
        return out, *torch.autograd.grad(loss, [t, state, *columns, *weights, *biases])

    for found, expected in zip(everything(by_flow), everything(by_differentiation), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_second_derivatives_and_transforms():
    weights, biases = layers(2, (6, 5))
    t, state = torch.rand(4, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(
        lambda state, *layer: by_flow(layer[:3], layer[3:], t, state), (state, *weights, *biases)
    )
    flow = PerceptronFlow(weights, biases)

    def divergence(state):
        return flow(t, state)[:, 2]

    tangent = torch.randn_like(state)
    _, forward = torch.func.jvp(divergence, (state,), (tangent,))
    (backward,) = torch.autograd.grad(divergence(state).sum(), state)
    torch.testing.assert_close(forward.sum(), (backward * tangent).sum())
    many = torch.randn(3, 4, 3, dtype=torch.float64)
    torch.testing.assert_close(torch.func.vmap(divergence)(many)[1], divergence(many[1]))


@pytest.mark.parametrize("rows", [100, 700])
def test_single_precision_is_as_exact_as_its_rounding(rows):
    weights, biases = layers(2, (64, 64, 64), dtype=torch.float32)
    t, state = torch.rand(rows), torch.randn(rows, 3, requires_grad=True)
    inputs = [state, *weights, *biases]

    def everything(weights, biases, t, state):
        out = by_flow(weights, biases, t, state)
        return out, *(x.float() for x in torch.autograd.grad(out.square().sum(), inputs))

    exact = everything([w.double() for w in weights], [b.double() for b in biases], t.double(), state.double())
    for found, expected in zip(everything(weights, biases, t, state), exact, strict=True):
        assert (found - expected).abs().max() < 3e-6 * max(1.0, expected.abs().max())


@pytest.mark.parametrize("gradient", ["direct", "checkpointed", "adjoint"])
def test_a_flow_has_all_gradients(gradient):
    weights, biases = layers(2, (8, 8))
    start = torch.randn(5, 3, dtype=torch.float64)

    def gradients(gradient, field):
        y = odeint(field, start, torch.tensor([0.0, 1.0]), rtol=1e-10, atol=1e-10, gradient=gradient).y[-1]
        return torch.autograd.grad((y * y).sum(), [*weights, *biases])

    expected = gradients("direct", lambda t, state: by_differentiation(weights, biases, t, state))
    for found, value in zip(gradients(gradient, PerceptronFlow(weights, biases)), expected, strict=True):
        assert (found - value).norm() <= 1e-6 * value.norm()


def test_what_is_no_field_is_refused():
    weights, biases = layers(2, (4,))
    with pytest.raises(UsageError, match=r"2 biases and weights of shapes \(4, 2\), \(2, 4\)"):
        PerceptronFlow([weights[0][:, :2], weights[1]], biases)
    with pytest.raises(UsageError, match="two or more layers with one bias each"):
        PerceptronFlow(weights, biases[:1])
