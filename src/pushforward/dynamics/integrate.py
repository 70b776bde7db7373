"""The adaptive loop: every sample of a batch takes its own steps, in one tensor program.

A sample's time, step size, acceptance and outputs are its own; the batch only shares the calls of the vector field. A
sample that is done takes steps of length zero, or leaves the batch where the caller allows it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pushforward.dynamics.control import Controller, first_step, step_error
from pushforward.dynamics.events import Event, locate
from pushforward.dynamics.methods import Method, take_step
from pushforward.dynamics.runge_kutta import Step, VectorField, evaluate, over
from pushforward.dynamics.solution import Dense, Solution, Statistics, Status, failure
from pushforward.dynamics.tableau import Tableau
from pushforward.dynamics.wrapped import is_wrapped, unwrapped

__all__ = ["State", "Stepper", "integrate"]


@dataclass
class State:
    """Where every sample is. All of shape ``(batch,)`` but ``y`` and its derivative ``slope`` (batch, ...)."""

    t: Tensor
    y: Tensor
    slope: Tensor
    length: Tensor
    error: Tensor
    error_before: Tensor
    status: Tensor
    active: Tensor
    accepted: Tensor
    rejected: Tensor

    def take(self, rows: Tensor) -> State:
        return State(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass
class Stepper:
    """A reusable adaptive stepper: `start` it at a state, and `advance` it as often as you like.

    Arguments:
        field: ``field(t, y)`` with t (batch,) and y (batch, ...).
        end: where each sample stops, shape ``(batch,)``.
        sign: +1 or -1 for each sample, the direction of time.
        carry_slope: reuse the derivative at the end of a step as the first of the next one.
    """

    method: Method
    field: VectorField
    end: Tensor
    sign: Tensor
    rtol: Tensor | float
    atol: Tensor | float
    controller: Controller
    max_steps: int
    carry_slope: bool = True

    def take(self, rows: Tensor) -> Stepper:
        """The stepper of some of the samples."""
        tolerances = {"rtol": _rows(self.rtol, rows), "atol": _rows(self.atol, rows)}
        return replace(self, end=self.end[rows], sign=self.sign[rows], **tolerances)  # type: ignore[arg-type]

    def start(self, t: Tensor, y: Tensor, length: Tensor | None = None) -> State:
        """The first state; ``length`` is the first step's, chosen from the field where None."""
        slope = self.field(t, y)
        with torch.no_grad():
            if length is None:
                sizes = (self.rtol, self.atol)
                length = first_step(self.method.order, self.field, t, y, slope, self.sign, *sizes)
            one, zero = torch.ones_like(t.detach()), torch.zeros_like(t, dtype=torch.int64)
            active = (self.end - t) * self.sign > 0
        return State(t, y, slope, length, one, one, zero, active, zero, zero)

    def advance(self, state: State) -> tuple[State, Step, Tensor]:
        """One step of every active sample: the new state, the step, and which samples accepted it."""
        remaining = (self.end - state.t) * self.sign
        last = state.length >= remaining * (1 - 1e-6)
        length = torch.where(state.active, torch.where(last, remaining, state.length), 0.0)
        start = state.slope if self.carry_slope else None
        step = take_step(self.method, self.field, state.t, state.y, self.sign * length, start, self.carry_slope)
        with torch.no_grad():
            error = step_error(step, self.rtol, self.atol)
            accept = (error <= 1) & state.active
            factor = self.controller.factor(self.method.error_order + 1, error, state.error, state.error_before)
            proposal = torch.where(last & accept, state.length, length.detach()) * factor
            accepted, rejected = state.accepted + accept, state.rejected + (state.active & ~accept)
            status = self._status(state, error, accept, proposal, accepted + rejected)
            active = state.active & ~(accept & last) & (status == Status.SUCCESS)
            before = torch.where(accept, error.clamp_min(1e-4), state.error)
            earlier = torch.where(accept, state.error, state.error_before)
        taken = over(accept, state.y)
        new = State(
            t=torch.where(accept, torch.where(last, self.end, step.t + step.dt), state.t),
            y=torch.where(taken, step.y1, state.y),
            slope=state.slope if step.end is None else torch.where(taken, step.end, state.slope),
            length=torch.where(state.active, proposal, state.length),
            error=before,
            error_before=earlier,
            status=status,
            active=active,
            accepted=accepted,
            rejected=rejected,
        )
        return new, step, accept

    def _status(self, state: State, error: Tensor, accept: Tensor, proposal: Tensor, steps: Tensor) -> Tensor:
        """Failures among the active samples; `Status.SUCCESS` elsewhere."""
        resolution = 4 * torch.finfo(state.t.dtype).eps * torch.maximum(state.t.abs(), self.end.abs())
        stuck = ~accept & (proposal < resolution.clamp_min(torch.finfo(state.t.dtype).tiny))
        status = torch.where(stuck & torch.isinf(error), Status.NOT_FINITE, Status.SUCCESS)
        status = torch.where(stuck & ~torch.isinf(error), Status.STEP_TOO_SMALL, status)
        status = torch.where((status == Status.SUCCESS) & (steps >= self.max_steps), Status.TOO_MANY_STEPS, status)
        return torch.where(state.active, status, state.status)


