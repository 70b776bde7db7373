r"""Deterministic sampling by the probability-flow equation.

    dz/dt = alpha'_t E[x | z] + sigma'_t E[eps | z]

has the path's distribution at every time: integrated from noise to data it samples, from data to noise it encodes. The
integrators are those of `pushforward.dynamics`: Runge-Kutta methods and the two-step Adams-Bashforth method, of second
order at one evaluation per step, with steps shared by all samples; and an adaptive embedded pair. On the straight line,
Euler's method is DDIM for a network trained on any path.

References:
    Song et al. 2021, https://arxiv.org/abs/2011.13456, eq. 13
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from pushforward.dynamics import Tableau, adams_bashforth, odeint, shared_step
from pushforward.dynamics.tableau import EULER, HEUN, MIDPOINT, RK4
from pushforward.errors import UsageError
from pushforward.transport.path import Moment, Path
from pushforward.transport.prediction import Estimate

__all__ = [
    "INTEGRATORS",
    "Integrator",
    "Predictor",
    "Solver",
    "VelocityField",
    "adaptive",
    "flow",
    "runge_kutta",
    "two_step",
]

Predictor = Callable[[Tensor, Moment], Estimate]
VelocityField = Callable[[Tensor, Moment], Tensor]
Integrator = Callable[[VelocityField, Path, Sequence[float], Tensor], Tensor]
Solver = Literal["euler", "midpoint", "heun", "rk4", "adams", "dopri5"]


def runge_kutta(field: VelocityField, path: Path, times: Sequence[float], y: Tensor, tableau: Tableau) -> Tensor:
    """The state at the last time of dy/dt = field(y, moment), given ``y`` at the first; one step between two times.

    Raises:
        UsageError: if the path's velocity is infinite at a stage.
    """
    for start, stop in pairwise(times):
        moments = _finite(path, [start + c * (stop - start) for c in tableau.c])
        y, _ = shared_step(tableau, field, y, stop - start, moments)
    return y


def two_step(field: VelocityField, path: Path, times: Sequence[float], y: Tensor) -> Tensor:
    """The same by the two-step Adams-Bashforth method, with one evaluation per step."""
    return adams_bashforth(field, times, y, _finite(path, times[:-1]))


def adaptive(
    field: VelocityField,
    path: Path,
    times: Sequence[float],
    y: Tensor,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> Tensor:
    """The same by the fifth-order pair of Dormand and Prince; each sample has its own steps.

    Arguments:
        field: must accept moments with one time per sample.
        times: only the first and the last matter.
        rtol, atol: relative and absolute error tolerance per step.

    Raises:
        IntegrationError: if a sample cannot be integrated to the end; one that starts with NaN stays NaN.
    """
    each = (-1, *[1] * (y.dim() - 1))
    ends = torch.tensor([times[0], times[-1]], dtype=y.dtype, device=y.device)

    def slope(t: Tensor, state: Tensor) -> Tensor:
        return field(state, path.at(t.reshape(each)))

    return odeint(slope, y, ends, method="dopri5", rtol=rtol, atol=atol, on_failure="nan").y[-1]


INTEGRATORS: dict[Solver, Integrator] = {
    "euler": partial(runge_kutta, tableau=EULER),
    "midpoint": partial(runge_kutta, tableau=MIDPOINT),
    "heun": partial(runge_kutta, tableau=HEUN),
    "rk4": partial(runge_kutta, tableau=RK4),
    "adams": two_step,
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
                "sample the same network on the straight line"
            )
    return moments
