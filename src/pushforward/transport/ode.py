r"""Deterministic sampling: along the probability-flow equation.

    dz/dt = alpha'_t E[x | z] + sigma'_t E[eps | z]

has the path's distribution at every time, so following it from noise to data samples, and following it from data to
noise encodes. A Runge-Kutta method is its Butcher tableau; the method of Adams and Bashforth is of second order at one
evaluation a step; an embedded pair chooses its steps. On the straight line, Euler's method is DDIM for a network of any
path.

References:
    Song et al. 2021, https://arxiv.org/abs/2011.13456, eq. 13
    Hairer, Norsett & Wanner 1993, Solving Ordinary Differential Equations I, table II.1.2 and eq. III.1.4
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from pushforward.dynamics import odeint
from pushforward.errors import UsageError
from pushforward.transport.path import Moment, Path
from pushforward.transport.prediction import Estimate

__all__ = [
    "EULER",
    "HEUN",
    "INTEGRATORS",
    "MIDPOINT",
    "RK4",
    "Integrator",
    "Predictor",
    "Solver",
    "Tableau",
    "VelocityField",
    "adams_bashforth",
    "adaptive",
    "flow",
    "runge_kutta",
]

Predictor = Callable[[Tensor, Moment], Estimate]
VelocityField = Callable[[Tensor, Moment], Tensor]
Integrator = Callable[[VelocityField, Path, Sequence[float], Tensor], Tensor]
Solver = Literal["euler", "midpoint", "heun", "rk4", "adams", "dopri5"]


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


def runge_kutta(field: VelocityField, path: Path, times: Sequence[float], y: Tensor, tableau: Tableau) -> Tensor:
    """The state at the last time of dy/dt = field(y, moment), given ``y`` at the first, one step a pair of times.

    Raises:
        UsageError: if the path's velocity is not finite at a time where the method needs it.
    """
    for start, stop in pairwise(times):
        step = stop - start
        slopes: list[Tensor] = []
        moments = _finite(path, [start + node * step for node in tableau.nodes])
        for moment, row in zip(moments, tableau.stages, strict=True):
            slopes.append(field(_advance(y, step, row, slopes), moment))
        y = _advance(y, step, tableau.weights, slopes)
    return y


def adams_bashforth(field: VelocityField, path: Path, times: Sequence[float], y: Tensor) -> Tensor:
    """The same by the two-step method for steps of any length, of second order; the first step is one of Euler's.

    y_{n+1} = y_n + h_n ((1 + r/2) f_n - (r/2) f_{n-1}),    r = h_n / h_{n-1}.
    """
    before: Tensor | None = None
    last_step = math.nan
    for (start, stop), moment in zip(pairwise(times), _finite(path, times[:-1]), strict=True):
        step, slope = stop - start, field(y, moment)
        if before is None:
            y = y + step * slope
        else:
            ratio = step / last_step
            y = _advance(y, step, (1 + ratio / 2, -ratio / 2), (slope, before))
        before, last_step = slope, step
    return y


def adaptive(
    field: VelocityField,
    path: Path,
    times: Sequence[float],
    y: Tensor,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> Tensor:
    """The same by the fifth-order pair of Dormand and Prince, with steps of its own for each sample.

    Arguments:
        field: must take moments of one time a sample.
        times: only the first and the last matter.
        rtol, atol: relative and absolute error that a step may make.

    Raises:
        IntegrationError: if a sample could not be followed to the end.
    """
    each = (-1, *[1] * (y.dim() - 1))
    ends = torch.tensor([times[0], times[-1]], dtype=y.dtype, device=y.device)

    def slope(t: Tensor, state: Tensor) -> Tensor:
        return field(state, path.at(t.reshape(each)))

    return odeint(slope, y, ends, method="dopri5", rtol=rtol, atol=atol).y[-1]


INTEGRATORS: dict[Solver, Integrator] = {
    "euler": partial(runge_kutta, tableau=EULER),
    "midpoint": partial(runge_kutta, tableau=MIDPOINT),
    "heun": partial(runge_kutta, tableau=HEUN),
    "rk4": partial(runge_kutta, tableau=RK4),
    "adams": adams_bashforth,
    "dopri5": adaptive,
}


def flow(
    predict: Predictor, path: Path, times: Sequence[float], z: Tensor, integrator: Integrator = INTEGRATORS["heun"]
) -> Tensor:
    """Carry ``z`` (batch, ...) along the probability flow from the first to the last of ``times``."""
    return integrator(lambda z, moment: moment.velocity(*predict(z, moment)), path, times, z)


def _finite(path: Path, times: Sequence[float]) -> list[Moment[float]]:
    moments = path.moments(times)
    for moment in moments:
        if not math.isfinite(moment.alpha_dot) or not math.isfinite(moment.sigma_dot):
            raise UsageError(
                f"the velocity of {path} is infinite at t = {moment.time:g}; end the grid of times before it, or "
                "sample on the straight line, which needs no other network"
            )
    return moments


def _advance(y: Tensor, step: float, weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            y = y + (step * weight) * slope
    return y
