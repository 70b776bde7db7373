r"""Noise of the screened Poisson (Yukawa) process: normal noise of a random scale.

The field of a charge screened over the length 1/m, phi_tt + lap phi = m^2 phi, spreads a data point as

    p_hat(k, t) = exp(-t sqrt(k^2 + m^2)).

Its total falls as exp(-m t): field lines end in the medium. Normalised, it is Brownian motion stopped at a random time
T, since exp(-t sqrt(lambda)) is the Laplace transform of a first-passage time,

    x = y + s g,      s^2 = 2 T,      T ~ inverse Gaussian of mean t / (2m) and shape t^2 / 2,

a normal-inverse-Gaussian distribution. Below the screening length it is the Cauchy noise of a Poisson flow, above it
the normal noise of diffusion with variance t/m. Following a quantile of T at fixed g gives every x a velocity,

    dx/dt = (x - y) / t  c(s, t),      c = 1 - m s R(m s + t/s),      R(b) = sqrt(pi/2) erfcx(b / sqrt 2),

whose mean over all s and y at a point is the velocity of the normalised density: c is 1 for a Poisson flow and 1/2 for
diffusion, and 1 - c compensates the lost charge.

References:
    Liu et al. 2023, https://arxiv.org/abs/2304.02637 (the process)
    Barndorff-Nielsen 1997, https://doi.org/10.1111/1467-9469.00045 (normal-inverse-Gaussian)
    Michael, Schucany & Haas 1976, https://doi.org/10.1080/00031305.1976.10479147 (drawing an inverse Gaussian)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["expansion", "relative_variance"]


def relative_variance(normal: Tensor, uniform: Tensor, screenings: Tensor) -> Tensor:
    """s^2 over its mean t/m: an inverse Gaussian of mean 1 and variance 1/(m t).

    Arguments:
        normal, uniform: random numbers, standard normal and uniform in [0, 1).
        screenings: m t, positive; all three broadcast.
    """
    half = normal.square() / (2 * screenings)
    # The smaller root of a quadratic equation, in a form without cancellation; the other root is its inverse.
    root = 1 / (1 + half + torch.sqrt(half * (half + 2)))
    return torch.where(uniform * (1 + root) < 1, root, 1 / root)


def expansion(scale: Tensor, t: Tensor, mass: float) -> Tensor:
    """c(s, t) = d log s / d log t at a fixed quantile of s; between 0 and 1. Units: s, t and 1/mass are lengths."""
    b = mass * scale + t / scale
    mills = math.sqrt(math.pi / 2) * torch.special.erfcx(b / math.sqrt(2))
    return 1 - mass * scale * mills
