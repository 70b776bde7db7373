r"""Solver time, the clock of a solve.

A sample's solver time :math:`\tau = \pm (t - t_{\mathrm{off}})` increases from the first output time to the last, so
a backward solve is a forward one. It starts at zero where the state's precision is too low for the user's times: in
single precision a Julian date has no resolution below six hours. The solvers see

.. math:: \frac{dy}{d\tau} = \pm f(t_{\mathrm{off}} \pm \tau, y).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pushforward.dynamics.runge_kutta import VectorField, over
from pushforward.dynamics.solution import Solution
from pushforward.tensors import is_wrapped, unwrapped

__all__ = ["Clock"]

# largest rounding error of a time, as a fraction of the time span, before an offset is subtracted
LOST = 1e-4


@dataclass(frozen=True)
class Clock:
    """Solver time of each sample.

    Attributes:
        dtype: of solver time, the state's.
        sign: +1 or -1, shape ``(batch,)``; None where time increases for all samples.
        offset: user's time of solver time zero, shape ``(batch,)``, in the precision of the user's times; None is zero.
        backwards: whether time decreases for all samples.
    """

    dtype: torch.dtype
    sign: Tensor | None = None
    offset: Tensor | None = None
    backwards: bool = False

    @classmethod
    def of(cls, times: Tensor, dtype: torch.dtype, *, directed: bool) -> Clock:
        """The clock for output times (batch, T), monotonic along T.

        Arguments:
            directed: require solver time to increase; fixed steps go in either direction.
        """
        clock = cls(dtype, offset=times[:, 0].detach() if _loses_precision(times, dtype) else None)
        if not directed:
            return clock
        falling = times[:, -1] < times[:, 0]
        if not bool(unwrapped(falling).any()):
            return clock
        return replace(clock, sign=1 - 2 * falling.to(dtype), backwards=bool(unwrapped(falling).all()))

    @property
    def rows(self) -> tuple[Tensor, ...]:
        """Leading ``args`` of the wrapped functions, one row per sample."""
        sign = () if self.sign is None or self.backwards else (self.sign,)
        return sign if self.offset is None else (*sign, self.offset)

    def solver_time(self, t: Tensor) -> Tensor:
        """Solver time (batch, Q) of the user's times (batch, Q)."""
        tau = (t if self.offset is None else t - self.offset[:, None]).to(self.dtype)
        return tau if self.sign is None else tau * self.sign[:, None]

    def field(self, field: VectorField) -> VectorField:
        """The vector field in solver time; its ``args`` begin with `rows`."""
        return field if self.sign is None and self.offset is None else _Field(field, self)

    def event(self, event: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
        """``event(tau, y, *args)`` in solver time, where ``args`` begin with `rows`."""
        reading = _Reading(self)
        return lambda tau, y, *args: event(reading(tau, args)[0], y)

    def restore(self, solution: Solution, times: Tensor) -> Solution:
        """The solution in the user's time."""
        if solution.dense is not None:
            solution.dense.solver_time = self.solver_time
        end = solution.t_end if self.sign is None else solution.t_end * self.sign
        if self.offset is None:
            return replace(solution, t=times.to(self.dtype), t_end=end)
        return replace(solution, t=times, t_end=self.offset + end)


class _Reading:
    """Conversion of solver time (batch,) to the user's time; also gives the sign and the remaining arguments."""

    def __init__(self, clock: Clock) -> None:
        self.backwards = clock.backwards
        self.mixed = clock.sign is not None and not clock.backwards
        self.shifted = clock.offset is not None

    def __call__(self, tau: Tensor, args: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...]]:
        sign = None
        if self.mixed:
            sign, *args = args  # type: ignore[assignment]
            tau = sign * tau
        elif self.backwards:
            tau = -tau
        if self.shifted:
            offset, *args = args  # type: ignore[assignment]
            tau = offset + tau
        return tau, sign, tuple(args)


class _Field:
    def __init__(self, field: VectorField, clock: Clock) -> None:
        self.call, self.reading = field, _Reading(clock)

    def __call__(self, tau: Tensor, y: Tensor, *args: Tensor) -> Tensor:
        t, sign, rest = self.reading(tau, args)
        value = self.call(t, y, *rest)
        if sign is not None:
            return over(sign, y) * value
        return -value if self.reading.backwards else value


def _loses_precision(times: Tensor, dtype: torch.dtype) -> bool:
    """Whether rounding to ``dtype`` moves the times (batch, T) by more than `LOST` of their span."""
    if torch.finfo(times.dtype).bits <= torch.finfo(dtype).bits:
        return False
    if is_wrapped(times) or torch.compiler.is_compiling():
        return True
    times = times.detach()
    resolution = torch.finfo(dtype).eps * times.abs().amax(1)
    return bool((resolution > LOST * (times[:, -1] - times[:, 0]).abs()).any())
