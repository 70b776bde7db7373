r"""Log-densities from the probability flow.

Along dz/dt = u(z, t) the log-density of the moving sample changes by -div u, so with z_0 = x

    log p(x) = log N(z_1; 0, (alpha_1^2 + sigma_1^2) I) + integral_0^1 div u(z_t, t) dt,

with the Student-t density in place of the normal one if the path ends in Student-t noise.

The divergence is exact, one row of the Jacobian per dimension, up to a chosen number of dimensions; beyond it, it is an
unbiased estimate, the mean of e . (du/dz) e over Rademacher vectors e. The vectors are fixed and shared by all samples,
so that a density is reproducible and does not depend on the batch.

References:
    Chen et al. 2018, https://arxiv.org/abs/1806.07366, theorem 1; Grathwohl et al. 2019,
    https://arxiv.org/abs/1810.01367, eq. 8; Song et al. 2021, https://arxiv.org/abs/2011.13456, eq. 39
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.dynamics import probed_divergence
from pushforward.transport.noise import NORMAL, Noise
from pushforward.transport.ode import INTEGRATORS, Integrator, Predictor, VelocityField
from pushforward.transport.path import Moment, Path

__all__ = ["carry", "log_likelihood"]


def carry(
    field: VelocityField,
    path: Path,
    times: Sequence[float],
    y: Tensor,
    probes: Tensor,
    integrator: Integrator = INTEGRATORS["rk4"],
) -> tuple[Tensor, Tensor]:
    """Integrate a velocity field together with its divergence.

    Arguments:
        field: dy/dt from ``y`` (batch, *shape) and a moment of the path; samples must not mix.
        path, times: clock of the motion.
        y: at the first time, shape (batch, *shape).
        probes: from `pushforward.dynamics.trace_probes`.
        integrator: method of integration.

    Returns:
        y at the last time, and the integral of its divergence, log |dy_last / dy_first|, shape (batch,).
    """

    def joint(state: Tensor, moment: Moment[float]) -> Tensor:
        velocity, trace = probed_divergence(lambda y: field(y, moment), state[:, :-1].reshape(shape), probes)
        return torch.cat([velocity.flatten(1), trace[:, None]], dim=1)

    shape = y.shape
    state = integrator(joint, path, times, torch.cat([y.flatten(1), y.new_zeros(len(y), 1)], dim=1))
    return state[:, :-1].reshape(shape), state[:, -1]


def log_likelihood(
    predict: Predictor,
    path: Path,
    times: Sequence[float],
    x: Tensor,
    probes: Tensor,
    integrator: Integrator = INTEGRATORS["rk4"],
    noise: Noise = NORMAL,
) -> tuple[Tensor, Tensor]:
    """Log-density of ``x`` under the distribution that the probability flow samples, and its latent code.

    Arguments:
        predict: expected data and noise at a noisy batch and a moment.
        path: its noise at the last time is the base distribution.
        times: increasing, from the time of the data to that of the noise.
        x: shape (batch, *shape).
        probes: from `pushforward.dynamics.trace_probes`.
        integrator: method of integration.
        noise: distribution at the noisy end of the path.

    Returns:
        log p(x) in nats, shape (batch,), and z at the last time, shape (batch, *shape).
    """
    first, last = path.moments([times[0], times[-1]])
    z, volume = carry(
        lambda z, moment: moment.velocity(*predict(z, moment)), path, times, first.alpha * x, probes, integrator
    )
    size = x[0].numel()
    volume = volume + size * math.log(first.alpha / last.norm)
    return noise.log_prob(z / last.norm) + volume, z
