"""Gradients of the numerical solution itself, with memory set by the number of checkpoints.

The solve keeps the state at a few of its steps. The backward pass visits the segments between them from the last to the
first, repeats the steps of a segment (their lengths are known, so none is rejected), and differentiates through them:
memory is that of the checkpoints and one segment, and the gradient equals the direct one up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.dynamics.gradients import Problem
from pushforward.dynamics.integrate import Accepted
from pushforward.dynamics.methods import Method, take_step
from pushforward.dynamics.runge_kutta import Step, VectorField, evaluate, over, rows
from pushforward.dynamics.solution import Solution
from pushforward.dynamics.stepper import bind

__all__ = ["Checkpointed", "SolveRecorded"]

SolveRecorded = Callable[[Tensor, Tensor, tuple[Tensor, ...], Accepted], Solution]
"""``solve(y0, times, args, on_accept)``."""


class Checkpointed:
    """The checkpointed gradient of ``forward``.

    Arguments:
        forward: solves the equation, and calls ``on_accept`` for each step.
        checkpoints: states to keep; None keeps the square root of the number of steps, which needs the least memory.
        steps: number between consecutive output times for a fixed-step method; None for an adaptive one.
    """

    def __init__(
        self, forward: SolveRecorded, field: VectorField, method: Method, checkpoints: int | None, steps: int | None
    ) -> None:
        self.forward, self.field, self.method, self.steps = forward, field, method, steps
        self.trail = _Trail(checkpoints)

    def solve(self, y0: Tensor, times: Tensor, args: tuple[Tensor, ...]) -> Solution:
        return self.forward(y0, times, args, self.trail.record)

    def pull(self, problem: Problem, y: Tensor, gradient: Tensor) -> Tensor:
        adjoint = gradient[-1]
        for segment in reversed(range(len(self.trail.states))):
            adjoint = self._segment(problem, segment, adjoint, gradient)
        return adjoint + gradient[0] + (0.0 if self.steps is not None else self._waiting(problem, gradient))

    def _waiting(self, problem: Problem, gradient: Tensor) -> Tensor:
        """The contribution of outputs at the start time itself, which lie inside no step."""
        times = problem.times
        waiting = (times[:, 1:] == times[:, :1]).T
        parts = torch.where(over(waiting, gradient[1:]), gradient[1:], 0.0)
        if problem.by_times is not None and bool(waiting.any()):
            slope = self.field(times[:, 0], problem.y0, *problem.args)
            by_times = torch.stack([rows(part * slope).sum(1) for part in parts], 1)
            problem.by_times[:, 1:] += by_times
            problem.by_times[:, 0] -= by_times.sum(1)
        return parts[:-1].sum(0)

    def _segment(self, problem: Problem, index: int, adjoint: Tensor, gradient: Tensor) -> Tensor:
        """The adjoint at the start of a segment, from that at its end."""
        trail = self.trail
        first, state = trail.states[index]
        last = trail.states[index + 1][0] if index + 1 < len(trail.states) else len(trail.steps)
        field = bind(self.field, problem.args)
        with torch.enable_grad():
            start = state.detach().requires_grad_()
            at = problem.times.detach().requires_grad_(problem.by_times is not None)
            y, slope = start, None
            outputs: list[tuple[Tensor, Tensor]] = []
            for i in range(first, last):
                taken = trail.steps[i]
                t, dt = self._place(i, taken, at)
                step = take_step(self.method, field, t, y, dt, slope, with_end=self.method.adaptive)
                # a fixed step of length zero, between equal times, still has a derivative with respect to them
                moved = step.y1 if self.steps is not None else torch.where(over(taken.dt != 0, y), step.y1, y)
                y, slope = moved, step.end
                outputs += self._outputs(i, step, taken, at, gradient)
            inputs = [start, *([at] if at.requires_grad else []), *problem.shared]
            values, cotangents = zip((y, adjoint), *outputs, strict=True)
            by_start, *gradients = torch.autograd.grad(values, inputs, cotangents, allow_unused=True)
        if problem.by_times is not None:
            by_time = gradients.pop(0)
            if by_time is not None:
                problem.by_times.add_(by_time)
        problem.add(gradients)
        return torch.zeros_like(start) if by_start is None else by_start

    def _place(self, index: int, taken: _Taken, at: Tensor) -> tuple[Tensor, Tensor]:
        """Start and length of a step, with their derivatives with respect to the output times ``at``."""
        if not at.requires_grad:
            return taken.t, taken.dt
        if self.steps is not None:
            interval, i = divmod(index, self.steps)
            dt = (at[:, interval + 1] - at[:, interval]) / self.steps
            return at[:, interval] + i * dt, dt
        # the chosen step lengths do not depend on the output times; only a sample's first and last step do
        shift = _change(at[:, 0], taken.t == at[:, 0])
        stretch = _change(at[:, -1], (taken.now == at[:, -1]) & (taken.dt != 0))
        return taken.t + shift, taken.dt + stretch - shift

    def _outputs(
        self, index: int, step: Step, taken: _Taken, at: Tensor, gradient: Tensor
    ) -> list[tuple[Tensor, Tensor]]:
        """Outputs inside a step or at its end, the last output excepted, with their cotangents."""
        if self.steps is not None:
            interval, i = divmod(index, self.steps)
            inside = i == self.steps - 1 and interval + 2 < at.shape[1]
            return [(step.y1, gradient[interval + 1])] if inside else []
        inner = at[:, 1:-1]
        if not inner.shape[1]:
            return []
        within = (inner > step.t[:, None]) & (inner <= taken.now[:, None]) & (taken.dt != 0)[:, None]
        sample, column = torch.nonzero(within, as_tuple=True)
        if not len(sample):
            return []
        theta = (inner[sample, column] - step.t[sample]) / step.dt[sample]
        values = evaluate(step.polynomial()[:, sample], step.y0[sample], theta)
        return [(values, gradient[column + 1, sample])]


def _change(at: Tensor, where: Tensor) -> Tensor:
    """Zero in value; carries the derivative with respect to ``at`` for the samples in ``where``."""
    return torch.where(where, at - at.detach(), 0.0)


class _Taken(NamedTuple):
    """A step: its start, its accepted length (zero where rejected), and the time reached."""

    t: Tensor
    dt: Tensor
    now: Tensor


class _Trail:
    """The attempted steps, and the states at some of them."""

    def __init__(self, checkpoints: int | None) -> None:
        self.limit = checkpoints
        self.steps: list[_Taken] = []
        self.states: list[tuple[int, Tensor]] = []
        self.stride = 1

    def record(self, t: Tensor, y: Tensor, dt: Tensor, now: Tensor) -> None:
        index = len(self.steps)
        self.steps.append(_Taken(t, dt, now))
        if index % self.stride == 0:
            self.states.append((index, y))
            limit = self.limit or max(4, math.isqrt(index) * 2)
            if len(self.states) > limit:
                # too many: from here on keep every other one
                self.stride *= 2
                self.states = [(i, y) for i, y in self.states if i % self.stride == 0]
