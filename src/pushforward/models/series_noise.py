r"""How noisy one series is, beside how noisy series are: a level of its own, found along with its code.

The noise of a coordinate of a series has the standard deviation :math:`s \sigma`, with :math:`\sigma` that of all
series and :math:`s^2 \sim` scaled inverse :math:`\chi^2_\nu` about one. With N values observed whose residuals, in
units of :math:`\sigma`, have the sum of squares S,

.. math::
    p(x \mid z) \propto \Big(1 + \frac{S}{\nu}\Big)^{-(\nu + N) / 2}, \qquad
    s^2 \mid x, z \sim \frac{\nu + S}{\chi^2_{\nu + N}}.

A series of which little was observed keeps the common noise; one that is less noisy than others gets a narrower band.
Source: Gelman et al., Bayesian Data Analysis, third edition, section 3.2.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.randomness import Draws

__all__ = ["draw_level", "log_evidence"]

DEGREES = 4.0
"""Observations that the common noise is worth."""


def log_evidence(
    squares: Float[Tensor, "count batch dim"], observed: Float[Tensor, "batch dim"]
) -> Float[Tensor, "count batch"]:
    """Log-density, in nats and up to a constant, of the residuals of each series.

    Arguments:
        squares: sums of squares of residuals in units of the common noise.
        observed: numbers of values that they are sums over.
    """
    return (-0.5 * (DEGREES + observed) * torch.log1p(squares / DEGREES)).sum(-1)


def draw_level(
    squares: Float[Tensor, "count batch dim"], observed: Float[Tensor, "batch dim"], draws: Draws
) -> Float[Tensor, "count batch dim"]:
    """Draws of s, one for each of the sums of squares.

    The chi-squared number is the cube of a normal one (Wilson and Hilferty 1931): good to a few per cent.
    """
    degrees = DEGREES + observed
    normal = draws.normal(len(squares), squares.shape[-1]).movedim(1, 0)
    spread = 2 / (9 * degrees)
    chi_squared = degrees * (1 - spread + spread.sqrt() * normal).clamp_min(0.05) ** 3
    return ((DEGREES + squares) / chi_squared).sqrt()
