"""Outputs of a solve: states at the output times, and the trajectory."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.dynamics.runge_kutta import Step, evaluate, over
from pushforward.dynamics.solution import Dense
from pushforward.tensors import is_wrapped, unwrapped

__all__ = ["Outputs"]


class Outputs:
    """States at increasing output times.

    Arguments:
        times: shape ``(batch, T)``; the first is that of ``y0``, shape ``(batch, ...)``.
        dense: keep the trajectory too; no sample may leave the batch.
    """

    def __init__(self, times: Tensor, y0: Tensor, dense: bool) -> None:
        self.times = times
        self.y0 = y0
        self.trajectory = Dense() if dense else None
        self.pieces: list[tuple[Tensor, Tensor, Tensor]] = []
        self.masked: list[tuple[Tensor, Tensor]] = []

    @property
    def wanted(self) -> bool:
        """Whether more than the final state is needed."""
        return self.times.shape[1] > 2 or self.trajectory is not None

    def collect(self, step: Step, now: Tensor, accept: Tensor, rows: Tensor | None) -> None:
        """Interpolate at the inner output times of an accepted step that reached ``now``; rows None for all samples."""
        if self.trajectory is not None:
            self.trajectory.append(step, torch.where(accept, step.dt, 0.0))
        if self.times.shape[1] <= 2:
            return
        inner = self.times[:, 1:-1] if rows is None else self.times[rows, 1:-1]
        inside = (inner > step.t[:, None]) & (inner <= now[:, None]) & accept[:, None]
        length = torch.where(step.dt == 0, 1.0, step.dt)
        if is_wrapped(inside) or torch.compiler.is_compiling():
            theta = (inner - step.t[:, None]) / length[:, None]
            polynomial = step.polynomial()
            columns = [evaluate(polynomial, step.y0, column) for column in theta.unbind(1)]
            self.masked.append((inside, torch.stack(columns, 1)))
            return
        sample, column = torch.nonzero(inside, as_tuple=True)
        if len(sample):
            theta = (inner[sample, column] - step.t[sample]) / length[sample]
            values = evaluate(step.polynomial()[:, sample], step.y0[sample], theta)
            self.pieces.append((sample if rows is None else rows[sample], column + 1, values))

    def assemble(self, y_end: Tensor, reached: Tensor, slope: Tensor) -> Tensor:
        """All outputs, shape ``(T, batch, ...)``; NaN at times that a sample did not reach.

        Arguments:
            reached: which samples reached the last time, shape ``(batch,)``.
            slope: derivative at the start.
        """
        final = torch.where(over(reached, y_end), y_end, torch.nan)
        count = self.times.shape[1]
        if count == 1:
            return self.y0[None]
        waiting = self.times[:, 1:] == self.times[:, :1]
        if (self.times.requires_grad or is_wrapped(self.times)) and bool(unwrapped(waiting).any()):
            # no step carries the derivative with respect to an output time at the start itself
            change = torch.where(waiting, self.times[:, 1:] - self.times[:, :1], 0.0).T
            carried = over(change, self.y0[None]) * slope
            final = torch.where(over(waiting[:, -1], final), final + carried[-1], final)
        else:
            carried = None
        if count == 2:
            return torch.stack([self.y0, final])
        shape = (self.times.shape[0], count, *self.y0.shape[1:])
        inner = torch.full(shape, torch.nan, dtype=self.y0.dtype, device=self.y0.device)
        if self.pieces:
            samples, columns, values = (torch.cat(part) for part in zip(*self.pieces, strict=True))
            inner = inner.index_put((samples, columns), values)
        middle = inner[:, 1:-1]
        for inside, values in self.masked:
            middle = torch.where(inside.reshape(inside.shape + (1,) * (values.dim() - 2)), values, middle)
        # an output time equal to the start lies inside no step
        start = self.y0[:, None] if carried is None else (self.y0 + carried[:-1]).movedim(0, 1)
        middle = torch.where(waiting[:, :-1].reshape(middle.shape[:2] + (1,) * (middle.dim() - 2)), start, middle)
        return torch.cat([self.y0[:, None], middle, final[:, None]], 1).movedim(1, 0)
