"""A method with its options, as called by `odeint` and the gradient rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from pushforward.dynamics.adjoint import Adjoint
from pushforward.dynamics.checkpointed import Checkpointed
from pushforward.dynamics.events import Event
from pushforward.dynamics.fixed import integrate_fixed
from pushforward.dynamics.gradients import Rule, solve_with
from pushforward.dynamics.integrate import Accepted, Left, integrate
from pushforward.dynamics.methods import Method
from pushforward.dynamics.runge_kutta import VectorField
from pushforward.dynamics.solution import Solution
from pushforward.dynamics.tableau import Tableau

__all__ = ["Gradient", "Solver"]

Gradient = Literal["direct", "checkpointed", "adjoint"]


@dataclass
class Solver:
    """A method, its options, and the equation in solver time.

    Arguments:
        options: of `integrate_fixed` for a fixed-step method, of `integrate` for an adaptive one.
        checkpoints: number of states to keep for the checkpointed gradient.
    """

    method: Method
    field: VectorField
    event: Event | None = None
    dense: bool = False
    rowwise: bool = False
    compile: bool = False
    checkpoints: int | None = None
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    def solve(self, y0: Tensor, times: Tensor, args: tuple[Tensor, ...], on_accept: Accepted | None = None) -> Solution:
        """Solution that is differentiable through its steps."""
        if not self.method.adaptive:
            return self._fixed(self.field, y0, times, args, on_accept)
        return integrate(
            self.method, self.field, y0, times, args=args, dense=self.dense, event=self.event, rowwise=self.rowwise,
            compile=self.compile, on_accept=on_accept, **self.options,
        )  # fmt: skip

    def solve_by(
        self, gradient: Gradient, y0: Tensor, times: Tensor, args: tuple[Tensor, ...], parameters: Sequence[Tensor]
    ) -> Solution:
        """Solution with the named gradient."""
        if gradient == "direct":
            return self.solve(y0, times, args)
        return solve_with(self._rule(gradient), self.solve, y0, times, args, parameters)

    def back(
        self, joint: VectorField, y0: Tensor, times: Tensor, args: tuple[Tensor, ...], on_accept: Accepted,
        on_leave: Left,
    ) -> Solution:  # fmt: skip
        """Solve the adjoint equation, with the method and tolerance of the forward solve."""
        if not self.method.adaptive:
            return self._fixed(joint, y0, times, args, on_accept)
        return integrate(
            self.method, joint, y0, times, args=args, rowwise=self.rowwise, on_accept=on_accept, on_leave=on_leave,
            **self.options,
        )  # fmt: skip

    def _fixed(
        self, field: VectorField, y0: Tensor, times: Tensor, args: tuple[Tensor, ...], on_accept: Accepted | None
    ) -> Solution:
        assert isinstance(self.method, Tableau)
        return integrate_fixed(
            self.method, field, y0, times, args, dense=self.dense, on_accept=on_accept, **self.options
        )  # fmt: skip

    def _rule(self, gradient: Gradient) -> Rule:
        if gradient == "adjoint":
            assert isinstance(self.method, Tableau)
            return Adjoint(self.solve, self.back, self.field, self.method)
        return Checkpointed(self.solve, self.field, self.method, self.checkpoints, self.options.get("steps"))
