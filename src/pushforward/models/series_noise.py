r"""Noise level per series, inferred together with its code.

The noise of a coordinate of a series has the standard deviation :math:`s \sigma`, with a common :math:`\sigma` and
:math:`s^2 \sim` scaled inverse :math:`\chi^2_\nu` about one. For N observed values with a sum S of squared residuals in
units of :math:`\sigma`,

.. math::
    p(x \mid z) \propto \Big(1 + \frac{S}{\nu}\Big)^{-(\nu + N) / 2}, \qquad
    s^2 \mid x, z \sim \frac{\nu + S}{\chi^2_{\nu + N}}.

A series with few observations keeps the common noise; one with less noise than others gets a narrower band.
Source: Gelman et al., Bayesian Data Analysis, third edition, section 3.2.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.randomness import Draws

__all__ = ["draw_level", "log_evidence"]

DEGREES = 4.0
"""Weight of the common noise, as a number of observations."""


def log_evidence(
    squares: Float[Tensor, "count batch dim"], observed: Float[Tensor, "batch dim"]
) -> Float[Tensor, "count batch"]:
    """Log-density, in nats and up to a constant, of the residuals of each series.

    Arguments:
        squares: sums of squared residuals, in units of the common noise.
        observed: number of values in each sum.
    """
    return (-0.5 * (DEGREES + observed) * torch.log1p(squares / DEGREES)).sum(-1)


def draw_level(
    squares: Float[Tensor, "count batch dim"], observed: Float[Tensor, "batch dim"], draws: Draws
) -> Float[Tensor, "count batch dim"]:
    """Draws of s, one per sum of squares.

    The chi-squared number is the cube of a normal one (Wilson and Hilferty 1931), accurate to a few per cent.
    """
    degrees = DEGREES + observed
    normal = draws.normal(len(squares), squares.shape[-1]).movedim(1, 0)
    spread = 2 / (9 * degrees)
    chi_squared = degrees * (1 - spread + spread.sqrt() * normal).clamp_min(0.05) ** 3
    return ((DEGREES + squares) / chi_squared).sqrt()
