"""Gradients computed by a rule of their own, not through the graph of the solver's steps.

`solve_with` runs a solve without a graph and gives its outputs the gradient of a `Rule`. For second derivatives, as in
a loss on forces, the solve is repeated with its graph: exact, in memory that grows with the number of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from pushforward.dynamics.runge_kutta import over
from pushforward.dynamics.solution import Solution, Status

__all__ = ["Problem", "Rule", "Solve", "solve_with"]

Solve = Callable[[Tensor, Tensor, tuple[Tensor, ...]], Solution]
"""``solve(y0, times, args)``: a solve that keeps its graph."""


class Problem:
    """The inputs of a solve, and their accumulated gradients; None for inputs that need none.

    Arguments:
        args: arguments of the field, one row per sample.
        parameters: other tensors that the field depends on.
    """

    def __init__(self, y0: Tensor, times: Tensor, args: Sequence[Tensor], parameters: Sequence[Tensor]) -> None:
        self.y0, self.times, self.args, self.parameters = y0, times, tuple(args), tuple(parameters)
        self.by_times = torch.zeros_like(times) if times.requires_grad else None
        self.shared = [x for x in (*self.parameters, *self.args) if x.requires_grad]
        self.by_shared = [torch.zeros_like(x) for x in self.shared]

    def add(self, gradients: Sequence[Tensor | None]) -> None:
        """Add to the gradients of ``shared``: the parameters and args that need one."""
        for total, part in zip(self.by_shared, gradients, strict=True):
            if part is not None:
                total.add_(part)

    def gradients(self, by_y0: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients for (y0, times, *args, *parameters)."""
        found = {id(x): total for x, total in zip(self.shared, self.by_shared, strict=True)}
        return by_y0, self.by_times, *(found.get(id(x)) for x in (*self.args, *self.parameters))


class Rule(Protocol):
    """A solve without a graph, and its gradient."""

    def solve(self, y0: Tensor, times: Tensor, args: tuple[Tensor, ...]) -> Solution: ...

    def pull(self, problem: Problem, y: Tensor, gradient: Tensor) -> Tensor:
        """Pull the gradient for the outputs y (T, batch, ...) back to y0; the other gradients go into ``problem``."""
        ...


def solve_with(
    rule: Rule, again: Solve, y0: Tensor, times: Tensor, args: tuple[Tensor, ...], parameters: Sequence[Tensor]
) -> Solution:
    """The solution with the gradient of ``rule`` on its outputs; ``again`` is the solve for second derivatives."""
    box: list[Solution] = []
    y = _Solved.apply(rule, again, box, len(args), y0, times, *args, *parameters)
    (solution,) = box
    reached = over(solution.status == Status.SUCCESS, solution.y_end)
    solution.y, solution.y_end = y, torch.where(reached, y[-1], solution.y_end)
    return solution


class _Solved(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rule: Rule, again: Solve, box: list[Solution], count: int, y0: Tensor, times: Tensor, *others: Tensor
    ) -> Tensor:
        with torch.no_grad():
            solution = rule.solve(y0, times, others[:count])
        box.append(solution)
        ctx.rule, ctx.again, ctx.count = rule, again, count
        ctx.save_for_backward(solution.y, y0, times, *others)
        return solution.y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        y, y0, times, *others = ctx.saved_tensors
        if torch.is_grad_enabled():
            inputs = (y0, times, *others)
            wanted = [x for x in inputs if x.requires_grad]
            with torch.enable_grad():
                outputs = ctx.again(y0, times, tuple(others[: ctx.count])).y
            parts = torch.autograd.grad(outputs, wanted, gradient, create_graph=True, allow_unused=True)
            found = iter(parts)
            return (None,) * 4 + tuple(next(found) if x.requires_grad else None for x in inputs)
        problem = Problem(y0, times, others[: ctx.count], others[ctx.count :])
        by_y0 = ctx.rule.pull(problem, y, gradient)
        return (None,) * 4 + problem.gradients(by_y0)
