"""Situations from issue trackers: the right value, or one sentence that says what to do."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from pushforward.dynamics import METHODS, Controller, IntegrationError, Status, integrate_symplectic, odeint, sdeint
from pushforward.errors import UsageError
from pushforward.randomness import Draws

ADAPTIVE = [name for name, method in METHODS.items() if method.adaptive]
FIXED = [name for name, method in METHODS.items() if not method.adaptive]
EXPLICIT = [name for name in ADAPTIVE if name != "rodas4"]


def decay(t, y):
    return -y


def rise(t, y):
    return torch.ones_like(y)


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


def steps_for(method, steps=50):
    return {"steps": steps} if method in FIXED else {}


# --- direction of time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [4, 50])
@pytest.mark.parametrize("method", METHODS)
def test_dense_output_backwards_is_as_good_as_the_method(method, steps):
    """dy/dt = -y from y(1) = 1 back to 0."""
    solution = odeint(
        decay, doubles(1.0)[:, None], doubles(1.0, 0.0), method=method, dense=True, **steps_for(method, steps)
    )
    queries = doubles(0, 0.25, 0.5, 0.777, 1)
    error = (solution(queries)[:, 0, 0] - torch.exp(1 - queries)).abs().max()
    order = min(METHODS[method].order, 3)  # of the cubic between the ends of a fixed step: 4, and of their states
    assert error < (3 * steps**-order if method in FIXED else 1e-4)


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_samples_in_both_directions_have_dense_output(method):
    times = doubles(0, 1, 1, 0).reshape(2, 2)
    solution = odeint(decay, doubles(1, 1)[:, None], times, method=method, dense=True, **steps_for(method))
    queries = doubles(0.1, 0.6, 0.9)
    expected = torch.stack([torch.exp(-queries), torch.exp(1 - queries)], 1)
    torch.testing.assert_close(solution(queries)[:, :, 0], expected, rtol=1e-6, atol=1e-6)


def test_stochastic_and_symplectic_paths_go_backwards():
    t = doubles(1, 0)
    path = integrate_symplectic(lambda t, q: -q, doubles(1)[:, None], doubles(0)[:, None], t, steps=200)
    assert path.position[-1].item() == pytest.approx(math.cos(1), abs=1e-4)
    still = sdeint(decay, lambda t, y: 0 * y, doubles(1)[:, None], t, steps=2000, draws=Draws(0, 1, dtype=t.dtype))
    assert still[-1].item() == pytest.approx(math.e, rel=1e-3)


# --- times with an offset ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("offset", "moments", "rate"), [(2459000.0, (0.0, 0.1, 0.3), 1.0), (1.6e9, (0.0, 10.0, 20.0), 0.05)]
)
def test_times_with_an_offset_keep_their_precision(method, offset, moments, rate, backwards):
    """Julian dates and seconds since 1970, with a state in single precision."""
    t, sign = doubles(*moments), -1 if backwards else 1
    solution = odeint(
        lambda t, y: -sign * rate * y, torch.ones(1, 1), offset + sign * t, method=method, dense=True,
        **steps_for(method, 100),
    )  # fmt: skip
    tolerance = {"rtol": 0, "atol": 6e-3 if method == "euler" else 2e-4}
    torch.testing.assert_close(solution.y[:, 0, 0], torch.exp(-rate * t).float(), **tolerance)
    torch.testing.assert_close(solution(offset + sign * t)[:, 0, 0], torch.exp(-rate * t).float(), **tolerance)
    assert solution.t_end.item() == pytest.approx(offset + sign * moments[-1], rel=1e-12)


@pytest.mark.parametrize("t", [[2459000, 2459000.1], torch.tensor([1600000000, 1600000020])])
def test_offsets_survive_lists_and_whole_numbers(t):
    span = float(t[-1] - t[0])
    y = odeint(lambda t, y: -y / span, torch.ones(1, 1), t).y[-1].item()
    assert y == pytest.approx(math.exp(-1), rel=1e-5)


@pytest.mark.parametrize("gradient", ["direct", "checkpointed", "adjoint"])
def test_a_field_of_time_sees_the_users_time(gradient):
    """dy/dt = w cos(2 pi t) with whole days as the offset, in both directions at once."""
    weight = torch.ones((), requires_grad=True)
    t = 2459000 + doubles(0, 0.25, 0.25, 0).reshape(2, 2)
    field = lambda t, y: weight * torch.cos(2 * math.pi * t)[:, None].to(y)  # noqa: E731
    y = odeint(field, torch.zeros(2, 1), t, gradient=gradient, rowwise=True).y[-1]
    torch.testing.assert_close(y[:, 0], torch.tensor([1, -1]) / (2 * math.pi), rtol=1e-4, atol=1e-5)
    (found,) = torch.autograd.grad(y[0].sum(), weight)
    assert found.item() == pytest.approx(1 / (2 * math.pi), rel=1e-4)


def test_an_event_sees_the_users_time():
    t = 2459000 + doubles(0.0, 3.0)
    solution = odeint(rise, torch.zeros(1, 1), t, event=lambda t, y: t - 2459001.25)
    assert solution.t_end.item() == pytest.approx(2459001.25, abs=1e-5)


# --- events -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ADAPTIVE)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_step_that_lands_on_an_event_stops_there(method, sign):
    options = {"method": method, "first_step": 0.5}
    y0 = doubles(0.0)[:, None]
    solution = odeint(rise, y0, sign * doubles(0, 2), event=lambda t, y: sign * t - 0.5, **options)
    assert solution.status.tolist() == [Status.EVENT]
    assert solution.t_end.item() == sign * 0.5


@pytest.mark.parametrize("method", ADAPTIVE)
def test_an_event_at_the_last_time_is_an_event(method):
    solution = odeint(rise, doubles(0.0)[:, None], doubles(0, 1, 2), method=method, event=lambda t, y: t - 2)
    assert solution.status.tolist() == [Status.EVENT]
    assert solution.y[:, 0, 0].tolist() == pytest.approx([0, 1, 2])


@pytest.mark.parametrize("method", ADAPTIVE)
@pytest.mark.parametrize(
    ("start", "roots", "expected"),
    [
        (-1.0, (2.5, 5.0, 0.0), 1.0),
        (1.0, (2.5, 5.0), 1.5),
        (0.0, (7.0, 7.5), 7.0),
        (0.0, (30.0, 31.0, 33.0, 35.0), 30.0),
    ],
)
def test_the_first_of_several_roots_in_a_step_stops(method, start, roots, expected):
    def event(t, y):
        return torch.stack([root - y[:, 0] for root in roots]).prod(0)

    y0 = doubles(start, start)[:, None]
    solution = odeint(rise, y0, doubles(0, 100), method=method, event=event)
    assert solution.t_end.tolist() == pytest.approx([expected] * 2, abs=1e-6)


@pytest.mark.parametrize(
    "event",
    [
        lambda t, y: (1 - y[:, 0]).clamp_min(0),
        lambda t, y: (y[:, 0] - 1).clamp_min(0),
        lambda t, y: y[:, 0] > 1,
        lambda t, y: y[:, 0] < 1,
        lambda t, y: (y[:, 0] - 1).sign().int(),
    ],
    ids=["falls to zero", "rises from zero", "becomes true", "becomes false", "a sign"],
)
def test_one_sided_and_boolean_events_stop(event):
    y0 = doubles(0.0, 0.5)[:, None].requires_grad_()
    solution = odeint(rise, y0, doubles(0, 5), event=event)
    assert solution.t_end.tolist() == pytest.approx([1.0, 0.5], abs=1e-6)
    assert solution.status.tolist() == [Status.EVENT] * 2
    (found,) = torch.autograd.grad(solution.y_end.sum(), y0)
    assert torch.isfinite(found).all()


def test_a_sample_may_start_on_its_event():
    """A ball thrown from the ground lands again."""
    fall = lambda t, y: torch.stack([y[:, 1], torch.full_like(t, -10)], 1)  # noqa: E731
    solution = odeint(fall, doubles(0, 5)[None], doubles(0, 9), event=lambda t, y: y[:, 0])
    assert solution.t_end.item() == pytest.approx(1.0, abs=1e-6)


def test_events_follow_their_samples_when_others_leave():
    times = torch.stack([doubles(*[1.0 + i / 40 for i in range(40)]), doubles(*[-1.0] * 40)], 1)
    y0 = torch.zeros(40, 1, dtype=torch.float64)
    solution = odeint(rise, y0, times, event=lambda t, y: t - 0.25, rowwise=True)
    assert solution.t_end.tolist() == pytest.approx([0.25] * 40)


# --- pulses and jumps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ADAPTIVE)
@pytest.mark.parametrize("options", [{"max_step": 0.4}, {"jump_times": [1.0, 2.0]}], ids=["max_step", "jump_times"])
@pytest.mark.parametrize("closed", [True, False])
def test_a_pulse_between_steps_is_seen(method, options, closed):
    """dy/dt = 1 for 1 <= t < 2, whichever end of the pulse belongs to it."""

    def pulse(t, y):
        inside = (t >= 1) & (t < 2) if closed else (t > 1) & (t <= 2)
        return inside.to(y)[:, None]

    both = doubles(0, 17, 17, 0).reshape(2, 2)
    y = odeint(pulse, doubles(0, 1)[:, None], both, method=method, **options).y[-1, :, 0]
    # error control alone has to find where the pulse begins and ends
    assert y.tolist() == pytest.approx([1.0, 0.0], abs=1e-3 if "max_step" in options else 1e-9)


@pytest.mark.parametrize("method", EXPLICIT)
def test_a_narrow_bump_is_seen(method):
    bump = lambda t, y: torch.exp(-(((t - 5) / 0.1) ** 2))[:, None]  # noqa: E731
    y = odeint(bump, doubles(0)[:, None], doubles(0, 10), method=method, max_step=0.1).y[-1].item()
    assert y == pytest.approx(0.1 * math.sqrt(math.pi), rel=1e-4)


def test_no_step_is_longer_than_asked():
    seen = []
    odeint(
        lambda t, y: seen.append(float(t[0])) or 0 * y, doubles(0)[:, None], doubles(0, 10), method="bosh3",
        max_step=0.3,
    )  # fmt: skip
    ordered = sorted(set(seen))
    assert max(b - a for a, b in pairwise(ordered)) <= 0.3


@pytest.mark.parametrize("gradient", ["direct", "checkpointed", "adjoint"])
def test_jumps_go_with_outputs_and_every_gradient(gradient):
    """dy/dt = h for t > a and 0 before: y(t) = h max(t - a, 0), with jumps of each sample's own."""
    height = doubles(3.0).requires_grad_()
    jumps = doubles(0.5, 1.25)
    times = doubles(0, 0.5, 1, 1.25, 2)
    field = lambda t, y, a: height * (t >= a).to(y)[:, None]  # noqa: E731
    y0 = torch.zeros(2, 1, dtype=torch.float64)
    solution = odeint(field, y0, times, args=(jumps,), jump_times=jumps[:, None], gradient=gradient)
    expected = (times[:, None] - jumps).clamp_min(0)
    torch.testing.assert_close(solution.y[:, :, 0], 3 * expected, rtol=1e-9, atol=1e-9)
    (found,) = torch.autograd.grad(solution.y.sum(), height)
    assert found.item() == pytest.approx(expected.sum().item(), rel=1e-7)


