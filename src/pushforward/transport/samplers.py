"""Samplers by name, each called as ``sampler(predict, path, times, z, draws)``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from torch import Tensor

from pushforward.errors import UsageError
from pushforward.randomness import Draws
from pushforward.transport.churn import edm
from pushforward.transport.ddim import ddim
from pushforward.transport.dpm_solver import dpm_solver
from pushforward.transport.noise import NORMAL, Noise
from pushforward.transport.ode import INTEGRATORS, Integrator, Predictor, flow
from pushforward.transport.path import Moment, Path
from pushforward.transport.prediction import Estimate
from pushforward.transport.sde import sde

__all__ = ["SAMPLERS", "Method", "guided", "sample"]

Method = Literal["euler", "midpoint", "heun", "rk4", "adams", "dopri5", "ddim", "ancestral", "dpm-solver", "sde", "edm"]


def _along(integrator: Integrator) -> Callable[..., Tensor]:
    def sampler(
        predict: Predictor, path: Path, times: Sequence[float], z: Tensor, draws: Draws | None = None, **options: float
    ) -> Tensor:
        return flow(predict, path, times, z, partial(integrator, **options))

    return sampler


def _multistep(predict: Predictor, path: Path, times: Sequence[float], z: Tensor, draws: Draws | None = None) -> Tensor:
    return dpm_solver(predict, path, times, z)


SAMPLERS: dict[str, Callable[..., Tensor]] = {
    **{name: _along(integrator) for name, integrator in INTEGRATORS.items()},
    "ddim": ddim,
    "ancestral": partial(ddim, eta=1.0),
    "dpm-solver": _multistep,
    "sde": sde,
    "edm": edm,
}


def sample(
    predict: Predictor,
    path: Path,
    times: Sequence[float],
    draws: Draws,
    shape: Sequence[int],
    *,
    method: Method,
    noise: Noise = NORMAL,
    **options: float,
) -> Tensor:
    """Samples of the distribution learnt by ``predict``, shape ``(draws.count, *shape)``.

    Arguments:
        predict: expected data and noise at a noisy batch and a moment of ``path``.
        path: probability path to follow.
        times: of the path, decreasing (see `time_grid`).
        draws: source of the starting noise and of any fresh noise.
        shape: of one sample.
        method: name in `SAMPLERS`. A step calls the network once with ``euler``, ``adams``, ``ddim``,
            ``ancestral``, ``dpm-solver`` and ``sde``, twice with ``heun``, ``midpoint`` and ``edm``, four times with
            ``rk4``, and as often as its error control requires with ``dopri5``.
        noise: distribution at the noisy end of the path.
        options: of the method: ``eta`` of ``ddim``, ``stochasticity`` of ``sde``, ``S_churn``, ``S_min``, ``S_max`` and
            ``S_noise`` of ``edm``, ``rtol`` and ``atol`` of ``dopri5``.

    Raises:
        UsageError: if there is no such method.
    """
    if method not in SAMPLERS:
        raise UsageError(f"there is no sampler called {method!r}; known ones are {', '.join(SAMPLERS)}")
    z = path.moments(times[:1])[0].norm * noise.draw(draws, shape)
    return SAMPLERS[method](predict, path, times, z, draws, **options)


def guided(conditional: Predictor, unconditional: Predictor, strength: float) -> Predictor:
    """Classifier-free guidance: the unconditional estimate plus ``strength`` times its difference from the conditional.

    Strength 1 is the conditional model itself; above 1 it exaggerates the condition, and the samples no longer follow
    the conditional distribution.

    References:
        Ho & Salimans 2022, https://arxiv.org/abs/2207.12598, eq. 6
    """

    def predict(z: Tensor, moment: Moment) -> Estimate:
        with_it, without = conditional(z, moment), unconditional(z, moment)
        return Estimate(
            data=without.data + strength * (with_it.data - without.data),
            noise=without.noise + strength * (with_it.noise - without.noise),
        )

    return predict
