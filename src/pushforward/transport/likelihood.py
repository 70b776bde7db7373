r"""Exact log-densities through the probability flow.

Along dz/dt = u(z, t) the log-density of the moving sample changes by -div u, so with z_0 = x

    log p(x) = log N(z_1; 0, (alpha_1^2 + sigma_1^2) I) + integral_0^1 div u(z_t, t) dt,

or the density of Student-t noise in place of the normal one if the path ends in that.

The divergence is exact, one row of the Jacobian a dimension, up to a number of dimensions that is chosen; beyond it,
it is estimated without bias as the mean of e . (du/dz) e over Rademacher vectors e. The vectors are fixed and shared by
all samples, so that a density is the same every time and in every batch.

References:
    Chen et al. 2018, https://arxiv.org/abs/1806.07366, theorem 1; Grathwohl et al. 2019,
    https://arxiv.org/abs/1810.01367, eq. 8; Song et al. 2021, https://arxiv.org/abs/2011.13456, eq. 39
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pushforward.transport.noise import NORMAL, Noise
from pushforward.transport.ode import INTEGRATORS, Integrator, Predictor, VelocityField
from pushforward.transport.path import Moment, Path

__all__ = ["carry", "divergence", "log_likelihood", "trace_probes"]


def trace_probes(shape: Sequence[int], exact_up_to: int = 64, count: int = 1, seed: int = 0) -> Tensor:
    """Vectors e such that the mean over them of ``size / |e|^2  e . J e`` is the trace of J, or estimates it.

    Returns:
        the unit vectors if there are at most ``exact_up_to`` dimensions, otherwise ``count`` vectors of random signs;
        shape (probes, *shape).
    """
    size = math.prod(shape)
    if size <= exact_up_to:
        return torch.eye(size).reshape(size, *shape)
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, (count, *shape), generator=generator).mul_(2).sub_(1).float()


def divergence(field: Callable[[Tensor], Tensor], z: Tensor, probes: Tensor) -> tuple[Tensor, Tensor]:
    """A vector field and its divergence.

    Arguments:
        field: from (batch, *shape) to the same shape, each sample on its own.
        z: where, shape (batch, *shape).
        probes: from `trace_probes`, shape (probes, *shape).

    Returns:
        the field at ``z``, and its divergence, shape (batch,).
    """
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        value = field(z)
        total = torch.zeros(len(z), dtype=z.dtype, device=z.device)
        for i, probe in enumerate(probes):
            last = i == len(probes) - 1
            (row,) = torch.autograd.grad(value, z, probe.expand_as(value), retain_graph=not last)
            total += (row * probe).flatten(1).sum(1)
    # Unit vectors add up to the trace, vectors of signs average to it.
    size = z[0].numel()
    weight = size / float(probes.square().sum())
    return value.detach(), total * weight


def carry(
    field: VelocityField,
    path: Path,
    times: Sequence[float],
    y: Tensor,
    probes: Tensor,
    integrator: Integrator = INTEGRATORS["rk4"],
) -> tuple[Tensor, Tensor]:
    """Follow a velocity field, and the volume that moves along.

    Arguments:
        field: dy/dt from ``y`` (batch, *shape) and a moment of the path, each sample on its own.
        path, times: clock of the motion.
        y: at the first time, shape (batch, *shape).
        probes: from `trace_probes`.
        integrator: how to take a step.

    Returns:
        y at the last time, and the integral of its divergence, log |dy_last / dy_first|, shape (batch,).
    """

    def joint(state: Tensor, moment: Moment[float]) -> Tensor:
        velocity, trace = divergence(lambda y: field(y, moment), state[:, :-1].reshape(shape), probes)
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
        path: whose noise at the last time is the base distribution.
        times: rising, from the time of the data to the time of the noise.
        x: shape (batch, *shape).
        probes: from `trace_probes`.
        integrator: how to take a step.
        noise: that the path ends in.

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
