"""Solution of a solve, and the error of a failed one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

import torch
from torch import Tensor

from pushforward.dynamics.arguments import checked_times
from pushforward.dynamics.runge_kutta import Step, evaluate
from pushforward.errors import UsageError
from pushforward.tensors import is_wrapped, unwrapped

__all__ = ["Dense", "IntegrationError", "Solution", "Statistics", "Status", "failure"]


class Status(IntEnum):
    """Outcome of a sample."""

    SUCCESS = 0
    EVENT = 1
    TOO_MANY_STEPS = 2
    STEP_TOO_SMALL = 3
    NOT_FINITE = 4


class IntegrationError(UsageError, ArithmeticError):
    """A sample could not be integrated to its end.

    Attributes:
        solution: the states reached, with the ``status`` of each sample.
        sample: index of the first sample that failed.
    """

    def __init__(self, message: str, solution: Solution, sample: int) -> None:
        super().__init__(message)
        self.solution = solution
        self.sample = sample


@dataclass(frozen=True)
class Statistics:
    """Work per sample, int64, shape ``(batch,)`` each."""

    evaluations: Tensor
    accepted: Tensor
    rejected: Tensor


@dataclass
class Dense:
    """The whole trajectory: the polynomial of every accepted step.

    Lists over the solver's iterations; a sample without an accepted step in an iteration has length zero there. Times
    are solver times, monotonic in either direction; ``solver_time`` converts the user's times (batch, Q) to them.
    """

    t: list[Tensor] = field(default_factory=list)
    dt: list[Tensor] = field(default_factory=list)
    y0: list[Tensor] = field(default_factory=list)
    polynomial: list[Tensor] = field(default_factory=list)
    solver_time: Callable[[Tensor], Tensor] = lambda t: t

    def append(self, step: Step, taken: Tensor) -> None:
        """Add a step; ``taken`` is its accepted length per sample, zero where rejected."""
        self.t.append(step.t)
        self.dt.append(taken)
        self.y0.append(step.y0)
        self.polynomial.append(step.polynomial())

    def followed_by(self, later: Dense) -> Dense:
        """This trajectory, continued by ``later``."""
        return Dense(
            self.t + later.t,
            self.dt + later.dt,
            self.y0 + later.y0,
            self.polynomial + later.polynomial,
            self.solver_time,
        )


@dataclass
class Solution:
    """Solution of an initial value problem.

    Attributes:
        t: output times, shape ``(batch, T)``.
        y: states at the output times, shape ``(T, batch, ...)``; NaN where a sample failed or stopped before that time.
        stats: work per sample.
        status: `Status` of each sample, shape ``(batch,)``.
        t_end, y_end: time and state at which each sample stopped: at the last output time, its event, or its failure.
        last_step: last step size of each sample, shape ``(batch,)``.
    """

    t: Tensor
    y: Tensor
    stats: Statistics
    status: Tensor
    t_end: Tensor
    y_end: Tensor
    last_step: Tensor
    dense: Dense | None = None

    def __call__(self, t: Tensor) -> Tensor:
        """State at any times between the ends of a solve with ``dense=True``.

        Arguments:
            t: shape ``(Q,)`` or ``(batch, Q)``; times outside the integrated span extrapolate the nearest step.

        Returns:
            shape ``(Q, batch, ...)``.

        Raises:
            UsageError: without a trajectory, or for times of another shape.
        """
        if self.dense is None:
            raise UsageError("this solution holds only the output times; solve with dense=True to evaluate it anywhere")
        queries = self.dense.solver_time(checked_times(t, self.y_end, ordered=False))
        if not self.dense.t:
            return self.y_end.expand(queries.shape[1], *self.y_end.shape)
        starts, lengths = torch.stack(self.dense.t, 1), torch.stack(self.dense.dt, 1)
        states, polynomials = torch.stack(self.dense.y0), torch.stack(self.dense.polynomial)
        # fixed steps go in either direction
        forwards = 1 - 2 * ((starts + lengths)[:, -1:] < starts[:, :1]).to(starts.dtype)
        ends = (starts + lengths) * forwards
        # the first step that ends at or past the query; a step of length zero is never the first
        index = torch.searchsorted(ends.contiguous(), (queries * forwards).contiguous()).clamp_max(ends.shape[1] - 1)
        rows = torch.arange(starts.shape[0], device=starts.device)
        values: list[Tensor] = []
        for column in index.unbind(1):
            length = lengths[rows, column]
            theta = (queries[:, len(values)] - starts[rows, column]) / torch.where(length == 0, 1.0, length)
            values.append(evaluate(polynomials[column, :, rows].movedim(1, 0), states[column, rows], theta))
        return torch.stack(values)


def failure(solution: Solution, of: Tensor | None = None) -> IntegrationError | None:
    """The error that names the first failed sample; None if none failed.

    Arguments:
        of: samples to check, shape ``(batch,)``; None for all.
    """
    bad = solution.status > Status.EVENT
    bad = bad if of is None else bad & of
    if not bool(unwrapped(bad).any()):
        return None
    if is_wrapped(solution.status):
        return IntegrationError(
            "a sample failed under a torch.func transform; solve without the transform to see which", solution, -1
        )
    failed = torch.nonzero(bad)
    sample = int(failed[0])
    status, t = Status(int(solution.status[sample])), float(solution.t_end[sample].detach())
    norm = float(solution.y_end[sample].detach().float().norm())
    size = float(solution.last_step[sample].detach().abs())
    cause = {
        Status.TOO_MANY_STEPS: f"the limit of {int(solution.stats.accepted[sample] + solution.stats.rejected[sample])} "
        "steps was reached",
        Status.STEP_TOO_SMALL: f"step size fell below the resolution of {str(solution.y.dtype).removeprefix('torch.')}",
        Status.NOT_FINITE: "the vector field is not finite",
    }[status]
    message = (
        f"{cause} at t = {t:.6g} for sample {sample}: step size {size:.3g}, "
        f"norm of the state {norm:.6g}; {len(failed)} of {len(solution.status)} samples failed"
    )
    return IntegrationError(message, solution, sample)
