r"""DPM-Solver++(2M): second order at one network call per step.

With l = log(alpha / sigma) as the clock the probability flow is linear in z except for the expected data, which are
extrapolated from their last two values:

    z_s = (sigma_s / sigma_t) z_t + (alpha_s - sigma_s alpha_t / sigma_t) D,
    D = x_t + (h_t / (2 h_before)) (x_t - x_before),      h_t = l_s - l_t.

It is `sde` without noise (kappa = 0). The first step has no earlier value and the last one, to sigma = 0, an infinite
h: both are of first order, as is a step from alpha = 0. Written with alpha and sigma in place of exponentials of l, no
step needs a finite l.

References:
    Lu et al. 2022, https://arxiv.org/abs/2211.01095, algorithm 2
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pushforward.transport.ode import Predictor
from pushforward.transport.path import Path
from pushforward.transport.sde import sde

__all__ = ["dpm_solver"]


def dpm_solver(predict: Predictor, path: Path, times: Sequence[float], z: Tensor) -> Tensor:
    """Carry noise ``z`` (batch, ...), given at the first of the falling ``times``, to the last one."""
    return sde(predict, path, times, z, stochasticity=0.0)
