"""Adaptive steps of a batch: every sample has its own time, step size and acceptance.

A sample that is finished, has failed or met its event has no time left, and takes steps of length zero. No decision in
a step depends on a value: it is a plain function of tensors that compiles, batches and differentiates.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch._higher_order_ops.while_loop import while_loop

from pushforward.dynamics.compiled import Compiled
from pushforward.dynamics.control import Controller, first_step, step_error
from pushforward.dynamics.methods import Method, find_method, take_step
from pushforward.dynamics.runge_kutta import Step, VectorField, over, rows
from pushforward.tensors import unwrapped

__all__ = ["Move", "State", "Stepper", "bind"]


class State(NamedTuple):
    """State of every sample: all of shape ``(batch,)`` but ``y`` and its derivative ``slope`` (batch, ...).

    Attributes:
        length: next step to attempt.
        end: time at which the sample is to stop; its current time where it cannot continue.
        error, error_before: of the last two accepted steps, in units of the tolerance.
        status: `Status.EVENT` where an event stopped the sample.
        steps, accepted: numbers of attempted and of accepted steps.
    """

    t: Tensor
    y: Tensor
    slope: Tensor
    length: Tensor
    end: Tensor
    error: Tensor
    error_before: Tensor
    status: Tensor
    steps: Tensor
    accepted: Tensor

    @property
    def active(self) -> Tensor:
        """Mask of the samples with time left."""
        return self.t < self.end

    def rows(self, rows: Tensor) -> State:
        """The state of the samples ``rows``."""
        return State(*(x[rows] for x in self))

    def with_rows(self, rows: Tensor, part: State) -> State:
        """This state with the samples ``rows`` replaced by those of ``part``."""
        return State(*(x.index_copy(0, rows, new) for x, new in zip(self, part, strict=True)))


class Move(NamedTuple):
    """Result of one step of the batch.

    Attributes:
        state: the new state.
        accepted: which samples accepted the step, shape ``(batch,)``.
        dt: length of the attempted step, shape ``(batch,)``.
        step: the step itself, with its stages; None unless requested.
    """

    state: State
    accepted: Tensor
    dt: Tensor
    step: Step | None


class Stepper:
    """A reusable adaptive stepper: `start` it at a state, and `advance` it as often as you like.

    Arguments:
        field: ``field(t, y, *args)`` with t (batch,) and y (batch, ...).
        method: a name, or your own tableau with an error estimate.
        rtol, atol: tolerance per step; a number, or one per sample shaped to broadcast with y.
        controller: step-size control.
        compile: compile the step with `torch.compile`.

    Example:
        >>> stepper = Stepper(lambda t, y: -y)
        >>> state = stepper.start(torch.zeros(3), torch.ones(3, 1), torch.tensor([1.0, 2.0, 3.0]))
        >>> while state.active.any():
        ...     state = stepper.advance(state).state
        >>> bool((state.y[:, 0] - torch.exp(-state.t)).abs().max() < 1e-5)
        True
    """

    def __init__(
        self,
        field: VectorField,
        method: str | Method = "dopri5",
        rtol: Tensor | float = 1e-6,
        atol: Tensor | float = 1e-6,
        controller: Controller | None = None,
        *,
        compile: bool = False,
    ) -> None:
        self.field, self.method = field, find_method(method)
        self.rtol, self.atol = rtol, atol
        self.controller = controller or Controller()
        self.compile = compile
        self.shrunk = False

    def rows(self, rows: Tensor) -> Stepper:
        """The stepper of the samples ``rows``."""
        rtol, atol = (x[rows] if isinstance(x, Tensor) and x.dim() else x for x in (self.rtol, self.atol))
        part = Stepper(self.field, self.method, rtol, atol, self.controller, compile=self.compile)
        part.shrunk = True
        return part

    def start(
        self, t: Tensor, y: Tensor, end: Tensor, args: Sequence[Tensor] = (), length: Tensor | None = None
    ) -> State:
        """Initial state at time ``t`` (batch,), to be advanced to the later time ``end`` (batch,).

        Arguments:
            length: first step; None: chosen from the field.
        """
        field = bind(self.field, args)
        slope = field(t, y)
        with torch.no_grad():
            if length is None:
                length = first_step(self.method.order, field, t, y, slope, self.rtol, self.atol)
            # a sample that starts with NaN stops at once, and keeps no other waiting
            finite = torch.isfinite(rows(slope * 0 + y)).all(1)
            length = torch.where(finite, self.controller.limited(length), 0.0)
            one, zero = torch.ones_like(t), torch.zeros_like(t, dtype=torch.int64)
        return State(t, y, slope, length, torch.where(finite, end, t), one, one, zero, zero, zero)

    def advance(self, state: State, args: Sequence[Tensor] = (), keep: bool = True) -> Move:
        """One step of every sample.

        Arguments:
            keep: return the step itself too, not only the new state.
        """
        settings = (self.method, self.field, self.rtol, self.atol, self.controller)
        if not self.compile:
            return _advance(*settings, state, tuple(args), keep, True)
        self._mark(*state, *args)
        move: Move = _compiled()(*settings, state, tuple(args), keep, False)
        return move

    def run(self, state: State, args: Sequence[Tensor], few: int, limit: int) -> tuple[int, State]:
        """Step in one compiled loop until at most ``few`` samples have time left; the number of steps and the state.

        It carries no gradients.
        """
        settings = (self.method, self.field, self.rtol, self.atol, self.controller)
        # numbers as tensors, so that new values need no compilation; no two of the tensors may share memory
        numbers = (torch.tensor(number, device=state.t.device) for number in (0, few, limit))
        copies = tuple(x.clone() for x in state)
        self._mark(*copies, *args)
        count, *flat = _compiled_loop()(*settings, *numbers, copies, tuple(args))
        return int(count), State(*flat)

    def _mark(self, *inputs: Tensor) -> None:
        """Mark the batch size as dynamic once the batch has shrunk, so that all smaller sizes share one compilation."""
        if self.shrunk:
            for x in (*inputs, *(x for x in (self.rtol, self.atol) if isinstance(x, Tensor) and x.dim())):
                torch._dynamo.maybe_mark_dynamic(x, 0)


def bind(field: VectorField, args: Sequence[Tensor]) -> VectorField:
    """The field as a function of (t, y) alone."""
    return (lambda t, y: field(t, y, *args)) if args else field


@functools.cache
def _compiled() -> Compiled:
    return Compiled(_advance, dynamic=False)


@functools.cache
def _compiled_loop() -> Compiled:
    return Compiled(_loop, dynamic=False)


def _loop(
    method: Method, field: VectorField, rtol: Tensor | float, atol: Tensor | float, controller: Controller,
    count: Tensor, few: Tensor, limit: Tensor, state: tuple[Tensor, ...], args: tuple[Tensor, ...],
) -> tuple[Tensor, ...]:  # fmt: skip
    """`Stepper.run`: the number of steps taken, and the state."""
    fixed = State(*state)
    # the entries that a step changes; carrying more costs time in every step
    names: tuple[str, ...] = ("t", "y", "slope", "length", "end", "steps", "accepted")
    names += ("error", "error_before") if controller.remembers else ()

    def going(count: Tensor, *moving: Tensor) -> Tensor:
        now = fixed._replace(**dict(zip(names, moving, strict=True)))
        return (now.active.sum() > few) & (count < limit)

    def step(count: Tensor, *moving: Tensor) -> tuple[Tensor, ...]:
        now = fixed._replace(**dict(zip(names, moving, strict=True)))
        new = _advance(method, field, rtol, atol, controller, now, args, False, False).state
        return count + 1, *(getattr(new, name) for name in names)

    count, *moved = while_loop(going, step, (count, *(getattr(fixed, name) for name in names)))
    return count, *fixed._replace(**dict(zip(names, moved, strict=True)))


def _advance(
    method: Method, field: VectorField, rtol: Tensor | float, atol: Tensor | float, controller: Controller,
    state: State, args: tuple[Tensor, ...], keep: bool, look: bool,
) -> Move:  # fmt: skip
    """`Stepper.advance`; ``look`` allows shortcuts that depend on values, where reading them costs nothing."""
    look = look and state.t.device.type == "cpu"
    remaining = state.end - state.t
    # stretch the step to the end rather than leave a sliver; the safety factor leaves room under the tolerance
    reaching = remaining <= controller.limited(state.length * 1.1)
    dt = torch.where(reaching, remaining, state.length)
    step = take_step(method, bind(field, args), state.t, state.y, dt, state.slope, True)
    with torch.no_grad():
        error = step_error(step, rtol, atol)
        fine = error <= 1
        factor = controller.factor(method.error_order + 1, error, state.error, state.error_before)
        active = remaining > 0
        proposal = controller.limited(dt * factor)
        # in this precision the next attempt would not advance the time
        stuck = (torch.add(state.t, proposal, alpha=0.25) == state.t) & ~fine
        accept = fine & active
        steps, accepted = state.steps + active, state.accepted + accept
        length = torch.where(active, proposal, state.length)
        before, earlier = state.error, state.error_before
        if controller.remembers:
            earlier = torch.where(accept, before, earlier)
            before = torch.where(accept, error.clamp_min(1e-4), before)
    t = torch.where(reaching, state.end, step.t + dt)
    y, slope, end = step.y1, step.end, state.end
    if not (look and bool(unwrapped(fine).all())):
        if look and y.requires_grad and bool(unwrapped(torch.isinf(error)).any()):
            # an overflow would make the gradient of the accepted samples NaN, even multiplied by zero
            step = take_step(method, bind(field, args), state.t, state.y, torch.where(fine, dt, 0.0), None, True)
            y, slope = step.y1, step.end
        taken = over(fine, y)
        t = torch.where(fine, t, state.t)
        y = torch.where(taken, y, state.y)
        slope = torch.where(taken, slope, state.slope)  # type: ignore[arg-type]
        end = torch.where(stuck, state.t, end)
    new = State(t, y, slope, length, end, before, earlier, state.status, steps, accepted)  # type: ignore[arg-type]
    return Move(new, accept, dt, step if keep else None)
