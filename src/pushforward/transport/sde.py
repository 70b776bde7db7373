r"""Stochastic sampling with adjustable noise, from the probability flow to the reversed diffusion and beyond.

For every kappa >= 0 the equation, integrated from noise to data,

    dz = (f z - (1 + kappa) / 2 g^2 score) dt + sqrt(kappa) g dW

has the distribution of the path at every time: a stronger drift towards the data compensates the fresh noise. kappa = 0
is the probability flow and kappa = 1 the reversed diffusion. With l = log(alpha / sigma) as the clock and expected data
D constant over a step of length h, it is solved exactly,

    z_s = (sigma_s / sigma_t) e^(-kappa h) z_t + alpha_s (1 - e^(-(1 + kappa) h)) D + sigma_s sqrt(1 - e^(-2 kappa h)) w

with w ~ N(0, I). D is extrapolated from the last two expected data as in DPM-Solver++(2M), the case kappa = 0. No step
needs a finite l, so paths may start at alpha = 0 and end at sigma = 0.

References:
    Song et al. 2021, https://arxiv.org/abs/2011.13456 (kappa = 0 and 1); Karras et al. 2022,
    https://arxiv.org/abs/2206.00364, appendix B.5 (any kappa); Albergo et al. 2023, https://arxiv.org/abs/2303.08797,
    eq. 2.33; Xue et al. 2023, https://arxiv.org/abs/2305.14267 (the exponential step)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from pushforward.errors import UsageError
from pushforward.randomness import Draws
from pushforward.transport.ode import Predictor
from pushforward.transport.path import Path

__all__ = ["sde"]


def sde(
    predict: Predictor,
    path: Path,
    times: Sequence[float],
    z: Tensor,
    draws: Draws | None = None,
    *,
    stochasticity: float = 1.0,
) -> Tensor:
    """Carry noise ``z`` (batch, ...) to the last of the falling ``times``, with one network call per step.

    Arguments:
        predict: expected data and noise at a noisy batch and a moment.
        path: Gaussian path.
        times: from the noisiest, where ``z`` is given, to the cleanest.
        z: starting noise, shape (batch, ...).
        draws: source of the fresh noise; needed for a positive stochasticity.
        stochasticity: kappa; 0 follows the probability flow, 1 the reversed diffusion.

    Raises:
        UsageError: if the stochasticity is negative, or positive without draws.
    """
    if stochasticity < 0 or (stochasticity > 0 and draws is None):
        raise UsageError(
            f"stochasticity must be 0 or more, with draws if positive; given: {stochasticity}, draws={draws}"
        )
    moments = path.moments(times)
    clock = [_log_ratio(moment.alpha, moment.sigma) for moment in moments]
    before: Tensor | None = None
    for i, (now, then) in enumerate(pairwise(moments)):
        data = predict(z, now).data
        extrapolated = data
        step = clock[i + 1] - clock[i]
        if before is not None and math.isfinite(step):
            # After an infinitely long step, from alpha = 0, the correction vanishes.
            extrapolated = data + (step / (2 * (clock[i] - clock[i - 1]))) * (data - before)
        # At kappa = 0 there is no decay, even over an infinitely long step.
        decay = math.exp(-stochasticity * step) if stochasticity else 1.0
        remaining = (then.sigma / now.sigma) * decay
        z = remaining * z + (then.alpha - remaining * now.alpha) * extrapolated
        fresh = then.sigma * math.sqrt(1 - decay**2)
        if fresh > 0 and draws is not None:
            z = z + fresh * draws.normal(*z.shape[1:])
        before = data
    return z


def _log_ratio(alpha: float, sigma: float) -> float:
    """log(alpha / sigma); infinite where one of them vanishes."""
    if alpha > 0 and sigma > 0:
        return math.log(alpha / sigma)
    return math.inf if alpha > 0 else -math.inf
