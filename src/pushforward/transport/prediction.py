r"""Predictions of a network, and exact conversions between them.

Every common prediction is a linear combination of the data and noise in a noisy sample z = alpha x + sigma eps,

    p = a x + b eps,

| prediction | a          | b          |
|------------|------------|------------|
| noise      | 0          | 1          |
| data       | 1          | 0          |
| v          | -sigma     | alpha      |
| velocity   | alpha'     | sigma'     |
| score      | 0          | -1 / sigma |
| edm        | sigma / n  | -alpha / n |

with n^2 = alpha^2 + sigma^2. So z and p are two equations for two unknowns, with determinant D = alpha b - sigma a:

    x = (b z - sigma p) / D,      eps = (alpha p - a z) / D,      p' = ((a' b - a b') z + D' p) / D.

The last equation also relates squared errors: ||p'_hat - p'||^2 = (D' / D)^2 ||p_hat - p||^2. A conversion is well
conditioned if D is far from zero: the noise does not determine the data where alpha = 0, nor the data the noise where
sigma = 0, while v and the straight line's velocity determine both everywhere.

The last row is the output of a network behind the preconditioning of Karras et al. for data of unit variance: the
combination of x and eps that is uncorrelated with z. It is -v on a variance-preserving path. On every path and at every
time its variance is one, and its squared error is that of the data relative to the best linear denoiser's.

References:
    Salimans & Ho 2022, Progressive Distillation, https://arxiv.org/abs/2202.00512 (v)
    Gao et al. 2024, Diffusion Meets Flow Matching, https://diffusionflow.github.io (the equivalences)
    Karras et al. 2022, https://arxiv.org/abs/2206.00364, eq. 7 and table 1 (edm)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pushforward.transport.path import Moment, Number

__all__ = ["PREDICTIONS", "Estimate", "Prediction", "convert", "determinant", "estimate", "loss_weight", "target"]

Prediction = Literal["noise", "data", "v", "velocity", "score", "edm"]

PREDICTIONS: dict[Prediction, Callable[[Moment], tuple[Number, Number]]] = {
    "noise": lambda moment: (0.0, 1.0),
    "data": lambda moment: (1.0, 0.0),
    "v": lambda moment: (-moment.sigma, moment.alpha),
    "velocity": lambda moment: (moment.alpha_dot, moment.sigma_dot),
    "score": lambda moment: (0.0, -1.0 / moment.sigma),
    "edm": lambda moment: (moment.sigma / moment.norm, -moment.alpha / moment.norm),
}


class Estimate(NamedTuple):
    """Expected data and noise, E[x | z] and E[eps | z], each shaped like z."""

    data: Tensor
    noise: Tensor


def determinant(prediction: Prediction, moment: Moment) -> Number:
    """D = alpha b - sigma a; zero where the prediction carries no information beyond z."""
    a, b = PREDICTIONS[prediction](moment)
    return moment.alpha * b - moment.sigma * a


def target(prediction: Prediction, data: Tensor, noise: Tensor, moment: Moment) -> Tensor:
    """Regression target a x + b eps for given data and noise.

    For the score it is the conditional one, grad_z log p(z | x) = -eps / sigma.
    """
    a, b = PREDICTIONS[prediction](moment)
    return a * data + b * noise


def estimate(value: Tensor, z: Tensor, moment: Moment, prediction: Prediction) -> Estimate:
    """Data and noise from a predicted ``value`` at ``z`` (batch, ...)."""
    a, b = PREDICTIONS[prediction](moment)
    scale = 1.0 / (moment.alpha * b - moment.sigma * a)
    return Estimate(
        data=_sum(scale * b, z, -scale * moment.sigma, value), noise=_sum(-scale * a, z, scale * moment.alpha, value)
    )


def convert(value: Tensor, z: Tensor, moment: Moment, source: Prediction, to: Prediction) -> Tensor:
    """The prediction ``to`` equivalent to ``source`` with this ``value`` at ``z`` (batch, ...)."""
    a, b = PREDICTIONS[source](moment)
    a_to, b_to = PREDICTIONS[to](moment)
    scale = 1.0 / (moment.alpha * b - moment.sigma * a)
    return (scale * (a_to * b - a * b_to)) * z + (scale * (moment.alpha * b_to - moment.sigma * a_to)) * value


def loss_weight(prediction: Prediction, measured_in: Prediction, moment: Moment) -> Number:
    """Factor from the squared error of ``prediction`` to the squared error of ``measured_in``, (D' / D)^2."""
    return (determinant(measured_in, moment) / determinant(prediction, moment)) ** 2


def _sum(a: Number, x: Tensor, b: Number, y: Tensor) -> Tensor:
    """a x + b y in two passes over memory, not three: samplers do little else between two network calls."""
    return torch.addcmul(a * x, b, y) if isinstance(b, Tensor) else torch.add(a * x, y, alpha=b)
