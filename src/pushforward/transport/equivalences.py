r"""Twelve equivalences between diffusion, flow matching and Poisson flows, as functions.

The first eleven are those of Gao et al., *Diffusion Meets Flow Matching*; the last adds the Poisson flows.

 1. Paths of equal log-SNR differ by a scaling of z alone: `rescaled`.
 2. Noise, data, v, velocity and score determine one another: `all_predictions`.
 3. Their squared errors differ by functions of the log-SNR: `error_ratio`.
 4. DDIM is Euler's method in rescaled coordinates, and Euler's method on the straight line: `rescaled_euler`.
 5. A loss is a weighting of log-SNRs, for any schedule: `weighting` and `weighted_loss`.
 6. Flow matching has the weighting of the error of v on the cosine schedule: `weighting` of both.
 7. A network trained on one path can be sampled along another: `along`.
 8. Which path is straighter depends on the width of the data: `path_energy`.
 9. Reflow trains on the pairs of knowledge distillation: `generated_pairs`.
10. A random step is a deterministic step that overshoots, plus noise: `overshoot`; for DDIM: `eta_of`.
11. Paths and stochastic processes, dz = f z dt + g dW: `coefficients` and, back, `Path.drift` and `Path.diffusion`.
12. The field lines of charges in D extra dimensions are the flow of Student-t noise: `field_line`.

References:
    Gao et al. 2024, https://diffusionflow.github.io; Xu et al. 2023, https://arxiv.org/abs/2302.04265
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.randomness import Draws
from pushforward.transport.noise import NORMAL, Noise
from pushforward.transport.ode import INTEGRATORS, Integrator, Predictor, flow
from pushforward.transport.path import Moment, Number, Path
from pushforward.transport.prediction import PREDICTIONS, Estimate, Prediction, convert

__all__ = [
    "all_predictions",
    "along",
    "coefficients",
    "error_ratio",
    "eta_of",
    "field_line",
    "generated_pairs",
    "overshoot",
    "path_energy",
    "rescaled",
    "rescaled_euler",
    "weighted_loss",
    "weighting",
]


def rescaled(z: Tensor, moment: Moment, path: Path) -> tuple[Tensor, Moment]:
    """Rescale a noisy sample of one path to a sample of another, at the time of equal log-SNR.

    Arguments:
        z: sample, shape (batch, ...), at ``moment`` of its own path.
        path: the other path.

    Returns:
        the sample, and its moment on ``path``.
    """
    there, factor = path.matching(moment)
    return factor * z, there


def all_predictions(value: Tensor, z: Tensor, moment: Moment, source: Prediction) -> dict[Prediction, Tensor]:
    """All predictions equivalent to ``source`` with this ``value`` at ``z`` (batch, ...)."""
    return {name: convert(value, z, moment, source, name) for name in PREDICTIONS}


def error_ratio(prediction: Literal["noise", "data", "v", "velocity"], log_snr: Tensor) -> Tensor:
    """Ratio of a prediction's squared error to that of the noise, as a function of the log-SNR.

    exp(-l) for the data; 1 + exp(-l) for v, on variance-preserving paths, where alpha^2 = 1 / (1 + exp(-l)); and
    (1 + exp(-l / 2))^2 for the velocity of the straight line. For other paths see `loss_weight`.
    """
    if prediction == "data":
        return torch.exp(-log_snr)
    if prediction == "v":
        return 1 + torch.exp(-log_snr)
    if prediction == "velocity":
        return (1 + torch.exp(-log_snr / 2)) ** 2
    return torch.ones_like(log_snr)


def rescaled_euler(
    value: Tensor, z: Tensor, now: Moment[float], then: Moment[float], prediction: Literal["noise", "data", "velocity"]
) -> Tensor:
    """One step of DDIM, written as Euler's method z' + value (h' - h) in the coordinates of a prediction.

    | prediction | coordinate z'       | clock h                 |
    |------------|---------------------|-------------------------|
    | data       | z / sigma           | alpha / sigma           |
    | noise      | z / alpha           | sigma / alpha           |
    | velocity   | z / (alpha + sigma) | sigma / (alpha + sigma) |

    Arguments:
        value: prediction at ``z``, shape (batch, ...); the velocity is that of the straight line, noise - data.
        now, then: moments of one path, the ends of the step.
    """
    scales = {
        "data": lambda m: (m.sigma, m.alpha / m.sigma),
        "noise": lambda m: (m.alpha, m.sigma / m.alpha),
        "velocity": lambda m: (m.alpha + m.sigma, m.sigma / (m.alpha + m.sigma)),
    }
    (scale, clock), (scale_then, clock_then) = scales[prediction](now), scales[prediction](then)
    return scale_then * (z / scale + value * (clock_then - clock))


def weighting(path: Path, measured_in: Prediction, t: Float[Tensor, " times"]) -> Float[Tensor, " times"]:
    """Weighting w(l) of a loss: uniform times on a path and squared errors of a prediction minimise

        integral w(l) E || eps_theta - eps ||^2 dl.

    Evaluated at the log-SNRs l of times ``t``: the ratio of the error to that of the noise, times |dt/dl|.
    """
    t = t.detach().requires_grad_()
    moment = path.at(t)
    a, b = PREDICTIONS[measured_in](moment)
    ratio = ((moment.alpha * b - moment.sigma * a) / moment.alpha) ** 2
    (slope,) = torch.autograd.grad(path.log_snr(t).sum(), t)
    return (ratio / slope.abs()).detach()


def weighted_loss(
    error: Callable[[Tensor], Tensor],
    weight: Callable[[Tensor], Tensor],
    path: Path,
    times: Float[Tensor, " times"],
) -> Tensor:
    """E_t[w(l_t) |dl/dt| error(l_t)] by the trapezoidal rule: equal on all paths with the same end points in l.

    Arguments:
        error: mean squared error of the noise at log-SNRs.
        weight: w.
        path: gives the schedule of training.
        times: increasing, dense enough for the rule.
    """
    t = times.detach().requires_grad_()
    log_snr = path.log_snr(t)
    (slope,) = torch.autograd.grad(log_snr.sum(), t)
    log_snr = log_snr.detach()
    return torch.trapezoid(weight(log_snr) * slope.abs() * error(log_snr), times)


def along(predict: Predictor, trained_on: Path) -> Predictor:
    """A predictor for samples of any path, from one trained on a single path."""

    def anywhere(z: Tensor, moment: Moment) -> Estimate:
        return predict(*rescaled(z, moment, trained_on))

    return anywhere


def path_energy(path: Path, spread: float, times: Float[Tensor, " times"]) -> float:
    """Kinetic energy of the flow beyond that of straight motion, for Gaussian data of standard deviation ``spread``.

    A trajectory is z_t = w_t xi with w^2 = alpha^2 spread^2 + sigma^2. The energy is T times the integral of w'^2 over
    the times, of total length T, minus the squared distance (w_1 - w_0)^2, in units of the larger variance of the two
    ends; 0 means straight at constant speed. For narrow data the straight line is the straighter path, for data as wide
    as the noise a variance-preserving path is.
    """
    moment = path.at(times)
    width = torch.sqrt(moment.alpha**2 * spread**2 + moment.sigma**2)
    speed = (moment.alpha * moment.alpha_dot * spread**2 + moment.sigma * moment.sigma_dot) / width
    duration = times[-1] - times[0]
    excess = torch.trapezoid(speed**2, times) * duration - (width[-1] - width[0]) ** 2
    return float(excess / torch.maximum(width[-1], width[0]) ** 2)


def generated_pairs(
    predict: Predictor,
    path: Path,
    times: Sequence[float],
    draws: Draws,
    shape: Sequence[int],
    *,
    integrator: Integrator = INTEGRATORS["heun"],
    noise: Noise = NORMAL,
) -> tuple[Tensor, Tensor]:
    """Samples with the noise they came from: the coupling of reflow, and the labels of knowledge distillation.

    For these pairs the velocity of the straight line at t = 1 is the noise minus the sample, so regression at t = 1
    distils the sampler into one step; reflow adds the other times.

    References:
        Luhman & Luhman 2021, https://arxiv.org/abs/2101.02388; Liu et al. 2022, https://arxiv.org/abs/2209.03003

    Returns:
        data and noise, each of shape (draws.count, *shape).
    """
    eps = noise.draw(draws, shape)
    first, last = path.moments([times[0], times[-1]])
    return flow(predict, path, times, first.norm * eps, integrator) / last.alpha, eps


def overshoot(path: Path, time: float, then: float, eta: float = 1.0) -> tuple[float, float, float]:
    """Split a DDIM step with fresh noise into a deterministic step to a cleaner time and the forward process back.

    With eta = 1, the ancestral step of DDPM, the deterministic step is twice as long in the log-SNR.

    Returns:
        the cleaner time; the factor on z and the standard deviation of the noise on the way back.
    """
    now, target = path.moments([time, then])
    fresh = eta * target.sigma * math.sqrt(1 - (now.alpha * target.sigma / (now.sigma * target.alpha)) ** 2)
    ratio = math.sqrt(target.sigma**2 - fresh**2) / target.alpha
    log_snr = torch.tensor(-2 * math.log(ratio), dtype=torch.float64)
    cleaner = float(path.time(log_snr))
    (beyond,) = path.moments([cleaner])
    factor = target.alpha / beyond.alpha
    return cleaner, factor, math.sqrt(target.sigma**2 - (factor * beyond.sigma) ** 2)


def eta_of(strength: Number, moment: Moment) -> Number:
    """eta of the diffusion equivalent to a stochastic interpolant with noise of ``strength`` epsilon_t.

    Flow matching's dz = (u - epsilon_t^2 / 2 score) dt + epsilon_t dW equals diffusion's dz = (f z - (1 + eta^2) / 2
    g^2 score) dt + eta g dW with eta = epsilon_t / sqrt(2 alpha sigma d(sigma / alpha)/dt) = epsilon_t / g; eta^2 is
    the stochasticity of `sde`.
    """
    rate = 2 * moment.sigma * (moment.sigma_dot - moment.sigma * moment.alpha_dot / moment.alpha)
    return strength / rate**0.5


def coefficients(
    drift: Callable[[Tensor], Tensor], diffusion: Callable[[Tensor], Tensor], times: Float[Tensor, " times"]
) -> tuple[Float[Tensor, " times"], Float[Tensor, " times"]]:
    """alpha and sigma of the process dz = f z dt + g dW that starts at the data.

    alpha_t = exp(integral f) and sigma_t^2 = alpha_t^2 integral g^2 / alpha^2, by quadrature between the times.

    Arguments:
        drift, diffusion: f and g at times of any shape.
        times: increasing from 0, where alpha = 1 and sigma = 0.

    Raises:
        UsageError: if the times do not start at 0.
    """
    if float(times[0]) != 0:
        raise UsageError(f"the times of a process must start at 0, at the data, not at {float(times[0]):g}")
    nodes, weights = _gauss_legendre(times)
    length = times.diff()[:, None]
    change = (drift(times[:-1, None] + length * nodes) * weights * length).sum(1)
    start = torch.cat([times.new_zeros(1), change.cumsum(0)])
    # log(alpha) at each node needs its own quadrature, from the interval's start to the node.
    inner = drift(times[:-1, None, None] + length[:, None] * nodes[:, None] * nodes) * weights
    log_alpha = start[:-1, None] + (inner.sum(2) * nodes) * length
    rate = diffusion(times[:-1, None] + length * nodes) ** 2 * torch.exp(-2 * log_alpha)
    spread = torch.cat([times.new_zeros(1), (rate * weights * length).sum(1).cumsum(0)])
    return start.exp(), start.exp() * spread.sqrt()


def field_line(
    x: Float[Tensor, "batch dim"], sigma: float, charges: Float[Tensor, "charges dim"], degrees: int
) -> Float[Tensor, "batch dim"]:
    """dx / dsigma along the field lines of equal charges in ``degrees`` extra dimensions, at r = sigma sqrt(D).

    The Coulomb field in N + D dimensions is E ~ sum (x - y, r) / (|x - y|^2 + r^2)^((N + D) / 2), and its lines obey
    dx/dr = E_x / E_r: the probability flow of Student-t noise with D degrees of freedom, (x - E[y | x]) / sigma.

    Arguments:
        x: points, shape (batch, dim).
        sigma: positive.
        charges: data points y, shape (charges, dim).
        degrees: D.
    """
    radius = sigma * math.sqrt(degrees)
    offset = x[:, None] - charges
    squared = offset.square().sum(-1) + radius**2
    # Relative to the nearest charge: the field itself may underflow.
    strength = (squared / squared.min(1, keepdim=True).values) ** (-(charges.shape[1] + degrees) / 2)
    along_x = (strength[..., None] * offset).sum(1)
    along_r = strength.sum(1, keepdim=True) * radius
    return math.sqrt(degrees) * along_x / along_r


def _gauss_legendre(like: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes and weights of the five-point rule on [0, 1]."""
    root, other = math.sqrt(10 / 7), 322 + 13 * math.sqrt(70)
    inner, outer = math.sqrt(5 - 2 * root) / 3, math.sqrt(5 + 2 * root) / 3
    nodes = like.new_tensor([-outer, -inner, 0.0, inner, outer])
    light = 322 - 13 * math.sqrt(70)
    weights = like.new_tensor([light / 900, other / 900, 128 / 225, other / 900, light / 900])
    return (nodes + 1) / 2, weights / 2
