"""Explicit Runge-Kutta steps of a batch, each sample with its own time and step size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.dynamics.tableau import Rows, Tableau

__all__ = ["Step", "VectorField", "along", "evaluate", "over", "rk_step", "rows", "weighted_sum"]

VectorField = Callable[..., Tensor]
"""``field(t, y, *args) -> dy/dt`` with t (batch,), y and dy/dt (batch, ...), and args with one row per sample."""


def over(x: Tensor, y: Tensor) -> Tensor:
    """``x`` (batch,) shaped to multiply ``y`` (batch, ...)."""
    return x.reshape(x.shape + (1,) * (y.dim() - x.dim()))


def rows(x: Tensor) -> Tensor:
    """``x`` (batch, ...) as (batch, n)."""
    return x[:, None] if x.dim() == 1 else x.flatten(1)


def weighted_sum(weights: Sequence[float], stages: Sequence[Tensor]) -> Tensor:
    """Sum of the stages with non-zero weights."""
    total: Tensor | None = None
    for weight, stage in zip(weights, stages, strict=False):
        if weight != 0.0:
            total = stage * weight if total is None else torch.add(total, stage, alpha=weight)
    return torch.zeros_like(stages[0]) if total is None else total


@dataclass
class Step:
    """An attempted step: its ends, its stages, and the polynomial between its ends.

    Attributes:
        t, dt: start and signed length, shape ``(batch,)``.
        y0, y1: states at the ends, shape ``(batch, ...)``.
        stages: derivatives at the stages; the first is the derivative at ``(t, y0)``.
        end: derivative at ``(t + dt, y1)``; None if not computed.
        errors: estimates of the error of ``y1``, without gradients; empty for a fixed-step method.
        dense, dense_extra: the method's interpolant, see `Tableau`; the cubic Hermite polynomial where empty.
    """

    field: VectorField
    t: Tensor
    dt: Tensor
    y0: Tensor
    y1: Tensor
    stages: list[Tensor]
    end: Tensor | None
    errors: tuple[Tensor, ...] = ()
    dense: Rows = ()
    dense_extra: tuple[tuple[float, tuple[float, ...]], ...] = ()

    def polynomial(self) -> Tensor:
        """Coefficients (degree, batch, ...) of y(t + theta dt) = y0 + sum_p coefficient_p theta^(p+1)."""
        dt = over(self.dt, self.y0)
        end = self.field(self.t + self.dt, self.y1) if self.end is None else self.end
        if not self.dense:
            rise, first, last = self.y1 - self.y0, dt * self.stages[0], dt * end
            return torch.stack([first, 3 * rise - 2 * first - last, first + last - 2 * rise])
        stages = self.stages if len(self.dense) == len(self.stages) else [*self.stages, end]
        for c, row in self.dense_extra:
            y = self.y0 + dt * weighted_sum(row, stages)
            stages = [*stages, self.field(self.t + c * self.dt, y)]
        columns = zip(*self.dense, strict=True)
        return torch.stack([dt * weighted_sum(column, stages) for column in columns])


def evaluate(polynomial: Tensor, y0: Tensor, theta: Tensor) -> Tensor:
    """``y0`` plus the polynomial of `Step.polynomial` at ``theta`` (batch,)."""
    theta = over(theta, y0)
    total = torch.zeros_like(y0)
    for coefficient in polynomial.flip(0).unbind(0):
        total = (total + coefficient) * theta
    return y0 + total


def along(y: Tensor, length: Tensor, weights: Sequence[float], stages: Sequence[Tensor]) -> Tensor:
    """``y`` plus ``length`` (broadcast with y) times the sum of the stages."""
    used = [(weight, stage) for weight, stage in zip(weights, stages, strict=False) if weight != 0.0]
    if len(used) == 1:
        ((weight, stage),) = used
        return torch.addcmul(y, length, stage, value=weight)
    return torch.addcmul(y, length, weighted_sum(weights, stages))


def rk_step(
    tableau: Tableau, field: VectorField, t: Tensor, y: Tensor, dt: Tensor, start: Tensor | None, with_end: bool
) -> Step:
    """One step of length ``dt`` from ``(t, y)``.

    Arguments:
        start: derivative at ``(t, y)``, if known.
        with_end: evaluate the derivative at the end, if it is not one of the stages.
    """
    # expanded to the shape of y once: broadcasting a column is slow on short rows
    length = over(dt, y).expand_as(y).contiguous()
    end: Tensor | None
    times = {0.0: t}
    stages = [field(t, y) if start is None else start]
    for c, row in zip(tableau.c[1:], tableau.a[1:], strict=True):
        if c not in times:
            times[c] = torch.add(t, dt, alpha=c)
        point = along(y, length, row, stages)
        stages.append(field(times[c], point))
    if tableau.first_same_as_last:
        y1, end = point, stages[-1]
    else:
        y1, end = along(y, length, tableau.b, stages), None
        if with_end:
            end = field(times[1.0] if 1.0 in times else t + dt, y1)
    with torch.no_grad():
        estimates = [weights for weights in (tableau.error, tableau.error_low) if weights]
        errors = tuple(length * weighted_sum(weights, stages) for weights in estimates)
    return Step(field, t, dt, y, y1, stages, end, errors, tableau.dense, tableau.dense_extra)
