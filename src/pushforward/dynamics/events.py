"""Stopping where a function of the state crosses zero.

The crossing inside a step is found by bisection on the step's polynomial, which costs no further derivatives of the
vector field. Its time is differentiable through the implicit function theorem: with :math:`g(t, y(t)) = 0` there,

.. math:: d t^* = -\\frac{dg}{\\partial_t g + \\nabla_y g \\cdot f}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pushforward.dynamics.runge_kutta import Step, evaluate, over
from pushforward.dynamics.solution import Status
from pushforward.tensors import unwrapped

if TYPE_CHECKING:
    from pushforward.dynamics.stepper import State

__all__ = ["Event", "locate"]

Event = Callable[[Tensor, Tensor], Tensor]
"""``event(t, y) -> (batch,)``; a sample stops where its value changes sign."""

BISECTIONS = {torch.float32: 26, torch.float64: 55}


def locate(event: Event, after: State, step: Step, accept: Tensor) -> State:
    """The state after a step, with the samples whose event lies in this step stopped there."""
    with torch.no_grad():
        start = event(step.t, step.y0)
        crossed = accept & (start * event(step.t + step.dt, step.y1) < 0)
    if not bool(unwrapped(crossed).any()):
        return after
    polynomial = step.polynomial()
    with torch.no_grad():
        low, high = torch.zeros_like(step.t), torch.ones_like(step.t)
        for _ in range(BISECTIONS.get(step.t.dtype, 26)):
            middle = (low + high) / 2
            same = start * event(step.t + middle * step.dt, evaluate(polynomial, step.y0, middle)) > 0
            low, high = torch.where(same, middle, low), torch.where(same, high, middle)
        theta = (low + high) / 2
    t, y = step.t + theta * step.dt, evaluate(polynomial, step.y0, theta)
    slope = step.field(t, y)
    with torch.enable_grad():
        at, state = t.detach().requires_grad_(), y.detach().requires_grad_()
        value = event(at, state)
        by_time, by_state = torch.autograd.grad(value.sum(), (at, state), allow_unused=True)
    rate = 0.0 if by_time is None else by_time
    if by_state is not None:
        rate = rate + (by_state * slope.detach()).flatten(1).sum(1)
    rate = torch.where(crossed, rate, 1.0)
    # zero in value: it only carries the derivative of the event's time
    shift = -event(t, y) / rate
    shift = shift - shift.detach()
    t, y = t + shift, y + over(shift, y) * slope
    t = torch.where(crossed, t, after.t)
    return after._replace(
        t=t,
        y=torch.where(over(crossed, y), y, after.y),
        end=torch.where(crossed, t, after.end),
        status=torch.where(crossed, Status.EVENT, after.status),
    )
