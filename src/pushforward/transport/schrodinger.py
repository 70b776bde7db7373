r"""Schroedinger bridge: the motion from an ensemble a to an ensemble b that is most likely under Brownian motion.

Of all processes from a at t = 0 to b at t = 1 it has the least relative entropy to dz = sigma dW. It alone is both a
Markov process and a mixture of Brownian bridges

    z_t = (1 - t) a + t b + sigma sqrt(t (1 - t)) eps,

whose ends have the entropic coupling of least E |a - b|^2 - 2 sigma^2 entropy. Iterative Markovian fitting alternates
the two properties: bridges over a coupling of the ends give the drifts

    u(z, t) = E[b - z | z_t = z] / (1 - t),      v(z, t) = E[a - z | z_t = z] / t   (in reversed time),

either of which gives a new coupling by simulation, from a forwards or from b backwards. At the fixed point both belong
to the bridge, and its probability flow

    dz / dt = (u - v) / 2

carries a to b without noise. With the remaining time s, both drifts are one function of the end that they aim at. Its
regression target, of unit variance at all times for displacements of unit variance, is

    f = (end - z) / c(s) = sqrt(s / r) (end - start) - sigma sqrt((1 - s) / r) eps,    c(s) = sqrt(s r),

with r = s + sigma^2 (1 - s). In the angle t = sin^2(theta / 2) the flow is finite everywhere.

References:
    Shi et al. 2023, https://arxiv.org/abs/2303.16852, section 3 (iterative Markovian fitting)
    De Bortoli et al. 2024, https://arxiv.org/abs/2409.09347 (online: one step of each direction at a time)
    Bunne et al. 2023, https://arxiv.org/abs/2202.05722, section 3 (Gaussian ends)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.dynamics import odeint
from pushforward.randomness import Draws

__all__ = ["Drift", "bridge", "drift_target", "gaussian_coupling", "scale", "simulated", "transported"]

Drift = Callable[[Tensor, Tensor], Tensor]
"""f at states (batch, ...) and their elapsed times (batch,)."""


def bridge(
    start: Float[Tensor, "batch *shape"],
    end: Float[Tensor, "batch *shape"],
    elapsed: Float[Tensor, " batch"],
    eps: Float[Tensor, "batch *shape"],
    sigma: float,
) -> Float[Tensor, "batch *shape"]:
    """z on the Brownian bridge from ``start`` to ``end``."""
    t = _each(elapsed, start)
    return (1 - t) * start + t * end + sigma * (t * (1 - t)).sqrt() * eps


def drift_target(
    start: Float[Tensor, "batch *shape"],
    end: Float[Tensor, "batch *shape"],
    elapsed: Float[Tensor, " batch"],
    eps: Float[Tensor, "batch *shape"],
    sigma: float,
) -> Float[Tensor, "batch *shape"]:
    """f at the z of `bridge`."""
    t = _each(elapsed, start)
    norm = (1 - t + sigma**2 * t).rsqrt()
    return norm * ((1 - t).sqrt() * (end - start) - sigma * t.sqrt() * eps)


def scale(elapsed: Float[Tensor, " *batch"], sigma: float) -> Float[Tensor, " *batch"]:
    """c of the remaining time: the expected end is z + c f."""
    return ((1 - elapsed) * (1 - elapsed + sigma**2 * elapsed)).sqrt()


def simulated(
    drift: Drift, start: Float[Tensor, "batch *shape"], draws: Draws, *, sigma: float, steps: int
) -> Float[Tensor, "batch *shape"]:
    """Ends of the diffusion that starts at ``start``, by steps along the bridge to the expected end.

    Arguments:
        drift: f towards the end.
        start: states at elapsed time 0.
        draws: source of the Wiener increments.
        sigma: standard deviation of the Brownian motion after unit time.
        steps: equally spaced in theta; one call of the drift each. The end of the last is the expected one.
    """
    z = start
    for now, then in pairwise(_times(steps)):
        elapsed = z.new_full((len(z),), now)
        end = z + _each(scale(elapsed, sigma), z) * drift(z, elapsed)
        step = (then - now) / (1 - now)
        z = z + step * (end - z)
        if then < 1:
            z = z + sigma * math.sqrt((1 - then) * step) * draws.normal(*z.shape[1:])
    return z


def transported(
    forward: Drift,
    backward: Drift,
    start: Float[Tensor, "batch *shape"],
    *,
    sigma: float,
    tolerance: float = 1e-4,
) -> Float[Tensor, "batch *shape"]:
    """Ends of the probability flow from ``start``; with the drifts exchanged, the way back.

    Arguments:
        forward: f towards the end of the flow, of the time elapsed since its start.
        backward: f towards its start, of the time that remains.
        start: states at its start.
        sigma: standard deviation of the Brownian motion after unit time.
        tolerance: relative and absolute error per step of the solver.
    """

    def motion(theta: Tensor, z: Tensor) -> Tensor:
        t = (theta / 2).sin().square().clamp(0, 1)
        # dt / dtheta = sqrt(t (1 - t)) cancels the pole of u = c f / (1 - t), and that of v in the same way.
        ahead, behind = (
            _each((p * (1 - p + sigma**2 * p)).sqrt(), z) * drift(z, p)
            for drift, p in ((forward, t), (backward, 1 - t))
        )  # fmt: skip
        return (ahead - behind) / 2

    ends = torch.tensor([0.0, math.pi], dtype=start.dtype, device=start.device)
    return odeint(motion, start, ends, method="dopri5", rtol=tolerance, atol=tolerance, on_failure="nan").y[-1]


def gaussian_coupling(
    covariance_a: Float[Tensor, "d d"], covariance_b: Float[Tensor, "d d"], sigma: float
) -> Float[Tensor, "d d"]:
    r"""Covariance of a with b in the bridge between Gaussian ensembles,

    .. math:: C = \tfrac12 \big(A^{1/2} D A^{-1/2} - \sigma^2\big), \qquad
              D = \big(4 A^{1/2} B A^{1/2} + \sigma^4\big)^{1/2}.

    Source: Janati et al. 2020, https://arxiv.org/abs/2006.02572, theorem 1, for the cost |a - b|^2 and twice its sigma.

    >>> gaussian_coupling(torch.eye(1), torch.eye(1), 1.0)  # (sqrt(5) - 1) / 2
    tensor([[0.6180]])
    """
    values, vectors = torch.linalg.eigh(covariance_a)
    root, inverse = (vectors * values**power @ vectors.T for power in (0.5, -0.5))
    one = torch.eye(len(values)).to(covariance_a)
    spread, basis = torch.linalg.eigh(4 * root @ covariance_b @ root + sigma**4 * one)
    return (root @ (basis * spread.sqrt() @ basis.T) @ inverse - sigma**2 * one) / 2


def _times(steps: int) -> list[float]:
    return [*(math.sin(math.pi * step / (2 * steps)) ** 2 for step in range(steps)), 1.0]


def _each(t: Tensor, like: Tensor) -> Tensor:
    return t.view(-1, *[1] * (like.dim() - 1))