def test_a_jump_has_dense_output_events_and_failures():
    field = lambda t, y: (t >= 1).to(y)[:, None]  # noqa: E731
    y0, t = doubles(0, math.nan)[:, None], doubles(0, 4)
    options = {"jump_times": doubles(1, 9), "on_failure": "return", "dense": True}
    solution = odeint(field, y0, t, event=lambda t, y: (y[:, 0] > 1) & (t > 0), **options)
    assert solution.status.tolist() == [Status.EVENT, Status.NOT_FINITE]
    assert solution.t_end.tolist() == pytest.approx([2.0, 0.0])
    assert solution(doubles(0.5, 1.5))[:, 0, 0].tolist() == pytest.approx([0, 0.5])
    at_jump = odeint(field, y0[:1], t, event=lambda t, y: t - 1, jump_times=doubles(1))
    assert at_jump.status.tolist() == [Status.EVENT]
    assert at_jump.t_end.item() == pytest.approx(1)


# --- what fields return -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("y0", "field", "sentence"),
    [
        (torch.ones(3), lambda t, y: y[:, None], r"of the shape of y, \(3,\), not a tensor of shape \(3, 1\)"),
        (torch.ones(3, 1), lambda t, y: y[:, 0], r"not a tensor of shape \(3,\)"),
        (torch.ones(3, 2), lambda t, y: y.sum(), r"not a tensor of shape \(\)"),
        (torch.ones(3, 2), lambda t, y: 1.0, "not a float"),
        (torch.ones(3, 2), lambda t, y: (y, y), "not a tuple"),
        (torch.ones(3, 2), lambda t, y: y + 1j, "which is complex"),
    ],
)
def test_a_field_of_another_shape_is_refused(method, y0, field, sentence):
    with pytest.raises(UsageError, match=sentence):
        odeint(field, y0, torch.tensor([0.0, 1.0]), method=method, **steps_for(method))


