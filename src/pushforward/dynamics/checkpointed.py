"""Gradients of the numerical solution itself, with memory set by a number of checkpoints.

The solve keeps the state at a few of its steps. The backward pass goes through the segments between them from the last
to the first, takes the steps of a segment again (they are known, so nothing is rejected), and differentiates through
them: memory is that of the checkpoints and of one segment, and the gradient is the direct one up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.dynamics.again import differentiable_gradients
from pushforward.dynamics.methods import Method, take_step
from pushforward.dynamics.runge_kutta import Step, VectorField, evaluate, over
from pushforward.dynamics.solution import Solution

__all__ = ["solve_with_checkpoints"]

Solve = Callable[..., Solution]


def solve_with_checkpoints(
    solve: Solve,
    field: VectorField,
    y0: Tensor,
    times: Tensor,
    parameters: Sequence[Tensor],
    method: Method,
    checkpoints: int | None,
) -> Solution:
    """The solution of ``solve(y0, times, on_accept=...)``, with outputs that know the checkpointed gradient.

    Arguments:
        checkpoints: states to keep; None keeps the square root of the number of steps, which needs the least memory.
    """
    box: list[Solution] = []
    y = _Checkpointed.apply(solve, field, method, checkpoints, box, y0, times, *parameters)
    solution = box[0]
    solution.y, solution.y_end = y, y[-1]
    return solution


class _Checkpointed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, solve: Solve, field: VectorField, method: Method, checkpoints: int | None, box: list[Solution],
        y0: Tensor, times: Tensor, *parameters: Tensor,
    ) -> Tensor:  # fmt: skip
        trail = _Trail(checkpoints)
        with torch.no_grad():
            solution = solve(y0, times, on_accept=trail.record)
        box.append(solution)
        ctx.solve, ctx.field, ctx.method, ctx.trail = solve, field, method, trail
        ctx.save_for_backward(y0, times, *parameters)
        return solution.y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        y0, times, *parameters = ctx.saved_tensors
        if torch.is_grad_enabled():
            return (None,) * 5 + differentiable_gradients(ctx.solve, y0, times, parameters, gradient)
        trail: _Trail = ctx.trail
        collected = [torch.zeros_like(p) for p in parameters]
        by_times = torch.zeros_like(times)
        adjoint = gradient[-1]
        for start in reversed(range(len(trail.kept))):
            adjoint = _segment_backwards(ctx, start, times, adjoint, gradient, parameters, collected, by_times)
        by_time = by_times if ctx.needs_input_grad[6] else None
        return (None,) * 5 + (adjoint + gradient[0], by_time, *collected)


def _segment_backwards(
    ctx: Any, index: int, times: Tensor, adjoint: Tensor, gradient: Tensor, parameters: Sequence[Tensor],
    collected: list[Tensor], by_times: Tensor,
) -> Tensor:  # fmt: skip
    """The adjoint at the start of a segment, from that at its end."""
    trail: _Trail = ctx.trail
    first, state = trail.kept[index]
    last = trail.kept[index + 1][0] if index + 1 < len(trail.kept) else len(trail.steps)
    with torch.enable_grad():
        y = state.detach().requires_grad_()
        at = times.detach().requires_grad_()
        start = y
        outputs: list[Tensor] = []
        cotangents: list[Tensor] = []
        slope: Tensor | None = None
        for i in range(first, last):
            t, dt, now = trail.steps[i]
            # the derivative of a sample's first and last step with respect to the ends of its time span
            shift = over_time(at[:, 0], times[:, 0], t == times[:, 0])
            stretch = over_time(at[:, -1], times[:, -1], (now == times[:, -1]) & (dt != 0))
            step = take_step(ctx.method, ctx.field, t + shift, y, dt + stretch - shift, slope, with_end=True)
            _collect(step, now, dt, at, gradient, outputs, cotangents)
            y, slope = torch.where(over(dt != 0, y), step.y1, y), step.end
        inputs = [start, at, *parameters]
        found = torch.autograd.grad([y, *outputs], inputs, [adjoint, *cotangents], allow_unused=True)
    by_start, by_time, *by_parameters = found
    if by_time is not None:
        by_times.add_(by_time)
    for total, part in zip(collected, by_parameters, strict=True):
        if part is not None:
            total.add_(part)
    return torch.zeros_like(start) if by_start is None else by_start


def over_time(at: Tensor, value: Tensor, where: Tensor) -> Tensor:
    """Zero in value; carries the derivative with respect to ``at`` for the samples in ``where``."""
    return torch.where(where, at - value, 0.0)


def _collect(
    step: Step, now: Tensor, dt: Tensor, at: Tensor, gradient: Tensor, outputs: list[Tensor], cotangents: list[Tensor]
) -> None:
    """Interpolated outputs of a step that ended at ``now``, with what they are to be multiplied by."""
    inner = at[:, 1:-1]
    way = dt.sign()[:, None]
    inside = ((inner - step.t[:, None]) * way > 0) & ((inner - now[:, None]) * way <= 0)
    sample, column = torch.nonzero(inside, as_tuple=True)
    if len(sample):
        theta = (inner[sample, column] - step.t[sample]) / step.dt[sample]
        outputs.append(evaluate(step.polynomial()[:, sample], step.y0[sample], theta))
        cotangents.append(gradient[column + 1, sample])


class _Trail:
    """The steps that were accepted, and the states at some of them."""

    def __init__(self, checkpoints: int | None) -> None:
        self.limit = checkpoints
        self.steps: list[tuple[Tensor, Tensor, Tensor]] = []
        self.kept: list[tuple[int, Tensor]] = []
        self.stride = 1

    def record(self, step: Step, accepted: Tensor, now: Tensor) -> None:
        index = len(self.steps)
        self.steps.append((step.t, accepted, now))
        if index % self.stride == 0:
            self.kept.append((index, step.y0))
            limit = self.limit or max(4, math.isqrt(index) * 2)
            if len(self.kept) > limit:
                # too many: keep every other one from here on
                self.stride *= 2
                self.kept = [(i, y) for i, y in self.kept if i % self.stride == 0]