def integrate(
    method: Method,
    field: VectorField,
    y0: Tensor,
    times: Tensor,
    *,
    rtol: Tensor | float,
    atol: Tensor | float,
    controller: Controller,
    max_steps: int = 10_000,
    length: Tensor | None = None,
    dense: bool = False,
    event: Event | None = None,
    rowwise: bool = False,
    on_accept: Callable[[Step, Tensor, Tensor], None] | None = None,
    carry_slope: bool = True,
    raise_on_failure: bool = True,
) -> Solution:
    """Solve from ``times[:, 0]`` to ``times[:, -1]``, with outputs at all the times.

    Arguments:
        times: shape ``(batch, T)``, monotonic along T for each sample, in either direction.
        on_accept: called with each step, the lengths that were accepted (batch,), zero for the others, and the times
            reached (batch,).
        carry_slope: see `Stepper`.
        rowwise: the field treats rows on their own and holds nothing per sample: finished samples leave the batch.
    """
    sign = torch.where(times[:, -1] >= times[:, 0], 1.0, -1.0).to(times.dtype)
    stepper = Stepper(method, field, times[:, -1], sign, rtol, atol, controller, max_steps, carry_slope=carry_slope)
    state = stepper.start(times[:, 0], y0, length)
    whole, rows = state, None
    outputs = _Outputs(times, y0)
    trajectory = Dense() if dense else None
    # a host synchronisation is free on a processor; elsewhere the loop looks only now and then whether it is done
    interval = 1 if y0.device.type == "cpu" else 8
    iteration = 0
    while iteration % interval or bool(unwrapped(state.active).any()):
        iteration += 1
        previous = state
        state, step, accept = stepper.advance(state)
        if event is not None:
            state, step = locate(event, previous, state, step, accept)
        outputs.collect(step, state.t, accept, rows, stepper.sign)
        if trajectory is not None:
            outputs.store(trajectory, step, accept)
        if on_accept is not None:
            on_accept(step, torch.where(accept, step.dt, 0.0), state.t)
        if rowwise and iteration % 4 == 0:
            still = torch.nonzero(state.active).squeeze(1)
            if 0 < len(still) <= 0.7 * len(state.t):
                whole = _scatter(whole, state, rows)
                rows = still if rows is None else rows[still]
                state = state.take(still)
                stepper = stepper.take(still)
    whole = _scatter(whole, state, rows)
    steps = whole.accepted + whole.rejected
    calls = method.calls + (not carry_slope and isinstance(method, Tableau) and method.first_same_as_last)
    stats = Statistics((2 if length is None else 1) + steps * calls, whole.accepted, whole.rejected)
    y = outputs.assemble(whole)
    solution = Solution(times, y, stats, whole.status, whole.t, whole.y, trajectory)
    error = failure(solution, whole.length) if raise_on_failure else None
    if error is not None:
        raise error
    return solution


