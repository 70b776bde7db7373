r"""The sampler of Karras et al.: Heun's method in sigma / alpha, with churn.

In the scaled state y = z / alpha the probability flow has the ratio s = sigma / alpha as its clock and the expected
noise as its slope, dy/ds = E[eps | z], on every path. A step from s to s' < s

    raises the noise,   s^ = (1 + gamma) s,   y^ = y + sqrt(s^^2 - s^2) S_noise xi,
    takes Euler's step, y' = y^ + (s' - s^) eps(y^, s^),
    corrects the slope, y' = y^ + (s' - s^) (eps(y^, s^) + eps(y', s')) / 2,

with gamma = min(S_churn / steps, sqrt(2) - 1) while S_min <= s <= S_max, and 0 otherwise. At s' = 0 the slope is
undefined and at infinite s the step length is: these two steps are Euler's, which is DDIM.

References:
    Karras et al. 2022, https://arxiv.org/abs/2206.00364, algorithm 2
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from pushforward.errors import UsageError
from pushforward.randomness import Draws
from pushforward.transport.ode import Predictor
from pushforward.transport.path import Moment, Path

__all__ = ["edm"]


def edm(
    predict: Predictor,
    path: Path,
    times: Sequence[float],
    z: Tensor,
    draws: Draws | None = None,
    *,
    S_churn: float = 0.0,
    S_min: float = 0.0,
    S_max: float = math.inf,
    S_noise: float = 1.0,
) -> Tensor:
    """Carry noise ``z`` (batch, ...) to the last of the falling ``times``, with two network calls per step.

    Arguments:
        predict: expected data and noise at a noisy batch and a moment.
        path: any path.
        times: from the noisiest, where ``z`` is given, to the cleanest.
        z: starting noise, shape (batch, ...).
        draws: source of the fresh noise; needed for S_churn > 0.
        S_churn: total noise added and removed again, relative to the noise present; 0 is deterministic.
        S_min, S_max: range of sigma / alpha in which noise is added.
        S_noise: standard deviation of the fresh noise; slightly above 1 compensates a network that removes too much.

    Raises:
        UsageError: if S_churn is negative, or positive without draws.
    """
    if S_churn < 0 or (S_churn > 0 and draws is None):
        raise UsageError(f"churn needs S_churn >= 0, and draws if S_churn > 0; given: S_churn={S_churn}, draws={draws}")
    gamma = min(S_churn / (len(times) - 1), math.sqrt(2) - 1)
    for now, then in pairwise(path.moments(times)):
        if gamma > 0 and draws is not None and now.alpha > 0 and S_min <= now.sigma / now.alpha <= S_max:
            noisier = _noisier(path, now, 1 + gamma)
            scale = noisier.alpha / now.alpha
            fresh = math.sqrt(noisier.sigma**2 - (scale * now.sigma) ** 2)
            z, now = scale * z + (fresh * S_noise) * draws.normal(*z.shape[1:]), noisier
        data, noise = predict(z, now)
        z = then.alpha * data + then.sigma * noise
        if then.sigma > 0 and now.alpha > 0:
            distance = then.sigma - then.alpha * (now.sigma / now.alpha)
            z = z + (distance / 2) * (predict(z, then).noise - noise)
    return z


def _noisier(path: Path, moment: Moment[float], factor: float) -> Moment[float]:
    raised = Moment(math.nan, moment.alpha, factor * moment.sigma, math.nan, math.nan)
    return path.matching(raised)[0]
