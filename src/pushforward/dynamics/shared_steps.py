r"""Steps shared by all samples of a batch: times are plain numbers, and no decision depends on a value.

Only the arithmetic of the tableau remains, so a step costs its evaluations and one operation per weight. Samplers and
small models use these steps; `odeint` gives every sample its own steps, error control, gradients and dense output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor

from pushforward.dynamics.tableau import Tableau

__all__ = ["adams_bashforth", "shared_step"]

State = TypeVar("State", bound=Any)
"""A tensor or a numpy array."""

Terms = Sequence[tuple[int, float]]


def shared_step(
    tableau: Tableau,
    slope: Callable[[State, Any], State],
    y: State,
    dt: float | Tensor,
    at: Sequence[Any] | None = None,
) -> tuple[State, list[State]]:
    """One explicit Runge-Kutta step.

    Arguments:
        slope: ``slope(y, at[i]) -> dy/dt`` at stage i.
        y: state, of any shape.
        dt: length of the step, negative to go back; a number, or a tensor that broadcasts with ``y``.
        at: second argument of the slope at each stage, such as its time; None: the fractions ``tableau.c`` of the step.

    Returns:
        the state at the end of the step, and the slopes at the stages.

    >>> from pushforward.dynamics.tableau import RK4
    >>> round(float(shared_step(RK4, lambda y, part: -y, torch.ones(()), 0.5)[0]), 4)
    0.6068
    """
    readings = tableau.c if at is None else at
    slopes = [slope(y, readings[0])]
    *inner, last = tableau.terms
    for reading, terms in zip(readings[1:], inner, strict=True):
        slopes.append(slope(_advanced(y, dt, terms, slopes), reading))
    return _advanced(y, dt, last, slopes), slopes


def adams_bashforth(
    slope: Callable[[Tensor, Any], Tensor], times: Sequence[float], y: Tensor, at: Sequence[Any] | None = None
) -> Tensor:
    r"""The state at the last of ``times`` by the two-step method, of second order; the first step is Euler's.

    .. math:: y_{n+1} = y_n + h_n \left((1 + r/2) f_n - (r/2) f_{n-1}\right), \qquad r = h_n / h_{n-1}.

    Arguments:
        slope: ``slope(y, at[n]) -> dy/dt`` at ``times[n]``, called once per step.
        times: in either direction, with steps of any length.
        at: second argument of the slope at each time but the last; None: the times themselves.

    References:
        Hairer, Norsett & Wanner 1993, Solving Ordinary Differential Equations I, eq. III.1.4
    """
    before: Tensor | None = None
    last = math.nan
    readings = times[:-1] if at is None else at
    for (start, stop), reading in zip(pairwise(times), readings, strict=True):
        dt, now = stop - start, slope(y, reading)
        if before is None:
            y = torch.add(y, now, alpha=dt)
        else:
            ratio = dt / last
            y = _advanced(y, dt, ((0, 1 + ratio / 2), (1, -ratio / 2)), (now, before))
        before, last = now, dt
    return y


def _advanced(y: Any, dt: Any, terms: Terms, slopes: Sequence[Any]) -> Any:
    fused = isinstance(y, Tensor) and not isinstance(dt, Tensor)
    for i, weight in terms:
        y = torch.add(y, slopes[i], alpha=dt * weight) if fused else y + (dt * weight) * slopes[i]
    return y