def _rows(x: Tensor | float, rows: Tensor) -> Tensor | float:
    return x[rows] if isinstance(x, Tensor) and x.dim() else x


def _scatter(whole: State, part: State, rows: Tensor | None) -> State:
    """``whole`` with the samples ``rows`` replaced by those of ``part``."""
    if rows is None:
        return part
    values = {}
    for name in whole.__dataclass_fields__:
        values[name] = getattr(whole, name).index_copy(0, rows, getattr(part, name))
    return State(**values)


class _Outputs:
    """States at the output times, collected as the steps pass them."""

    def __init__(self, times: Tensor, y0: Tensor) -> None:
        self.times = times
        self.y0 = y0
        self.pieces: list[tuple[Tensor, Tensor, Tensor]] = []
        self.masked: list[tuple[Tensor, Tensor]] = []

    def collect(self, step: Step, now: Tensor, accept: Tensor, rows: Tensor | None, sign: Tensor) -> None:
        """Interpolate at the inner output times that lie in an accepted step."""
        if self.times.shape[1] <= 2:
            return
        inner = self.times[:, 1:-1] if rows is None else self.times[rows, 1:-1]
        way, start, end = (x[:, None] for x in (sign, step.t, now))
        inside = ((inner - start) * way > 0) & ((inner - end) * way <= 0) & accept[:, None]
        length = torch.where(step.dt == 0, 1.0, step.dt)
        if is_wrapped(inside):
            theta = (inner - start) / length[:, None]
            polynomial = step.polynomial()
            columns = [evaluate(polynomial, step.y0, column) for column in theta.unbind(1)]
            self.masked.append((inside, torch.stack(columns, 1)))
            return
        sample, column = torch.nonzero(inside, as_tuple=True)
        if len(sample):
            theta = (inner[sample, column] - step.t[sample]) / length[sample]
            values = evaluate(step.polynomial()[:, sample], step.y0[sample], theta)
            self.pieces.append((sample if rows is None else rows[sample], column + 1, values))

    def store(self, trajectory: Dense, step: Step, accept: Tensor) -> None:
        trajectory.t.append(step.t)
        trajectory.dt.append(torch.where(accept, step.dt, 0.0))
        trajectory.y0.append(step.y0)
        trajectory.polynomial.append(step.polynomial())

    def assemble(self, end: State) -> Tensor:
        """All outputs, shape ``(T, batch, ...)``; NaN where a sample did not get there."""
        reached = over(end.status == Status.SUCCESS, end.y)
        final = torch.where(reached, end.y, torch.nan)
        count = self.times.shape[1]
        if count == 1:
            return self.y0[None]
        if count == 2:
            return torch.stack([self.y0, final])
        shape = (self.times.shape[0], count, *self.y0.shape[1:])
        inner = torch.full(shape, torch.nan, dtype=self.y0.dtype, device=self.y0.device)
        if self.pieces:
            samples, columns, values = (torch.cat(part) for part in zip(*self.pieces, strict=True))
            inner = inner.index_put((samples, columns), values)
        middle = inner[:, 1:-1]
        for inside, values in self.masked:
            middle = torch.where(inside.reshape(inside.shape + (1,) * (values.dim() - 2)), values, middle)
        # an output time equal to the start is not inside any step
        waiting = (self.times[:, 1:-1] == self.times[:, :1]).reshape(middle.shape[:2] + (1,) * (middle.dim() - 2))
        middle = torch.where(waiting, self.y0[:, None], middle)
        return torch.cat([self.y0[:, None], middle, final[:, None]], 1).movedim(1, 0)