@pytest.mark.parametrize("event", [lambda t, y: y, lambda t, y: y.sum(), lambda t, y: 1.0])
def test_an_event_of_another_shape_is_refused(event):
    with pytest.raises(UsageError, match=r"one number per sample, shape \(3,\)"):
        odeint(decay, torch.ones(3, 2), torch.tensor([0.0, 1.0]), event=event)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int64])
def test_a_field_in_another_precision_is_taken_in_the_states(dtype):
    y = odeint(lambda t, y: torch.ones_like(y, dtype=dtype), torch.zeros(2, 1), torch.tensor([0.0, 1.0])).y
    assert y.dtype == torch.float32
    torch.testing.assert_close(y[-1], torch.ones(2, 1))


@pytest.mark.parametrize("first_step", [None, 0.05])
@pytest.mark.parametrize("method", [*FIXED, *EXPLICIT])
def test_a_field_may_write_into_one_buffer(method, first_step):
    out = torch.empty(1, 2, dtype=torch.float64)

    def oscillator(t, y):
        out[:, 0], out[:, 1] = y[:, 1], -y[:, 0]
        return out

    options = steps_for(method, 4000) if method in FIXED else {"first_step": first_step}
    with torch.no_grad():
        y = odeint(oscillator, doubles(1, 0)[None], doubles(0, 1), method=method, **options).y[-1, 0]
    assert y.tolist() == pytest.approx([math.cos(1), -math.sin(1)], abs=1e-3 if method == "euler" else 1e-4)


