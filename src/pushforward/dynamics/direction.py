r"""Solving backwards in time as solving forwards.

With :math:`\tau = \pm t` the equation :math:`dy/dt = f(t, y)` is :math:`dy/d\tau = \pm f(\pm\tau, y)`. The solvers see
:math:`\tau`, which increases for every sample.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from pushforward.dynamics.events import Event
from pushforward.dynamics.runge_kutta import VectorField, over
from pushforward.dynamics.solution import Solution
from pushforward.tensors import unwrapped

__all__ = ["Forwards", "forwards"]


class Forwards(NamedTuple):
    """A problem whose times increase.

    Attributes:
        sign: +1 or -1 for each sample, shape ``(batch,)``; None where time already increased.
    """

    field: VectorField
    event: Event | None
    times: Tensor
    args: tuple[Tensor, ...]
    sign: Tensor | None

    def restore(self, solution: Solution, times: Tensor) -> Solution:
        """The solution in the user's time."""
        if self.sign is None:
            return solution
        if solution.dense is not None:
            solution.dense.sign = self.sign[:, None]
        return replace(solution, t=times, t_end=solution.t_end * self.sign)


def forwards(field: VectorField, event: Event | None, times: Tensor, args: tuple[Tensor, ...]) -> Forwards:
    """The problem in a time that increases for every sample.

    Arguments:
        times: shape ``(batch, T)``, monotonic along T.
        args: of the field; where samples go in both directions, their sign comes first.
    """
    falling = times[:, -1] < times[:, 0]
    if not bool(unwrapped(falling).any()):
        return Forwards(field, event, times, args, None)
    sign = 1.0 - 2.0 * falling.to(times.dtype)
    turned = None if event is None else _turned_event(event, sign)
    if bool(unwrapped(falling).all()):
        return Forwards(_Reversed(field), turned, -times, args, sign)
    return Forwards(_Turned(field), turned, times * sign[:, None], (sign, *args), sign)


class _Reversed:
    """All samples go backwards."""

    def __init__(self, field: VectorField) -> None:
        self.field = field

    def __call__(self, t: Tensor, y: Tensor, *args: Tensor) -> Tensor:
        return -self.field(-t, y, *args)


class _Turned:
    """Some samples go backwards."""

    def __init__(self, field: VectorField) -> None:
        self.field = field

    def __call__(self, t: Tensor, y: Tensor, sign: Tensor, *args: Tensor) -> Tensor:
        return over(sign, y) * self.field(sign * t, y, *args)


def _turned_event(event: Event, sign: Tensor) -> Event:
    return lambda t, y: event(sign * t, y)
