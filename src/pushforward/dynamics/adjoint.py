r"""Gradients by solving the adjoint equation backwards (Pontryagin; Chen et al., arXiv:1806.07366).

With :math:`a(t) = \partial L / \partial y(t)`,

.. math::
    \frac{da}{dt} = -a \frac{\partial f}{\partial y}, \qquad
    \frac{dL}{dw} = -\int_{t_1}^{t_0} a \frac{\partial f}{\partial w} dt, \qquad
    \frac{dL}{dt_1} = a \cdot f(t_1, y_1).

Memory does not grow with the number of steps. The state that is integrated backwards is (y, a) alone, for each sample
with its own steps: the integral over the parameters is a quadrature over the accepted steps with the weights of the
method, so it neither enters the error control (the "seminorm" of Kidger et al., arXiv:2009.09457) nor makes the state
grow.

The gradient is that of the exact flow, not of the numerical solution: it is as good as the tolerance. Second
derivatives go through the direct gradient, whose memory does grow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.dynamics.again import differentiable_gradients
from pushforward.dynamics.integrate import integrate
from pushforward.dynamics.runge_kutta import Step, VectorField, over
from pushforward.dynamics.solution import Solution
from pushforward.dynamics.tableau import Tableau

__all__ = ["solve_with_adjoint"]

Solve = Callable[[Tensor, Tensor], Solution]


def solve_with_adjoint(
    solve: Solve,
    field: VectorField,
    y0: Tensor,
    times: Tensor,
    parameters: Sequence[Tensor],
    method: Tableau,
    options: dict[str, Any],
) -> Solution:
    """The solution of ``solve(y0, times)``, with outputs that know the adjoint gradient.

    Arguments:
        options: of `integrate`, for the backward solve.
    """
    box: list[Solution] = []
    y = _Adjoint.apply(solve, field, method, options, box, y0, times, *parameters)
    solution = box[0]
    solution.y, solution.y_end = y, y[-1]
    return solution


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, solve: Solve, field: VectorField, method: Tableau, options: dict[str, Any],
        box: list[Solution], y0: Tensor, times: Tensor, *parameters: Tensor,
    ) -> Tensor:  # fmt: skip
        with torch.no_grad():
            solution = solve(y0, times)
        box.append(solution)
        ctx.solve, ctx.field, ctx.method, ctx.options = solve, field, method, options
        ctx.save_for_backward(solution.y, y0, times, *parameters)
        return solution.y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        y, y0, times, *parameters = ctx.saved_tensors
        if torch.is_grad_enabled():
            return (None,) * 5 + differentiable_gradients(ctx.solve, y0, times, parameters, gradient)
        collected = [torch.zeros_like(p) for p in parameters]
        by_time = torch.zeros_like(times) if ctx.needs_input_grad[6] else None
        adjoint = torch.zeros_like(y0)
        for j in range(times.shape[1] - 1, 0, -1):
            adjoint = adjoint + gradient[j]
            if by_time is not None:
                by_time[:, j] = _inner(gradient[j], ctx.field(times[:, j], y[j]))
            between = times[:, j - 1 : j + 1].flip(1)
            adjoint = _backwards(ctx, y[j], adjoint, between, parameters, collected)
        if by_time is not None:
            by_time[:, 0] = -_inner(adjoint, ctx.field(times[:, 0], y0))
        return (None,) * 5 + (adjoint + gradient[0], by_time, *collected)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


def _backwards(
    ctx: Any, y: Tensor, adjoint: Tensor, times: Tensor, parameters: Sequence[Tensor], collected: list[Tensor]
) -> Tensor:
    """The adjoint at the earlier of two times; adds the parameters' integral over the interval to ``collected``."""
    joint = _JointField(ctx.field, record=bool(parameters))
    weights = ctx.method.b

    def quadrature(step: Step, accepted: Tensor, now: Tensor) -> None:
        # the stages of this step; before the first one lie the calls that chose its size
        stages = joint.stages[-len(weights) :]
        joint.stages.clear()
        values, cotangents = [], []
        for weight, (value, a) in zip(weights, stages, strict=False):
            if weight != 0.0:
                values.append(value)
                cotangents.append(-weight * over(accepted, a) * a)
        if not values:
            return
        gradients = torch.autograd.grad(values, parameters, cotangents, allow_unused=True)
        for total, part in zip(collected, gradients, strict=True):
            if part is not None:
                total.add_(part)

    with torch.no_grad():
        start = torch.stack([y, adjoint], 1)
        solution = integrate(ctx.method, joint, start, times, on_accept=quadrature, carry_slope=False, **ctx.options)
    return solution.y_end[:, 1]


class _JointField:
    """The vector field of (y, a), stacked along axis 1; keeps the graph of a step's stages until the step is judged."""

    def __init__(self, field: VectorField, record: bool) -> None:
        self.field = field
        self.stages: list[tuple[Tensor, Tensor]] = []
        self.record = record

    def __call__(self, t: Tensor, state: Tensor) -> Tensor:
        y, a = state.unbind(1)
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            value = self.field(t, y)
            (pulled,) = torch.autograd.grad(value, y, a, retain_graph=self.record, allow_unused=True)
        if self.record:
            self.stages.append((value, a))
        return torch.stack([value.detach(), torch.zeros_like(a) if pulled is None else -pulled], 1)
