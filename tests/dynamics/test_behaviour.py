"""Features missing in other solvers: independent samples, helpful failures, transforms, compilation, precision."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pushforward.dynamics import METHODS, Controller, IntegrationError, Status, Stepper, odeint
from pushforward.dynamics.compiled import Compiled
from pushforward.errors import UsageError

ADAPTIVE = [name for name, method in METHODS.items() if method.adaptive]
FIXED = [name for name, method in METHODS.items() if not method.adaptive]


def van_der_pol(t, y, mu):
    x, v = y.unbind(1)
    return torch.stack([v, mu * (1 - x * x) * v - x], 1)


def rotation(t, y):
    return torch.stack([y[:, 1], -y[:, 0]], 1)


def test_a_sample_is_solved_as_if_it_were_alone():
    mu = torch.tensor([0.1, 5.0, 40.0])
    y0, t = torch.tensor([[2.0, 0.0]] * 3), torch.tensor([0.0, 1.0])
    together = odeint(van_der_pol, y0, t, args=(mu,))
    for i in range(3):
        alone = odeint(van_der_pol, y0[i : i + 1], t, args=(mu[i : i + 1],))
        torch.testing.assert_close(together.y[:, i], alone.y[:, 0], rtol=1e-5, atol=1e-5)
        assert abs(together.stats.accepted[i] - alone.stats.accepted[0]) <= 1
    assert together.stats.accepted[2] > 3 * together.stats.accepted[0], "tame samples take few steps"


@pytest.mark.parametrize("rowwise", [False, True])
def test_constants_follow_their_samples_when_finished_ones_leave(rowwise):
    rates = torch.linspace(0.1, 3, 40, dtype=torch.float64).requires_grad_()
    ends = torch.linspace(0.2, 4, 40, dtype=torch.float64).flip(0)
    times = torch.stack([torch.zeros_like(ends), ends / 2, ends], 1)
    y0 = torch.ones(40, 1, dtype=torch.float64)
    sizes = set()

    def field(t, y, rate):
        sizes.add(len(y))
        return -rate[:, None] * y

    y = odeint(field, y0, times, rtol=1e-9, atol=1e-9, args=(rates,), rowwise=rowwise).y
    torch.testing.assert_close(y[:, :, 0], torch.exp(-rates * times.T), rtol=1e-7, atol=0)
    (found,) = torch.autograd.grad(y[-1].sum(), rates)
    torch.testing.assert_close(found, -ends * torch.exp(-rates * ends).detach(), rtol=1e-6, atol=1e-9)
    assert (len(sizes) > 1) == rowwise


@pytest.mark.parametrize("rowwise", [False, True])
@pytest.mark.parametrize("gradient", ["checkpointed", "adjoint"])
def test_constants_of_samples_have_gradients(gradient, rowwise):
    rates = torch.linspace(0.3, 6, 30, dtype=torch.float64, requires_grad=True)
    factor = torch.ones((), dtype=torch.float64, requires_grad=True)
    y0, t = torch.ones(30, 1, dtype=torch.float64), torch.tensor([1.0, 0.0])
    options = {"rtol": 1e-9, "atol": 1e-9, "gradient": gradient, "rowwise": rowwise}
    y = odeint(lambda t, y, rate: factor * rate[:, None] * y, y0, t, args=(rates,), **options).y[-1]
    by_rates, by_factor = torch.autograd.grad(y.sum(), (rates, factor))
    torch.testing.assert_close(by_rates, -torch.exp(-rates).detach(), rtol=1e-6, atol=0)
    torch.testing.assert_close(by_factor, -(rates * torch.exp(-rates)).sum().detach(), rtol=1e-7, atol=0)


def test_samples_may_go_in_both_directions_of_time():
    y0 = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    times = torch.tensor([[0.0, 1.0, 2.0], [2.0, 1.5, -1.0]], dtype=torch.float64)
    solution = odeint(rotation, y0, times, rtol=1e-9, atol=1e-9, dense=True)
    angle = times - times[:, :1]
    torch.testing.assert_close(solution.y, torch.stack([angle.cos(), -angle.sin()], -1).movedim(0, 1))
    torch.testing.assert_close(solution(times), solution.y)
    torch.testing.assert_close(solution.t_end, times[:, -1])


@pytest.mark.parametrize("method", ["dopri5", "tsit5", "dopri8"])
def test_a_failure_names_the_sample_the_time_the_step_and_the_norm(method):
    """dy/dt = y^2 from 1/T reaches infinity at T."""
    y0, t = torch.tensor([[0.1], [0.5], [0.2]]), torch.tensor([0.0, 3.0])
    with pytest.raises(
        IntegrationError, match=r"step size fell below the resolution of float32 at t = 2.*sample 1.*norm"
    ):
        odeint(lambda t, y: y * y, y0, t, method=method)
    reached = odeint(lambda t, y: y * y, y0, t, method=method, on_failure="return")
    assert reached.status.tolist() == [Status.SUCCESS, Status.STEP_TOO_SMALL, Status.SUCCESS]
    assert reached.t_end[1].item() == pytest.approx(2.0, abs=1e-3)
    assert reached.y[-1, 1].isnan().all()
    assert 0 < reached.last_step[1] < 1e-6
    torch.testing.assert_close(reached.y[-1, [0, 2], 0], torch.tensor([0.1 / 0.7, 0.5]), rtol=1e-4, atol=0)


def test_a_field_that_is_not_finite_is_told_apart():
    def wall(t, y):
        return torch.where(t[:, None] < 0.37, torch.ones_like(y), torch.nan)

    with pytest.raises(IntegrationError, match=r"not finite at t = 0.3\d+ for sample 0"):
        odeint(wall, torch.zeros(2, 1), torch.tensor([0.0, 1.0]))


def test_too_many_steps_are_told_apart():
    with pytest.raises(IntegrationError, match="the limit of 7 steps was reached at t = "):
        odeint(rotation, torch.ones(1, 2), torch.tensor([0.0, 100.0]), max_steps=7)


def test_an_overflow_of_a_rejected_step_does_not_spoil_the_gradient():
    rate = torch.tensor(1.0, requires_grad=True)
    y0, t = torch.tensor([[1.0], [2.0]]), torch.tensor([0.0, 1.0])
    # the first try is far too long, and asks for the root of a negative number
    y = odeint(lambda t, y: rate * (1 + y.sqrt() - 20 * y), y0, t, first_step=1e6, rtol=1e-5, atol=1e-5).y[-1]
    (found,) = torch.autograd.grad(y.sum(), rate)
    assert torch.isfinite(found)


@pytest.mark.parametrize("method", METHODS)
def test_single_precision_throughout(method):
    kinds = set()

    def field(t, y):
        kinds.update((t.dtype, y.dtype))
        return -y

    y0 = torch.ones(3, 2, requires_grad=True)
    t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    solution = odeint(field, y0, t, method=method, rtol=1e-4, atol=1e-4, steps=20 if method in FIXED else None)
    solution.y[-1].sum().backward()
    assert kinds == {torch.float32}
    assert {solution.y.dtype, solution.t_end.dtype, y0.grad.dtype} == {torch.float32}
    torch.testing.assert_close(y0.grad, torch.full((3, 2), math.exp(-1)), rtol=0.03, atol=0)


@pytest.mark.parametrize("method", FIXED)
@pytest.mark.parametrize("gradient", ["checkpointed", "adjoint"])
def test_fixed_steps_have_all_gradients(method, gradient):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    y0 = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    t = torch.tensor([1.0, 0.4, 0.3, -0.5], dtype=torch.float64, requires_grad=True)
    inputs = [y0, t, *net.parameters()]

    def gradients(gradient):
        y = odeint(
            lambda t, y: net(torch.cat([y, t[:, None]], 1)), y0, t, method=method, steps=40, gradient=gradient
        ).y  # fmt: skip
        return torch.autograd.grad((y * torch.arange(1.0, 5.0)[:, None, None]).sin().sum(), inputs)

    # the adjoint's gradient is that of the equation, the direct one that of the steps
    tolerance = 1e-9 if gradient == "checkpointed" else {"euler": 0.2, "rk4": 1e-5}.get(method, 1e-2)
    for found, expected in zip(gradients(gradient), gradients("direct"), strict=True):
        assert (found - expected).norm() <= tolerance * (1 + expected.norm())


@pytest.mark.parametrize("gradient", ["direct", "checkpointed", "adjoint"])
def test_a_solve_leaves_nothing_behind(gradient):
    import gc
    import weakref

    net = nn.Linear(2, 2)
    y0 = torch.randn(5, 2)
    for _ in range(2):
        y = odeint(lambda t, y: net(y).tanh(), y0, torch.tensor([0.0, 1.0]), gradient=gradient, rtol=1e-3, atol=1e-3).y
        seen = weakref.ref(y)
        y.sum().backward()
        del y
    gc.collect()
    assert seen() is None
    before = sum(isinstance(x, torch.Tensor) for x in gc.get_objects())
    odeint(lambda t, y: net(y).tanh(), y0, torch.tensor([0.0, 1.0]), gradient=gradient).y.sum().backward()
    gc.collect()
    assert sum(isinstance(x, torch.Tensor) for x in gc.get_objects()) <= before


def test_the_adjoint_of_a_flow_by_a_potential():
    """A gradient field needs second derivatives in the field itself, under every gradient."""
    net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1)).double()
    y0, t = torch.randn(3, 2, dtype=torch.float64), torch.tensor([0.0, 1.0])

    def descent(t, y):
        with torch.enable_grad():
            y = y if y.requires_grad else y.detach().requires_grad_()
            return -torch.autograd.grad(net(y).sum(), y, create_graph=True)[0]

    def gradients(gradient):
        y = odeint(descent, y0, t, rtol=1e-9, atol=1e-9, gradient=gradient).y[-1]
        return torch.autograd.grad(y.square().sum(), [net[0].weight, net[2].weight])

    for gradient in ("checkpointed", "adjoint"):
        for found, expected in zip(gradients(gradient), gradients("direct"), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_gradients_under_vmap_and_per_sample():
    """`torch.func.grad` and `vmap` through the solver, over parameters of each sample."""

    def end(rate):
        y0 = torch.ones(1, 1, dtype=torch.float64)
        return odeint(lambda t, y: -rate * y, y0, torch.tensor([0.0, 1.0]), rtol=1e-9, atol=1e-9).y[-1].sum()

    rates = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    found = torch.func.vmap(torch.func.grad(end))(rates)
    torch.testing.assert_close(found, -torch.exp(-rates), rtol=1e-7, atol=0)


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_a_function_that_solves_compiles(method):
    """Traced without a C++ compiler: with "eager" the graph that was traced is run as it is."""
    steps = 4 if method == "rk4" else None

    def end(y0):
        return odeint(rotation, y0, torch.tensor([0.0, 0.5, 1.0]), method=method, steps=steps).y[-1]

    torch._dynamo.reset()
    y0 = torch.randn(3, 2)
    compiled = torch.compile(end, backend="eager", fullgraph=method == "rk4")
    torch.testing.assert_close(compiled(y0), end(y0), rtol=1e-5, atol=1e-6)


def test_the_step_compiles_whole(monkeypatch):
    """Without a break in its graph, and with the same steps."""
    from pushforward.dynamics import stepper

    whole = Compiled(stepper._advance, backend="aot_eager", dynamic=False)
    monkeypatch.setattr(stepper, "_compiled", lambda: whole)
    torch._dynamo.reset()
    mu = torch.tensor([0.5, 3.0]).requires_grad_()
    y0, t = torch.tensor([[2.0, 0.0]] * 2), torch.tensor([0.0, 1.0, 2.0])
    plain = odeint(van_der_pol, y0, t, args=(mu,))
    compiled = odeint(van_der_pol, y0, t, args=(mu,), compile=True)
    assert torch.equal(plain.stats.accepted, compiled.stats.accepted)
    torch.testing.assert_close(plain.y, compiled.y)
    for a, b in zip(*(torch.autograd.grad(s.y[-1].sum(), mu) for s in (plain, compiled)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rowwise", [False, True])
def test_without_gradients_all_steps_compile_into_one_loop(monkeypatch, rowwise):
    from pushforward.dynamics import stepper

    whole = Compiled(stepper._loop, backend="eager", dynamic=False)
    monkeypatch.setattr(stepper, "_compiled_loop", lambda: whole)
    torch._dynamo.reset()
    mu = torch.logspace(-1, 1, 40)
    y0, t = torch.tensor([[2.0, 0.0]]).expand(40, 2), torch.tensor([3.0, 0.0])
    options = {"args": (mu,), "rowwise": rowwise, "rtol": 1e-4, "atol": 1e-4}
    with torch.no_grad():
        plain, compiled = (odeint(van_der_pol, y0, t, compile=compile, **options) for compile in (False, True))
        assert torch.equal(plain.stats.accepted, compiled.stats.accepted)
        torch.testing.assert_close(plain.y, compiled.y)
        with pytest.raises(IntegrationError, match="the limit of 7 steps was reached"):
            odeint(van_der_pol, y0, t, compile=True, max_steps=7, **options)


def test_another_method_controller_and_tolerance_compile_too(monkeypatch):
    from pushforward.dynamics import stepper

    whole = Compiled(stepper._loop, backend="eager", dynamic=False)
    monkeypatch.setattr(stepper, "_compiled_loop", lambda: whole)
    torch._dynamo.reset()
    y0, t = torch.randn(3, 2), torch.tensor([0.0, 1.0])
    options = {"method": "bosh3", "rtol": 1e-3, "controller": Controller(proportional=0.4, integral=0.3)}
    with torch.no_grad():
        for chosen in ({}, options):
            plain, compiled = (odeint(rotation, y0, t, compile=compile, **chosen) for compile in (False, True))
            torch.testing.assert_close(plain.y, compiled.y)


def test_a_function_compiles_for_any_number_of_fields():
    def apply(field, y):
        return field(y) + 1

    torch._dynamo.reset()
    compiled = Compiled(apply, backend="eager")
    for i in range(20):
        assert compiled(eval(f"lambda y: {i} * y"), torch.ones(2)).tolist() == [i + 1.0] * 2


def test_a_stepper_is_reusable():
    stepper = Stepper(rotation, "tsit5", rtol=1e-9, atol=1e-9)
    y0 = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    for end in (1.0, 2.0):
        state = stepper.start(torch.zeros(1).double(), y0, torch.tensor([end]).double())
        seen = [0.0]
        while state.active.any():
            move = stepper.advance(state)
            state = move.state
            seen.append(state.t.item())
        assert seen == sorted(seen)
        torch.testing.assert_close(state.y, torch.tensor([[math.cos(end), -math.sin(end)]]).double())


def test_a_proportional_controller_rejects_fewer_steps_of_a_stiff_problem():
    mu = torch.full((1,), 50.0)
    y0, t = torch.tensor([[2.0, 0.0]]), torch.tensor([0.0, 3.0])
    options = {"args": (mu,), "rtol": 1e-4, "atol": 1e-4}
    plain = odeint(van_der_pol, y0, t, **options).stats
    smooth = odeint(van_der_pol, y0, t, controller=Controller(proportional=0.4, integral=0.3), **options).stats
    assert smooth.rejected.item() < plain.rejected.item()


def test_options_that_do_not_go_together_are_refused_with_a_sentence():
    y0, t = torch.ones(1, 1), torch.tensor([0.0, 1.0])
    cases = [
        ({"method": "rk4"}, "give their number with steps="),
        ({"method": "rk5"}, "known solvers are euler"),
        ({"gradient": "magic"}, "direct, checkpointed or adjoint"),
        ({"method": "rodas4", "gradient": "adjoint"}, "use gradient='direct' or 'checkpointed'"),
        ({"method": "rk4", "steps": 3, "event": lambda t, y: y[:, 0]}, "events need an adaptive method"),
        ({"method": "rk4", "steps": 3, "compile": True}, "compile the field"),
        ({"dense": True, "gradient": "adjoint"}, "dense output needs gradient='direct'"),
    ]
    for options, sentence in cases:
        with pytest.raises(UsageError, match=sentence):
            odeint(lambda t, y: -y, y0, t, **options)
    with pytest.raises(UsageError, match="must be monotonic"):
        odeint(lambda t, y: -y, y0, torch.tensor([0.0, 1.0, 0.5]))
