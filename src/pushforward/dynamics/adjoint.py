r"""Gradients by solving the adjoint equation backwards (Pontryagin; Chen et al., arXiv:1806.07366).

With :math:`a(t) = \partial L / \partial y(t)`,

.. math::
    \frac{da}{dt} = -a \frac{\partial f}{\partial y}, \qquad
    \frac{dL}{dw} = -\int_{t_1}^{t_0} a \frac{\partial f}{\partial w} dt, \qquad
    \frac{dL}{dt_1} = a \cdot f(t_1, y_1).

Memory does not grow with the number of steps. Only (y, a) is integrated backwards, each sample with its own steps;
where the field treats rows independently, finished samples leave the batch. The integral over the parameters is a
quadrature over the accepted steps with the weights of the method, so it neither enters the error control (the
"seminorm" of Kidger et al., arXiv:2009.09457) nor makes the state grow.

The gradient is that of the exact flow, not of the numerical solution: its error is set by the tolerance, or by the step
size of a fixed-step method. Second derivatives go through the direct gradient, whose memory does grow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.dynamics.gradients import Problem, Solve
from pushforward.dynamics.integrate import Accepted, Left
from pushforward.dynamics.perceptron import state_alone
from pushforward.dynamics.runge_kutta import VectorField, over, rows
from pushforward.dynamics.solution import Solution, failure
from pushforward.dynamics.tableau import Tableau

__all__ = ["Adjoint", "SolveJoint"]

SolveJoint = Callable[[VectorField, Tensor, Tensor, tuple[Tensor, ...], Accepted, Left], Solution]
"""``solve(field, y0, times, args, on_accept, on_leave)``."""

Stage = tuple[Tensor, Tensor]
"""Value of the field at a stage, with its graph, and the adjoint there."""


@dataclass(frozen=True)
class Adjoint:
    """The adjoint gradient of ``forward``.

    Arguments:
        forward: solves the equation.
        backward: solves for state and adjoint together, from one output time back to the previous one.
    """

    forward: Solve
    backward: SolveJoint
    field: VectorField
    method: Tableau

    def solve(self, y0: Tensor, times: Tensor, args: tuple[Tensor, ...]) -> Solution:
        return self.forward(y0, times, args)

    def pull(self, problem: Problem, y: Tensor, gradient: Tensor) -> Tensor:
        times, args = problem.times.detach(), problem.args
        adjoint = torch.zeros_like(problem.y0)
        for j in range(times.shape[1] - 1, 0, -1):
            adjoint = adjoint + gradient[j]
            if problem.by_times is not None:
                problem.by_times[:, j] = _inner(gradient[j], self.field(times[:, j], y[j], *args))
            adjoint = self._between(problem, y[j], adjoint, -times[:, j - 1 : j + 1].flip(1))
        if problem.by_times is not None:
            problem.by_times[:, 0] = -_inner(adjoint, self.field(times[:, 0], problem.y0, *args))
        return adjoint + gradient[0]

    def _between(self, problem: Problem, y: Tensor, adjoint: Tensor, times: Tensor) -> Tensor:
        """The adjoint at the earlier of two times; adds the interval's parameter integrals to ``problem``."""
        joint = _JointField(self.field, self.method, problem)
        with torch.no_grad():
            start = torch.stack([y, adjoint], 1)
            solution = self.backward(joint, start, times, problem.args, joint.accept, joint.leave)
        error = failure(solution)
        if error is not None:
            raise error
        return solution.y_end[:, 1]


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return rows(a * b).sum(1)


class _JointField:
    """The vector field of (y, a), stacked along axis 1, in the time s = -t, which increases as the solve goes back.

    It keeps the graph of a step's stages until the step is accepted or rejected, and then adds the step's contribution
    to the integral over the parameters. The last stage of an accepted step may be the first of the next one: it waits
    in ``first``, with the samples that have not used it yet.
    """

    def __init__(self, field: VectorField, method: Tableau, problem: Problem) -> None:
        self.field, self.method, self.problem = field, method, problem
        self.carries = method.adaptive or method.first_same_as_last
        self.fresh = len(method.b) - 1 if method.first_same_as_last or not method.adaptive else len(method.b)
        # with their graph; only the samples still in the batch
        self.args = problem.args
        self.stages: list[Stage] = []
        self.first: list[tuple[Stage, Tensor]] = []

    def __call__(self, s: Tensor, state: Tensor, *_: Tensor) -> Tensor:
        y, a = state.unbind(1)
        record = bool(self.problem.shared)
        with torch.enable_grad(), state_alone():
            y = y.detach().requires_grad_()
            value = self.field(-s, y, *self.args)
            (pulled,) = torch.autograd.grad(value, y, a, retain_graph=record, allow_unused=True)
        if record:
            self.stages.append((value, a))
        return torch.stack([-value.detach(), torch.zeros_like(a) if pulled is None else pulled], 1)

    def leave(self, still: Tensor) -> None:
        """Continue with the samples ``still`` alone."""
        with torch.enable_grad():
            self.args = tuple(x[still] for x in self.args)
            self.first = [((value[still], a[still]), which[still]) for (value, a), which in self.first]

    def accept(self, s: Tensor, state: Tensor, taken: Tensor, now: Tensor) -> None:
        """Add a step's contribution to the integral, for the samples that took it."""
        if not self.stages:
            return
        if not self.first:
            # the first call of the solve or of the step; a call that chose the step size may stand before the stages
            self.first = [(self.stages[0], torch.ones_like(taken, dtype=torch.bool))]
        rest, self.stages = self.stages[len(self.stages) - self.fresh :], []
        moved = taken != 0
        values, cotangents = [], []
        for (value, a), which in self.first:
            values.append(value)
            cotangents.append(self.method.b[0] * over(torch.where(which, taken, 0.0), a) * a)
        for weight, (value, a) in zip(self.method.b[1:], rest, strict=False):
            if weight != 0.0:
                values.append(value)
                cotangents.append(weight * over(taken, a) * a)
        # a waiting stage needs its graph again
        gradients = torch.autograd.grad(values, self.problem.shared, cotangents, retain_graph=True, allow_unused=True)
        self.problem.add(gradients)
        if not self.carries:
            self.first = []
        elif bool(moved.all()):
            self.first = [(rest[-1], moved)]
        else:
            waiting = [(stage, which & ~moved) for stage, which in self.first]
            self.first = [(rest[-1], moved), *((stage, which) for stage, which in waiting if bool(which.any()))]
