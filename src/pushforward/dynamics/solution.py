"""What a solver returns, and how it says that it could not."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import torch
from torch import Tensor

from pushforward.dynamics.runge_kutta import evaluate
from pushforward.dynamics.wrapped import is_wrapped, unwrapped

__all__ = ["IntegrationError", "Solution", "Statistics", "Status"]


class Status(IntEnum):
    """How a sample ended."""

    SUCCESS = 0
    EVENT = 1
    TOO_MANY_STEPS = 2
    STEP_TOO_SMALL = 3
    NOT_FINITE = 4


class IntegrationError(ArithmeticError):
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

    Lists over the solver's iterations; a sample that took no step in one has length zero there.
    """

    t: list[Tensor] = field(default_factory=list)
    dt: list[Tensor] = field(default_factory=list)
    y0: list[Tensor] = field(default_factory=list)
    polynomial: list[Tensor] = field(default_factory=list)


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
    """

    t: Tensor
    y: Tensor
    stats: Statistics
    status: Tensor
    t_end: Tensor
    y_end: Tensor
    dense: Dense | None = None

    def __call__(self, t: Tensor) -> Tensor:
        """State at any times between the ends of a solve with ``dense=True``.

        Arguments:
            t: shape ``(Q,)`` or ``(batch, Q)``; times outside of what was integrated extrapolate the nearest step.

        Returns:
            shape ``(Q, batch, ...)``.
        """
        if self.dense is None:
            raise ValueError("this solution holds only the output times; solve with dense=True to evaluate it anywhere")
        starts, lengths = torch.stack(self.dense.t, 1), torch.stack(self.dense.dt, 1)
        states, polynomials = torch.stack(self.dense.y0), torch.stack(self.dense.polynomial)
        queries = t.expand(starts.shape[0], -1) if t.dim() == 1 else t
        sign = torch.sign(lengths.sum(1, keepdim=True))
        ends = (starts + lengths) * sign
        # the first step whose end is at or past the query; a step of length zero is never the first past it
        index = torch.searchsorted(ends.contiguous(), (queries * sign).contiguous()).clamp_max(starts.shape[1] - 1)
        rows = torch.arange(starts.shape[0], device=starts.device)
        values: list[Tensor] = []
        for column in index.unbind(1):
            length = lengths[rows, column]
            theta = (queries[:, len(values)] - starts[rows, column]) / torch.where(length == 0, 1.0, length)
            values.append(evaluate(polynomials[column, :, rows].movedim(1, 0), states[column, rows], theta))
        return torch.stack(values)


def failure(solution: Solution, step: Tensor) -> IntegrationError | None:
    """The error that names the first sample that failed, if any did; ``step`` is each sample's last step size."""
    if not bool((unwrapped(solution.status) > Status.EVENT).any()):
        return None
    if is_wrapped(solution.status):
        return IntegrationError(
            "a sample under torch.func failed; solve without the transform to see which", solution, -1
        )
    failed = torch.nonzero(solution.status > Status.EVENT)
    sample = int(failed[0])
    status, t = Status(int(solution.status[sample])), float(solution.t_end[sample].detach())
    norm = float(solution.y_end[sample].detach().float().norm())
    cause = {
        Status.TOO_MANY_STEPS: f"the limit of {int(solution.stats.accepted[sample] + solution.stats.rejected[sample])} "
        "steps was reached",
        Status.STEP_TOO_SMALL: f"step size fell under the resolution of {str(solution.y.dtype).removeprefix('torch.')}",
        Status.NOT_FINITE: "the vector field is not finite",
    }[status]
    message = (
        f"{cause} at t = {t:.6g} for sample {sample}: step size {float(step[sample].abs()):.3g}, "
        f"norm of the state {norm:.6g}; {len(failed)} of {len(solution.status)} samples failed"
    )
    return IntegrationError(message, solution, sample)
