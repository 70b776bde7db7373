r"""Deterministic sampling: fixed-step Runge-Kutta along the probability-flow equation.

    dz/dt = alpha'_t E[x | z] + sigma'_t E[eps | z]

has the path's distribution at every time, so following it from noise to data samples, and following it from data to
noise encodes. A method is its Butcher tableau. On the straight line, Euler's method is DDIM for a network of any path.

References:
    Song et al. 2021, https://arxiv.org/abs/2011.13456, eq. 13
    Hairer, Norsett & Wanner 1993, Solving Ordinary Differential Equations I, table II.1.2
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from pushforward.errors import UsageError
from pushforward.transport.path import Moment, Path
from pushforward.transport.prediction import Estimate

__all__ = ["EULER", "HEUN", "MIDPOINT", "RK4", "Predictor", "Tableau", "flow", "integrate"]

Predictor = Callable[[Tensor, Moment[float]], Estimate]


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge-Kutta method: stage times, stage weights, step weights, and the order of convergence."""

    nodes: tuple[float, ...]
    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    order: int


EULER = Tableau((0.0,), ((),), (1.0,), order=1)
MIDPOINT = Tableau((0.0, 0.5), ((), (0.5,)), (0.0, 1.0), order=2)
HEUN = Tableau((0.0, 1.0), ((), (1.0,)), (0.5, 0.5), order=2)
RK4 = Tableau((0.0, 0.5, 0.5, 1.0), ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6), order=4)


def integrate(
    field: Callable[[Tensor, Moment[float]], Tensor], path: Path, times: Sequence[float], y: Tensor, tableau: Tableau
) -> Tensor:
    """The state at the last time of dy/dt = field(y, moment), given ``y`` at the first, one step a pair of times.

    Raises:
        UsageError: if the path's velocity is not finite at a time where the method needs it.
    """
    for start, stop in pairwise(times):
        step = stop - start
        slopes: list[Tensor] = []
        moments = path.moments([start + node * step for node in tableau.nodes])
        for moment, row in zip(moments, tableau.stages, strict=True):
            if not math.isfinite(moment.alpha_dot) or not math.isfinite(moment.sigma_dot):
                raise UsageError(
                    f"the velocity of {path} is infinite at t = {moment.time:g}; end the grid of times before it, or "
                    "sample on the straight line, which needs no other network"
                )
            slopes.append(field(_advance(y, step, row, slopes), moment))
        y = _advance(y, step, tableau.weights, slopes)
    return y


def flow(predict: Predictor, path: Path, times: Sequence[float], z: Tensor, tableau: Tableau) -> Tensor:
    """Carry ``z`` (batch, ...) along the probability flow from the first to the last of ``times``."""
    return integrate(lambda z, moment: moment.velocity(*predict(z, moment)), path, times, z, tableau)


def _advance(y: Tensor, step: float, weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            y = y + (step * weight) * slope
    return y
