"""The adaptive loop, from the first output time to the last.

Samples share only the calls of the vector field. A finished sample waits for the others, or leaves the batch where the
caller allows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pushforward.dynamics.control import Controller, step_error
from pushforward.dynamics.events import Event, locate
from pushforward.dynamics.methods import Method, take_step
from pushforward.dynamics.outputs import Outputs
from pushforward.dynamics.runge_kutta import VectorField, rows
from pushforward.dynamics.solution import Solution, Statistics, Status
from pushforward.dynamics.stepper import State, Stepper, bind
from pushforward.tensors import is_wrapped, unwrapped

__all__ = ["Accepted", "Left", "integrate"]

Accepted = Callable[[Tensor, Tensor, Tensor, Tensor], None]
"""``on_accept(t, y, dt, now)``, called for every step: start (batch,), state there (batch, ...), accepted length
(batch,), zero where rejected, and the time reached (batch,)."""

Left = Callable[[Tensor], None]
"""``on_leave(still)``, called with the indices of the samples that stay in the batch."""

# smallest batch after finished samples leave, and smallest fraction of samples that may leave at once; a compiled step
# may need another compilation for another batch size
FEWEST, LEAVING, LEAVING_COMPILED = 8, 0.1, 0.5


def integrate(
    method: Method,
    field: VectorField,
    y0: Tensor,
    times: Tensor,
    *,
    rtol: Tensor | float,
    atol: Tensor | float,
    controller: Controller,
    args: Sequence[Tensor] = (),
    max_steps: int = 10_000,
    length: Tensor | None = None,
    dense: bool = False,
    event: Event | None = None,
    rowwise: bool = False,
    compile: bool = False,
    on_accept: Accepted | None = None,
    on_leave: Left | None = None,
) -> Solution:
    """Solve from ``times[:, 0]`` to ``times[:, -1]``, with outputs at all times.

    Arguments:
        times: shape ``(batch, T)``, not decreasing along T.
        args: passed to the field after t and y, one row per sample.
        length: first step, shape ``(batch,)``.
        event: function of (t, y, *args) that stops samples.
        rowwise: the field treats rows independently and holds no per-sample state: finished samples leave the batch.
        on_accept: called for every step; with it, samples leave only if ``on_leave`` is given too.
    """
    stepper = Stepper(field, method, rtol, atol, controller, compile=compile)
    target, theirs = times[:, -1], tuple(args)
    state = stepper.start(times[:, 0], y0, target, theirs, length)
    whole, remaining, slope = state, None, state.slope
    outputs = Outputs(times, y0, dense)
    keep = outputs.wanted or event is not None
    # a host synchronisation is free on the CPU; elsewhere the loop checks only now and then whether it is done
    interval = 1 if y0.device.type == "cpu" else 8
    if compile and not keep and on_accept is None and not torch.is_grad_enabled() and not is_wrapped(state.t):
        # no caller needs the single steps, so many of them are one call
        state, max_steps = _compiled_run(stepper, state, theirs, max_steps, shrink=rowwise), 0
    largest = 1 - (LEAVING_COMPILED if compile else LEAVING)
    shrinks = rowwise and not dense and not is_wrapped(state.t)
    shrinks = shrinks and (on_accept is None or on_leave is not None)
    for iteration in range(max_steps):
        if iteration % interval == 0:
            left = int(unwrapped(state.active).sum())
            if left == 0:
                break
            if shrinks and FEWEST <= left <= largest * len(state.t):
                whole = state if remaining is None else whole.with_rows(remaining, state)
                still = torch.nonzero(state.active).squeeze(1)
                remaining = still if remaining is None else remaining[still]
                state, stepper, theirs = state.rows(still), stepper.rows(still), tuple(x[still] for x in theirs)
                if on_leave is not None:
                    on_leave(still)
        previous = state
        state, accepted, dt, step = stepper.advance(state, theirs, keep)
        if step is not None and keep:
            if event is not None:
                state = locate(event, state, step, accepted, theirs)
            outputs.collect(step, state.t, accepted, remaining)
        if on_accept is not None:
            on_accept(previous.t, previous.y, torch.where(accepted, dt, 0.0), state.t)
    whole = state if remaining is None else whole.with_rows(remaining, state)
    status = _status(whole, target, Stepper(field, method, rtol, atol, controller), tuple(args))
    rejected = whole.steps - whole.accepted
    stats = Statistics((2 if length is None else 1) + whole.steps * method.calls, whole.accepted, rejected)
    # an event may fall on the last time itself
    reached = (status == Status.SUCCESS) | ((status == Status.EVENT) & (whole.t == target))
    y = outputs.assemble(whole.y, reached, slope)
    return Solution(times, y, stats, status, whole.t, whole.y, whole.length, outputs.trajectory)


def _compiled_run(stepper: Stepper, state: State, args: tuple[Tensor, ...], limit: int, *, shrink: bool) -> State:
    """The state after all steps. With ``shrink``, half of the batch leaves at a time."""
    whole, rows = state, torch.arange(len(state.t), device=state.t.device)
    few = int(len(rows) * LEAVING_COMPILED) if shrink else 0
    while True:
        taken, state = stepper.run(state, args, few if few >= FEWEST else 0, limit)
        limit -= taken
        whole = whole.with_rows(rows, state)
        still = torch.nonzero(state.active).squeeze(1)
        if not len(still) or not limit:
            return whole
        few = 0
        if len(still) >= FEWEST:
            rows, state, stepper = rows[still], state.rows(still), stepper.rows(still)
            args = tuple(x[still] for x in args)
            few = int(len(rows) * LEAVING_COMPILED)


def _status(state: State, target: Tensor, stepper: Stepper, args: tuple[Tensor, ...]) -> Tensor:
    """Status of each sample. One that stops before its target could not be advanced by its last step size."""
    status = torch.where(state.active, Status.TOO_MANY_STEPS, state.status)
    stuck = (state.end < target) & (status == Status.SUCCESS)
    if not bool(unwrapped(stuck).any()):
        return status
    with torch.no_grad():
        # repeat the last attempted step, to see whether it was finite
        dt = state.length / stepper.controller.smallest
        step = take_step(stepper.method, bind(stepper.field, args), state.t, state.y, dt, None, False)
        finite = torch.isfinite(step_error(step, stepper.rtol, stepper.atol))
        finite &= torch.isfinite(rows(state.slope)).all(1)
    return torch.where(stuck, torch.where(finite, Status.STEP_TOO_SMALL, Status.NOT_FINITE), status)
