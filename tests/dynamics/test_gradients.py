"""Three ways to a gradient agree with finite differences, with one another, and with what memory they promise."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import nn

from pushforward.dynamics import odeint

GRADIENTS = ("direct", "checkpointed", "adjoint")


@pytest.fixture
def problem():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    speed = torch.linspace(1, 3, 4, dtype=torch.float64)[:, None]

    def field(t, y):
        return net(torch.cat([y, t[:, None]], 1)) * speed

    y0 = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    spans = torch.linspace(0.6, 1.2, 4, dtype=torch.float64)[:, None]
    t = (torch.linspace(0, 1.5, 4, dtype=torch.float64) * spans).requires_grad_()
    return net, field, y0, t


def loss(field, y0, t, **options):
    y = odeint(field, y0, t, rtol=1e-10, atol=1e-10, **options).y
    return (y * torch.arange(1, len(y) + 1, dtype=y.dtype)[:, None, None]).sin().sum()


def finite_difference(function, x, direction, h=1e-5):
    with torch.no_grad():
        original = x.clone()
        values = []
        for sign in (1, -1):
            x.copy_(original + sign * h * direction)
            values.append(function())
        x.copy_(original)
    return (values[0] - values[1]) / (2 * h)


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("method", ["dopri5", "tsit5", "dopri8"])
def test_gradients_agree_with_finite_differences(gradient, method, problem):
    net, field, y0, t = problem
    inputs = [y0, t, *net.parameters()]
    found = torch.autograd.grad(loss(field, y0, t, method=method, gradient=gradient), inputs)
    for x, by_x in zip(inputs, found, strict=True):
        direction = torch.randn_like(x)
        expected = finite_difference(lambda: loss(field, y0, t, method=method), x, direction)
        assert (by_x * direction).sum() == pytest.approx(expected.item(), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(
    "times",
    [(0.0, 0.0, 0.4, 1.0), (0.0, 0.4, 1.0, 1.0), (0.3, 0.3), (1.0, 1.0, 0.5)],
    ids=["start", "end", "all", "back"],
)
@pytest.mark.parametrize(("method", "options"), [("dopri5", {"rtol": 1e-10, "atol": 1e-10}), ("rk4", {"steps": 40})])
def test_equal_output_times_have_the_same_gradient_by_all_three(method, options, times, problem):
    net, field, y0, _ = problem
    t = torch.tensor(times, dtype=torch.float64, requires_grad=True)
    inputs = [y0, t, *net.parameters()]

    def found(gradient):
        y = odeint(field, y0, t, method=method, gradient=gradient, **options).y
        weights = torch.arange(1, len(y) + 1, dtype=y.dtype)[:, None, None]
        return torch.autograd.grad((weights * y).sin().sum(), inputs, materialize_grads=True, allow_unused=True)

    direct = found("direct")
    for gradient in ("checkpointed", "adjoint"):
        torch.testing.assert_close(found(gradient), direct, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_second_derivatives(gradient, problem):
    net, field, y0, t = problem

    def slope():
        (first,) = torch.autograd.grad(loss(field, y0, t, gradient=gradient), y0, create_graph=True)
        return first.square().sum()

    weight = net[0].weight
    (found,) = torch.autograd.grad(slope(), weight)
    direction = torch.randn_like(weight)
    h = 1e-5
    with torch.no_grad():
        weight += h * direction
    above = slope().detach()
    with torch.no_grad():
        weight -= 2 * h * direction
    below = slope().detach()
    with torch.no_grad():
        weight += h * direction
    assert (found * direction).sum() == pytest.approx(((above - below) / (2 * h)).item(), rel=1e-5)


@pytest.mark.parametrize("checkpoints", [1, 3, None])
def test_checkpoints_change_the_memory_not_the_gradient(checkpoints, problem):
    net, field, y0, t = problem
    inputs = [y0, *net.parameters()]
    direct = torch.autograd.grad(loss(field, y0, t), inputs)
    options = {"gradient": "checkpointed", "checkpoints": checkpoints}
    found = torch.autograd.grad(loss(field, y0, t, **options), inputs)
    for a, b in zip(found, direct, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


def saved_bytes(gradient, steps):
    """Bytes that autograd keeps from the forward to the backward pass, and the most that a backward step keeps."""
    net = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 4))
    y0 = torch.randn(16, 4, requires_grad=True)
    alive, peak = 0, 0

    class Kept:
        def __init__(self, tensor):
            nonlocal alive, peak
            self.tensor = tensor.detach()  # an output that knows its own graph would keep itself alive
            self.size = tensor.numel() * tensor.element_size()
            alive += self.size
            peak = max(peak, alive)

        def __del__(self):
            nonlocal alive
            alive -= self.size

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        t = torch.tensor([0.0, 1.0])
        # a huge tolerance and a given step: exactly so many steps
        y = odeint(
            lambda t, y: net(y), y0, t, rtol=1e9, atol=1e9, first_step=1 / steps, gradient=gradient,
            controller=steady(),
        ).y_end  # fmt: skip
        y.sum().backward()
    gc.collect()
    return peak


def steady():
    from pushforward.dynamics import Controller

    return Controller(smallest=1.0, largest=1.0)


def test_the_memory_of_the_adjoint_does_not_grow_with_the_steps():
    short, long = saved_bytes("adjoint", 10), saved_bytes("adjoint", 1000)
    assert long <= 1.05 * short
    assert saved_bytes("direct", 100) > 5 * saved_bytes("adjoint", 100), "the measure must see the direct gradient grow"


def test_the_adjoint_finds_the_parameters_of_a_plain_function():
    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    y0 = torch.ones(3, 1, dtype=torch.float64)
    y = odeint(lambda t, y: weight * y, y0, torch.tensor([0.0, 1.0]), rtol=1e-9, atol=1e-9, gradient="adjoint").y_end
    (found,) = torch.autograd.grad(y.sum(), weight)
    assert found.item() == pytest.approx(3 * torch.exp(weight).item(), rel=1e-7)


def test_torch_func_transforms():
    def end(y0):
        return odeint(lambda t, y: -y * y.cos(), y0, torch.tensor([0.0, 0.4, 1.0]), rtol=1e-8, atol=1e-8).y[-1]

    many = torch.rand(4, 3, 2, dtype=torch.float64)
    torch.testing.assert_close(torch.func.vmap(end)(many)[2], end(many[2]))
    tangent = torch.randn(3, 2, dtype=torch.float64)
    _, forward = torch.func.jvp(end, (many[0],), (tangent,))
    jacobian = torch.func.jacrev(end)(many[0])
    torch.testing.assert_close(forward, torch.einsum("abcd,cd->ab", jacobian, tangent))


def test_the_time_of_an_event_is_differentiable():
    height = torch.tensor([[10.0, 0.0], [20.0, 0.0]], dtype=torch.float64, requires_grad=True)

    def fall(t, y):
        return torch.stack([y[:, 1], torch.full_like(t, -9.81)], 1)

    times = torch.tensor([0.0, 10.0], dtype=torch.float64)
    solution = odeint(fall, height, times, event=lambda t, y: y[:, 0], rtol=1e-9, atol=1e-9)
    expected = (2 * height[:, 0] / 9.81).sqrt()
    torch.testing.assert_close(solution.t_end, expected, rtol=1e-8, atol=0)
    (found,) = torch.autograd.grad(solution.t_end.sum(), height)
    torch.testing.assert_close(found[:, 0], (2 * 9.81 * height[:, 0]).rsqrt(), rtol=1e-7, atol=0)
