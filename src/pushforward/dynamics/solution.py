"""What a solver returns, and how it says that it could not."""

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
    """How a sample ended."""

    SUCCESS = 0
    EVENT = 1
    TOO_MANY_STEPS = 2
    STEP_TOO_SMALL = 3
    NOT_FINITE = 4


class IntegrationError(UsageError, ArithmeticError):
    """A sample could not be integrated to its end.

    Attributes:
        solution: what was reached; its ``status`` tells the samples apart.
        sample: index of the first sample that failed.
    """

    def __init__(self, message: str, solution: Solution, sample: int) -> None:
        super().__init__(message)
        self.solution = solution
        self.sample = sample


@dataclass(frozen=True)
class Statistics:
    """Work done for each sample, int64, shape ``(batch,)`` each."""

    evaluations: Tensor
    accepted: Tensor
    rejected: Tensor


@dataclass
class Dense:
    """The whole trajectory: the polynomial of every accepted step.

    Lists over the solver's iterations; a sample that took no step in one has length zero there. Times are the solver's,
    monotonic in either direction; ``solver_time`` takes the user's (batch, Q) there.
    """

    t: list[Tensor] = field(default_factory=list)
    dt: list[Tensor] = field(default_factory=list)
    y0: list[Tensor] = field(default_factory=list)
    polynomial: list[Tensor] = field(default_factory=list)
    solver_time: Callable[[Tensor], Tensor] = lambda t: t

    def append(self, step: Step, taken: Tensor) -> None:
        """Add a step, of which each sample took the length ``taken``: the whole step, or nothing."""
        self.t.append(step.t)
        self.dt.append(taken)
        self.y0.append(step.y0)
        self.polynomial.append(step.polynomial())

    def followed_by(self, later: Dense) -> Dense:
        """The trajectory that goes on with ``later``."""
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
        y: states at the output times, shape ``(T, batch, ...)``; NaN at times that a failed or stopped sample did not
            reach.
        stats: work done for each sample.
        status: a `Status` for each sample, shape ``(batch,)``.
        t_end, y_end: where each sample stopped: the last output time, the event, or the failure.
        last_step: size of the last step that each sample chose, shape ``(batch,)``.
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
            t: shape ``(Q,)`` or ``(batch, Q)``; times outside of what was integrated extrapolate the nearest step.

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
        # equal steps go in either direction
        forwards = 1 - 2 * ((starts + lengths)[:, -1:] < starts[:, :1]).to(starts.dtype)
        ends = (starts + lengths) * forwards
        # the first step whose end is at or past the query; a step of length zero is never the first past it
        index = torch.searchsorted(ends.contiguous(), (queries * forwards).contiguous()).clamp_max(ends.shape[1] - 1)
        rows = torch.arange(starts.shape[0], device=starts.device)
        values: list[Tensor] = []
        for column in index.unbind(1):
            length = lengths[rows, column]
            theta = (queries[:, len(values)] - starts[rows, column]) / torch.where(length == 0, 1.0, length)
            values.append(evaluate(polynomials[column, :, rows].movedim(1, 0), states[column, rows], theta))
        return torch.stack(values)


def failure(solution: Solution, of: Tensor | None = None) -> IntegrationError | None:
    """The error that names the first sample that failed, if any did.

    Arguments:
        of: samples that could have been integrated, shape ``(batch,)``; None for all.
    """
    bad = solution.status > Status.EVENT
    bad = bad if of is None else bad & of
    if not bool(unwrapped(bad).any()):
        return None
    if is_wrapped(solution.status):
        return IntegrationError(
            "a sample under torch.func failed; solve without the transform to see which", solution, -1
        )
    failed = torch.nonzero(bad)
    sample = int(failed[0])
    status, t = Status(int(solution.status[sample])), float(solution.t_end[sample].detach())
    norm = float(solution.y_end[sample].detach().float().norm())
    size = float(solution.last_step[sample].detach().abs())
    cause = {
        Status.TOO_MANY_STEPS: f"the limit of {int(solution.stats.accepted[sample] + solution.stats.rejected[sample])} "
        "steps was reached",
        Status.STEP_TOO_SMALL: f"step size fell under the resolution of {str(solution.y.dtype).removeprefix('torch.')}",
        Status.NOT_FINITE: "the vector field is not finite",
    }[status]
    message = (
        f"{cause} at t = {t:.6g} for sample {sample}: step size {size:.3g}, "
        f"norm of the state {norm:.6g}; {len(failed)} of {len(solution.status)} samples failed"
    )
    return IntegrationError(message, solution, sample)