def test_an_implicit_method_refuses_a_buffer():
    out = torch.empty(1, 2)
    with pytest.raises(UsageError, match="an implicit method differentiates the vector field"):
        odeint(lambda t, y: out.copy_(-y), torch.ones(1, 2), torch.tensor([0.0, 1.0]), method="rodas4")


def test_a_constant_field_may_be_one_tensor():
    speed = torch.full((2, 1), 3.0)
    y = odeint(lambda t, y: speed, torch.zeros(2, 1), torch.tensor([0.0, 1.0])).y[-1]
    torch.testing.assert_close(y, speed)


@pytest.mark.parametrize("gradient", ["direct", "adjoint"])
@pytest.mark.parametrize("method", METHODS)
def test_a_field_that_writes_into_its_arguments_is_refused(method, gradient):
    def inside(t, y):
        y *= -1
        return y

    def clock(t, y):
        t += 1
        return -y

    if method == "rodas4":
        gradient = "direct"
    y0, t = torch.ones(2, 1), torch.tensor([0.0, 1.0])
    for field, name in ((inside, "y"), (clock, "t")):
        with pytest.raises(UsageError, match=f"writes into its argument {name}"):
            odeint(field, y0, t, method=method, gradient=gradient, parameters=[], **steps_for(method))
    assert y0.tolist() == [[1.0], [1.0]]
    assert t.tolist() == [0.0, 1.0]


