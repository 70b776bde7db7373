r"""DPM-Solver++(2M): second order at one network call per step.

With l = log(alpha / sigma) as the clock the probability flow is linear in z except for the expected data, which are
extrapolated from their last two values:

    z_s = (sigma_s / sigma_t) z_t + (alpha_s - sigma_s alpha_t / sigma_t) D,
    D = x_t + (h_t / (2 h_before)) (x_t - x_before),      h_t = l_s - l_t.

The first step has no earlier value and the last one, to sigma = 0, an infinite h: both are of first order, as is a
step from alpha = 0. Written with alpha and sigma in place of exponentials of l, no step needs a finite l.

References:
    Lu et al. 2022, https://arxiv.org/abs/2211.01095, algorithm 2
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from pushforward.transport.ode import Predictor
from pushforward.transport.path import Path

__all__ = ["dpm_solver", "log_ratio"]


def dpm_solver(predict: Predictor, path: Path, times: Sequence[float], z: Tensor) -> Tensor:
    """Carry noise ``z`` (batch, ...), given at the first of the falling ``times``, to the last one."""
    moments = path.moments(times)
    clock = [log_ratio(moment.alpha, moment.sigma) for moment in moments]
    before: Tensor | None = None
    for i, (now, then) in enumerate(pairwise(moments)):
        data = predict(z, now).data
        extrapolated = data
        step = clock[i + 1] - clock[i]
        if before is not None and math.isfinite(step):
            # After an infinitely long step, from alpha = 0, the correction vanishes.
            extrapolated = data + (step / (2 * (clock[i] - clock[i - 1]))) * (data - before)
        z = (then.sigma / now.sigma) * z + (then.alpha - then.sigma * now.alpha / now.sigma) * extrapolated
        before = data
    return z


def log_ratio(alpha: float, sigma: float) -> float:
    """log(alpha / sigma); infinite where one of them vanishes."""
    if alpha > 0 and sigma > 0:
        return math.log(alpha / sigma)
    return math.inf if alpha > 0 else -math.inf
