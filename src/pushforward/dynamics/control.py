r"""Step-size control: the next step from the error of this one.

The error of a step is measured per sample, as the root mean square over its coordinates of
:math:`e / (\mathrm{atol} + \mathrm{rtol} \max(|y_0|, |y_1|))`; a step is accepted where it is at most 1. The next step
is longer by the factor

.. math:: \mathrm{safety}\ \epsilon_n^{\beta_1} \epsilon_{n-1}^{\beta_2} \epsilon_{n-2}^{\beta_3},

with :math:`\epsilon` the inverse of the measured error, :math:`\beta_1 = (P + I + D)/k`, :math:`\beta_2 = -(P + 2D)/k`,
:math:`\beta_3 = D/k` and :math:`k` the order of the error estimate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.dynamics.runge_kutta import Step, VectorField, over, rows
from pushforward.errors import UsageError

__all__ = ["Controller", "first_step", "step_error"]


@dataclass(frozen=True)
class Controller:
    """PID control of the step size (Soderlind, ACM Trans. Math. Softw. 29, 1 (2003)).

    The default is an integral controller; ``proportional=0.4, integral=0.3`` is smoother on mildly stiff problems and
    rejects fewer steps.

    Attributes:
        proportional, integral, derivative: P, I and D.
        safety, smallest, largest: factor on the step that the error allows, and bounds on the change of the step.
        max_step: longest step, in the units of time; set it to the width of the shortest event in the field.

    Raises:
        UsageError: if a number is out of its range.
    """

    proportional: float = 0.0
    integral: float = 1.0
    derivative: float = 0.0
    safety: float = 0.9
    smallest: float = 0.2
    largest: float = 10.0
    max_step: float = math.inf

    def __post_init__(self) -> None:
        if not 0 < self.smallest <= 1 <= self.largest < math.inf:
            raise UsageError(
                "the step factors of a controller must satisfy 0 < smallest <= 1 <= largest, not "
                f"smallest={self.smallest}, largest={self.largest}"
            )
        if not 0 < self.safety <= 1:
            raise UsageError(f"the safety of a controller must be in (0, 1], not {self.safety}")
        if not self.max_step > 0:
            raise UsageError(f"max_step must be positive, not {self.max_step}")

    def limited(self, length: Tensor) -> Tensor:
        """Step lengths, none above ``max_step``."""
        return length if self.max_step == math.inf else length.clamp_max(self.max_step)

    @property
    def remembers(self) -> bool:
        """Whether the factor depends on the errors of earlier steps."""
        return bool(self.proportional or self.derivative)

    def factor(self, order: int, error: Tensor, before: Tensor, earlier: Tensor) -> Tensor:
        """Factor on the step, from the errors of this step and of the two before it, each (batch,)."""
        p, i, d = (x / order for x in (self.proportional, self.integral, self.derivative))
        factor = error.clamp_min(1e-10).pow(-(p + i + d)) * self.safety
        if self.remembers:
            factor = factor * before.pow(p + 2 * d) * earlier.pow(-d)
            # a rejected step must not grow
            factor = torch.where(error > 1, factor.clamp_max(1.0), factor)
        return factor.clamp(self.smallest, self.largest)


def rms(x: Tensor) -> Tensor:
    """Root mean square over the coordinates of each sample, shape ``(batch,)``."""
    flat = rows(x)
    return torch.linalg.vector_norm(flat, dim=1) * flat.shape[1] ** -0.5


def step_error(step: Step, rtol: Tensor | float, atol: Tensor | float) -> Tensor:
    """Error of a step in units of the tolerance, shape ``(batch,)``; infinite where the state is not finite."""
    scale = torch.maximum(step.y0.abs(), step.y1.abs()) * rtol + atol
    error, *lower = (rms(estimate / scale) for estimate in step.errors)
    for low in lower:
        error = error.square() / (error.square() + 0.01 * low.square()).sqrt().clamp_min(1e-30)
    return torch.nan_to_num(error, nan=torch.inf, posinf=torch.inf)


def first_step(
    order: int, field: VectorField, t: Tensor, y: Tensor, start: Tensor, rtol: Tensor | float, atol: Tensor | float
) -> Tensor:
    """Length of the first step for a method of this order, shape ``(batch,)``: Hairer, Norsett & Wanner, section II.4.

    Their choice is cautious: three times their length costs nothing on the DETEST problems, and saves one of the few
    steps that a network's field takes.
    """
    scale = atol + rtol * y.abs()
    size, slope = rms(y / scale), rms(start / scale)
    tiny = (size < 1e-5) | (slope < 1e-5)
    guess = torch.where(tiny, 1e-6, 0.01 * size / slope.clamp_min(1e-30))
    ahead = field(t + guess, torch.addcmul(y, over(guess, y), start))
    curvature = rms((ahead - start) / scale) / guess
    steepest = torch.maximum(slope, curvature)
    length = 3 * (0.01 / steepest.clamp_min(1e-30)).pow(1 / order)
    length = torch.where(steepest <= 1e-15, torch.clamp_min(guess * 1e-3, 1e-6), length)
    length = torch.minimum(100 * guess, length)
    return torch.where(torch.isfinite(length), length, guess)