def test_an_event_that_writes_into_its_arguments_is_refused():
    with pytest.raises(UsageError, match="the event writes into its argument y"):
        odeint(decay, torch.ones(2, 1), torch.tensor([0.0, 1.0]), event=lambda t, y: y.sub_(1)[:, 0])


# --- numbers out of range ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"method": "rk4"}, "give their number with steps="),
        ({"method": "rk4", "steps": -2}, "steps must be a whole number of at least 1, not -2"),
        ({"method": "rk4", "steps": 0}, "steps must be a whole number"),
        ({"method": "rk4", "steps": 4.0}, "steps must be a whole number"),
        ({"method": "rk4", "steps": 4, "max_step": 0.1}, "max_step= needs an adaptive method"),
        ({"method": "rk4", "steps": 4, "jump_times": [1.0]}, "jump_times= needs an adaptive method"),
        ({"method": "rk4", "steps": 4, "first_step": 0.1}, "first_step= needs an adaptive method"),
        ({"steps": 10}, "dopri5 chooses its steps"),
        ({"first_step": -0.1}, "first_step must be positive, not -0.1"),
        ({"first_step": 0}, "first_step must be positive"),
        ({"first_step": torch.tensor([0.1, -0.1])}, "first_step must be positive, but its smallest"),
        ({"rtol": -1e-6}, "rtol must be positive or zero"),
        ({"atol": math.nan}, "atol must be positive or zero"),
        ({"rtol": torch.tensor([[1e-6], [-1.0]])}, "rtol must be positive or zero"),
        ({"rtol": "tight"}, "rtol must be a number"),
        ({"max_step": 0.0}, "max_step must be positive"),
        ({"max_steps": 0}, "max_steps must be a whole number"),
        ({"checkpoints": 3}, "checkpoints= needs gradient='checkpointed'"),
        ({"gradient": "checkpointed", "checkpoints": 0}, "checkpoints must be a whole number"),
        ({"on_failure": "ignore"}, "on_failure must be raise, nan or return"),
        ({"args": torch.ones(2)}, "args must be a sequence"),
        ({"args": (torch.ones(3),)}, "one row per sample, 2 here"),
        ({"jump_times": [math.nan]}, "must be finite"),
        ({"controller": "pid"}, "must be a Controller"),
    ],
)
def test_numbers_out_of_range_are_refused(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        odeint(lambda t, y, *args: -y, torch.ones(2, 1), torch.tensor([0.0, 10.0, 20.0]), **options)


@pytest.mark.parametrize("options", [{"safety": 0}, {"smallest": 2}, {"largest": 0.5}, {"max_step": -1}])
def test_a_controller_that_cannot_control_is_refused(options):
    with pytest.raises(UsageError):
        Controller(**options)


def test_a_tolerance_of_zero_may_be_one_of_two():
    y = odeint(decay, doubles(1)[:, None], doubles(0, 1), rtol=0, atol=1e-8).y[-1].item()
    assert y == pytest.approx(math.exp(-1), abs=1e-6)


@pytest.mark.parametrize("steps", [0, -1, 2.5])
def test_stochastic_and_symplectic_steps_are_counted(steps):
    y, t = torch.ones(2, 1), torch.tensor([0.0, 1.0])
    with pytest.raises(UsageError, match="steps must be a whole number of at least 1"):
        sdeint(decay, decay, y, t, steps=steps, draws=Draws(0, 2))
    with pytest.raises(UsageError, match="steps must be a whole number of at least 1"):
        integrate_symplectic(decay, y, y, t, steps=steps)


# --- NaN --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ADAPTIVE)
def test_nan_at_the_start_is_said_at_once(method):
    calls = 0

    def field(t, y):
        nonlocal calls
        calls += 1
        return torch.nan * y

    with pytest.raises(IntegrationError, match="not finite at t = 0 for sample 0"):
        odeint(field, torch.ones(1, 1), torch.tensor([0.0, 1.0]), method=method)
    assert calls < 20


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("method", METHODS)
def test_a_row_that_is_not_finite_loses_only_itself(method, bad):
    y0 = torch.ones(5, 2, dtype=torch.float64)
    t = doubles(0, 0.5, 1)
    whole = odeint(decay, y0, t, method=method, **steps_for(method)).y
    y0[3, 1] = bad
    solution = odeint(decay, y0, t, method=method, on_failure="return", **steps_for(method))
    assert solution.status.tolist() == [0, 0, 0, Status.NOT_FINITE, 0]
    others = [0, 1, 2, 4]
    torch.testing.assert_close(solution.y[:, others], whole[:, others], rtol=1e-12, atol=0)
    assert not torch.isfinite(solution.y[-1, 3]).all()
    lost = odeint(decay, y0, t, method=method, on_failure="nan", **steps_for(method))
    torch.testing.assert_close(lost.y[:, others], whole[:, others], rtol=1e-12, atol=0)
    torch.testing.assert_close(lost.y_end[others], whole[-1, others], rtol=1e-12, atol=0)
    assert not torch.isfinite(lost.y_end[3]).all()


@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_row_that_fails_on_the_way_is_still_an_error(method):
    y0 = doubles(math.nan, 1.0)[:, None]
    with pytest.raises(IntegrationError, match=r"for sample 1: .*1 of 2 samples failed"):
        odeint(lambda t, y: y * y, y0, doubles(0, 2), method=method, on_failure="nan")
    assert issubclass(IntegrationError, UsageError), "a command says it in a sentence"


# --- shapes and kinds of arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 2, 2), (0, 2)])
def test_states_of_any_shape_are_solved(method, shape):
    options = steps_for(method, 4000 if method == "euler" else 100)
    y = odeint(lambda t, y: -100 * y, torch.ones(shape, dtype=torch.float64), doubles(0, 0.1), method=method, **options)
    torch.testing.assert_close(y.y[-1], torch.full(shape, math.exp(-10), dtype=torch.float64), rtol=0.02, atol=1e-5)


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_stiff_states_of_any_shape_are_solved_by_the_implicit_method(shape):
    """dy/dt = -1e4 y, beside a method of short steps."""
    t, field = doubles(0, 1e-4, 0.01), lambda t, y: -1e4 * y
    y0 = doubles(1, 2, 3).reshape(shape)
    stiff, plain = (odeint(field, y0, t, method=method).y for method in ("rodas4", "dopri5"))
    torch.testing.assert_close(stiff[1], y0 * math.exp(-1), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(stiff, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("gradient", ["direct", "checkpointed", "adjoint"])
def test_states_without_an_axis_have_gradients(method, gradient):
    if method == "rodas4" and gradient == "adjoint":
        return
    y0 = doubles(1, 2, 3).requires_grad_()
    t = doubles(0, 0.0, 1).requires_grad_()
    y = odeint(decay, y0, t, method=method, gradient=gradient, **steps_for(method, 500)).y[-1]
    by_y0, by_t = torch.autograd.grad(y.sum(), (y0, t))
    torch.testing.assert_close(by_y0, torch.full_like(by_y0, math.exp(-1)), rtol=2e-3, atol=0)
    assert by_t[-1].item() == pytest.approx(-6 * math.exp(-1), rel=2e-3)


def test_an_event_of_a_state_without_an_axis():
    y0 = doubles(1, 2).requires_grad_()
    solution = odeint(lambda t, y: -torch.ones_like(y), y0, doubles(0, 5), event=lambda t, y: y - 0.5)
    torch.testing.assert_close(solution.t_end.detach(), doubles(0.5, 1.5))
    torch.testing.assert_close(torch.autograd.grad(solution.t_end.sum(), y0)[0], doubles(1, 1))


@pytest.mark.parametrize(
    ("y0", "t", "sentence"),
    [
        ((torch.ones(1, 1), torch.ones(1, 1)), [0.0, 1.0], "join the parts of a state by torch.cat"),
        (torch.tensor(1.0), [0.0, 1.0], "a batch of one"),
        (1.0, [0.0, 1.0], "a batch of one"),
        (torch.ones(1, 1).half(), [0.0, 1.0], r"solve in single precision, y0.float\(\)"),
        (torch.ones(1, 1).bfloat16(), [0.0, 1.0], "solve in single precision"),
        (torch.ones(1, 1) + 1j, [0.0, 1.0], "must hold real numbers"),
        (torch.ones(1, 1).long(), [0.0, 1.0], "must hold real numbers"),
        (None, [0.0, 1.0], "one tensor"),
        (torch.ones(1, 1), [], "t is empty"),
        (torch.ones(1, 1), 1.0, r"shape \(T,\) or \(batch, T\)"),
        (torch.ones(1, 1), "now", "a tensor of times"),
        (torch.ones(1, 1), [0.0, math.nan], "must be finite"),
        (torch.ones(1, 1), torch.ones(2, 2), r"shape \(T,\) or \(batch, T\)"),
    ],
)
@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_what_is_no_state_or_time_is_refused(method, y0, t, sentence):
    with pytest.raises(UsageError, match=sentence):
        odeint(decay, y0, t, method=method, **steps_for(method))


@pytest.mark.parametrize("method", METHODS)
def test_lists_arrays_and_single_times_work(method):
    options = {"method": method, **steps_for(method, 4000)}
    expected = pytest.approx(math.exp(-1), rel=2e-3)
    assert odeint(decay, [1.0, 1.0], [0, 1], **options).y[-1].tolist() == [expected] * 2
    assert odeint(decay, torch.ones(2, 1).numpy(), doubles(0, 1).numpy(), **options).y[-1, 1].item() == expected
    one = odeint(decay, torch.ones(2, 1), [0.0], dense=True, **options)
    assert one.y.tolist() == [[[1.0], [1.0]]]
    assert one([0.0, 0.0]).shape == (2, 2, 1)


def test_a_solution_says_what_it_can_be_asked():
    t = torch.tensor([0.0, 1.0])
    with pytest.raises(UsageError, match="dense=True"):
        odeint(decay, torch.ones(2, 1), t)([0.5])
    solution = odeint(decay, torch.ones(2, 1), t, dense=True)
    assert solution([0.5])[0, 0].item() == pytest.approx(math.exp(-0.5), rel=1e-4)
    with pytest.raises(UsageError, match=r"shape \(T,\) or \(batch, T\)"):
        solution(0.5)


@pytest.mark.parametrize("field", [None, torch.ones(2, 3), "decay"])
def test_a_field_that_is_no_function_is_refused(field):
    y0, t = torch.ones(2, 3), torch.tensor([0.0, 1.0])
    with pytest.raises(UsageError, match="the vector field must be a function of t and y"):
        odeint(field, y0, t)
    with pytest.raises(UsageError, match="the event must be a function of t and y"):
        odeint(lambda t, y: -y, y0, t, event="never")
    with pytest.raises(UsageError, match="the diffusion must be a function of t and y"):
        sdeint(lambda t, y: -y, field, y0, t, steps=2, draws=Draws(0, 2))
