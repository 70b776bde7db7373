"""Events: a sample stops where a function of its state reaches zero or changes its truth value.

A sample starts on one side: positive, negative, or false. Its event is the first time at which it is no longer on that
side. A value of exactly zero counts as an event, so that a step may end on the root and the function may stay at zero
beyond it; a zero at the start of the solve alone does not count.

A step is sampled at several places, and more finely between them where the values dip towards zero, so that two roots
in one step do not hide each other. The crossing is located by bisection on the step's polynomial, without further calls
of the vector field. Its time is differentiable by the implicit function theorem: with :math:`g(t, y(t)) = 0`,

.. math:: d t^* = -\\frac{dg}{\\partial_t g + \\nabla_y g \\cdot f}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pushforward.dynamics.runge_kutta import Step, evaluate, over, rows
from pushforward.dynamics.solution import Status
from pushforward.tensors import unwrapped

if TYPE_CHECKING:
    from pushforward.dynamics.stepper import State

__all__ = ["Event", "locate", "side_of"]

Event = Callable[..., Tensor]
"""``event(t, y) -> (batch,)``, numbers or truth values; a sample stops where the sign or the truth value changes."""

BISECTIONS = {torch.float32: 26, torch.float64: 55}
# samples per step, further samples of a dip between them, and the fraction of a step that counts as its start
PLACES, PROBES, NEXT = 8, 24, 1e-3
_GOLDEN = (5**0.5 - 1) / 2


def side_of(value: Tensor) -> Tensor:
    """Sign of an event's value: -1, 0 or 1; -1 for false and 1 for true."""
    return torch.sign(_number(value))


def _number(value: Tensor) -> Tensor:
    if value.dtype == torch.bool:
        return 2.0 * value - 1.0
    return value if value.is_floating_point() else value.double()


def locate(event: Event, after: State, step: Step, accept: Tensor, args: tuple[Tensor, ...] = ()) -> State:
    """The state after a step; samples with an event in this step stop at it.

    Arguments:
        event: function of (t, y, *args).
    """
    with torch.no_grad():
        scan = _Scan(event, after, step, args)
        crossed, low, high = scan.bracket(accept)
    if not bool(unwrapped(crossed).any()):
        return after
    with torch.no_grad():
        theta = scan.bisected(low, high)
    at_end = theta == 1
    t = torch.where(at_end, after.t, step.t + theta * step.dt)
    y = torch.where(over(at_end, step.y1), step.y1, evaluate(step.polynomial(), step.y0, theta))
    slope = step.field(t, y)
    # zero in value; carries only the derivative of the event time
    shift = _shift(event, t, y, slope, args)
    shift = shift - shift.detach()
    t, y = t + shift, y + over(shift, y) * slope
    t = torch.where(crossed, t, after.t)
    return after._replace(
        t=t,
        y=torch.where(over(crossed, y), y, after.y),
        end=torch.where(crossed, t, after.end),
        status=torch.where(crossed, Status.EVENT, after.status),
    )


def _shift(event: Event, t: Tensor, y: Tensor, slope: Tensor, args: tuple[Tensor, ...]) -> Tensor:
    """-g divided by its rate of change along the solution; zero where the event is not smooth."""
    with torch.enable_grad():
        at, state = t.detach().requires_grad_(), y.detach().requires_grad_()
        value = _number(event(at, state, *args))
        if not value.requires_grad:
            return torch.zeros_like(t)
        by_time, by_state = torch.autograd.grad(value.sum(), (at, state), allow_unused=True)
    rate = torch.zeros_like(t) if by_time is None else by_time
    if by_state is not None:
        rate = rate + rows(by_state * slope.detach()).sum(1)
    smooth = rate != 0
    shift = -_number(event(t, y, *args)) / torch.where(smooth, rate, 1.0)
    return torch.where(smooth, shift, 0.0)


class _Scan:
    """An event along one step of the batch."""

    def __init__(self, event: Event, after: State, step: Step, args: tuple[Tensor, ...]) -> None:
        self.event, self.step, self.args = event, step, args
        self.polynomial = step.polynomial()
        start = self.number(torch.zeros_like(step.t))
        last = _number(event(after.t, step.y1, *args))
        inner = [self.number(torch.full_like(step.t, i / PLACES)) for i in range(1, PLACES)]
        self.values = torch.stack([start, *inner, last])
        self.side = torch.sign(start)
        if bool(unwrapped(self.side == 0).any()):
            # zero at the start alone, or on an interval
            beside = torch.sign(self.number(torch.full_like(step.t, NEXT)))
            self.side = torch.where(self.side == 0, beside, self.side)

    def number(self, theta: Tensor) -> Tensor:
        """The event's value at the fraction ``theta`` (batch,) of the step."""
        step = self.step
        y = evaluate(self.polynomial, step.y0, theta)
        return _number(self.event(step.t + theta * step.dt, y, *self.args))

    def left(self, value: Tensor) -> Tensor:
        """Whether a value is no longer on the starting side."""
        return (torch.sign(value) != self.side) & ~value.isnan()

    def bracket(self, accept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mask of the samples with an event in the step, and fractions of the step before and after the first one."""
        left = self.left(self.values)
        left[0] = False
        found = accept & left.any(0)
        place = torch.where(left.any(0), left.to(torch.uint8).argmax(0), PLACES + 1)
        high = torch.where(found, place, 0).to(self.step.t) / PLACES
        low = (high - 1 / PLACES).clamp_min(0)
        # from the last place to the first, so that the earliest dip wins
        for i in range(PLACES, -1, -1):
            dips = accept & (place > i) & self._dips(i)
            if bool(unwrapped(dips).any()):
                below, probe = self._probed(i)
                below = below & dips
                found = found | below
                low = torch.where(below, max(i - 1, 0) / PLACES, low)
                high = torch.where(below, probe, high)
        return found, low, high

    def _dips(self, i: int) -> Tensor:
        """Whether |value| has a minimum at a place, and varies enough nearby to reach zero."""
        distance = self.values.abs()
        near = [distance[j] - distance[i] for j in (i - 1, i + 1) if 0 <= j <= PLACES]
        rises = torch.stack(near)
        return (rises >= 0).all(0) & (distance[i] <= rises.amax(0)) & (self.side != 0) & (rises > 0).any(0)

    def _probed(self, i: int) -> tuple[Tensor, Tensor]:
        """Golden-section search for the minimum around a place: whether it crosses to the other side, and where."""
        low = torch.full_like(self.step.t, max(i - 1, 0) / PLACES)
        high = torch.full_like(low, min(i + 1, PLACES) / PLACES)
        met, where = torch.zeros_like(low, dtype=torch.bool), low
        for _ in range(PROBES // 2):
            first, second = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
            a, b = self.number(first), self.number(second)
            for probe, value in ((second, b), (first, a)):
                now = self.left(value)
                where, met = torch.where(now & (~met | (probe < where)), probe, where), met | now
            lower = a.abs() < b.abs()
            low, high = torch.where(lower, low, first), torch.where(lower, second, high)
        return met, where

    def bisected(self, low: Tensor, high: Tensor) -> Tensor:
        """The fraction of the step, to rounding, at which a sample first leaves the starting side."""
        for _ in range(BISECTIONS.get(self.step.t.dtype, 26)):
            middle = (low + high) / 2
            left = self.left(self.number(middle))
            low, high = torch.where(left, low, middle), torch.where(left, middle, high)
        return high
