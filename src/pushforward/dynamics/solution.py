"""What a solver returns, and how it says that it could not."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import torch
from torch import Tensor

from pushforward.dynamics.runge_kutta import evaluate
from pushforward.tensors import is_wrapped, unwrapped

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

    Lists over the solver's iterations; a sample that took no step in one has length zero there. Times increase: where
    ``sign`` (batch, 1) is -1 they are the negative of the user's.
    """

    t: list[Tensor] = field(default_factory=list)
    dt: list[Tensor] = field(default_factory=list)
    y0: list[Tensor] = field(default_factory=list)
    polynomial: list[Tensor] = field(default_factory=list)
    sign: Tensor | None = None


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
        """
        if self.dense is None:
            raise ValueError("this solution holds only the output times; solve with dense=True to evaluate it anywhere")
        starts, lengths = torch.stack(self.dense.t, 1), torch.stack(self.dense.dt, 1)
        states, polynomials = torch.stack(self.dense.y0), torch.stack(self.dense.polynomial)
        queries = t.expand(starts.shape[0], -1) if t.dim() == 1 else t
        if self.dense.sign is not None:
            queries = queries * self.dense.sign
        ends = starts + lengths
        # the first step whose end is at or past the query; a step of length zero is never the first past it
        index = torch.searchsorted(ends.contiguous(), queries.contiguous()).clamp_max(starts.shape[1] - 1)
        rows = torch.arange(starts.shape[0], device=starts.device)
        values: list[Tensor] = []
        for column in index.unbind(1):
            length = lengths[rows, column]
            theta = (queries[:, len(values)] - starts[rows, column]) / torch.where(length == 0, 1.0, length)
            values.append(evaluate(polynomials[column, :, rows].movedim(1, 0), states[column, rows], theta))
        return torch.stack(values)


def failure(solution: Solution) -> IntegrationError | None:
    """The error that names the first sample that failed, if any did."""
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
