"""Monotonic functions of one variable, by which values of a channel are brought near a normal distribution.

With ``u = (x - location) / unit`` and one kind for each channel,

    none, standardise   z = (u - mean) / deviation
    log                 z = (ln u - mean) / deviation                      x > location
    asinh               z = (asinh u - mean) / deviation
    yeo-johnson         z = (sgn(u) f(|u|) - mean) / deviation,            f(a) = ((1 + a)^p - 1) / p,
                        p = exponent where u >= 0, and 2 - exponent where u < 0

The exponent is kept in [0, 2]: only there is the Yeo-Johnson function a bijection of the real line. Outside, values
beyond some bound would have no inverse, and a model's samples do go there.

Yeo & Johnson 2000, Biometrika 87, 954, eq. 2.1.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["KINDS", "forward", "inverse", "log_derivative"]

KINDS = ("none", "standardise", "log", "asinh", "yeo-johnson")

_SMALL_POWER = 1e-6


def forward(kind: str, u: Float[Tensor, "*shape"], exponent: Tensor) -> Float[Tensor, "*shape"]:
    """The function of ``u``. Outside the support of the logarithm, its value at the smallest positive number."""
    match kind:
        case "log":
            return u.clamp_min(torch.finfo(u.dtype).tiny).log()
        case "asinh":
            return u.asinh()
        case "yeo-johnson":
            sign, power = _sides(u, exponent)
            logarithm = torch.log1p(sign * u)
            powered = torch.expm1(power * logarithm) / _nonzero(power)
            return sign * torch.where(power < _SMALL_POWER, logarithm, powered)
        case _:
            return u


def inverse(kind: str, v: Float[Tensor, "*shape"], exponent: Tensor) -> Float[Tensor, "*shape"]:
    """The ``u`` whose function is ``v``."""
    match kind:
        case "log":
            return v.exp()
        case "asinh":
            return v.sinh()
        case "yeo-johnson":
            sign, power = _sides(v, exponent)
            size = sign * v
            logarithm = torch.where(power < _SMALL_POWER, size, torch.log1p(power * size) / _nonzero(power))
            return sign * torch.expm1(logarithm)
        case _:
            return v


def log_derivative(kind: str, u: Float[Tensor, "*shape"], exponent: Tensor) -> Float[Tensor, "*shape"]:
    """``ln dv/du``; minus infinity outside the support of the logarithm, where there is no density."""
    match kind:
        case "log":
            return torch.where(u > 0, -u.clamp_min(torch.finfo(u.dtype).tiny).log(), -torch.inf)
        case "asinh":
            # ln sqrt(1 + u^2), without overflow of u^2
            return -torch.hypot(u, torch.ones_like(u)).log()
        case "yeo-johnson":
            sign, power = _sides(u, exponent)
            return (power - 1) * torch.log1p(sign * u)
        case _:
            return torch.zeros_like(u)


def _sides(u: Tensor, exponent: Tensor) -> tuple[Tensor, Tensor]:
    """The sign of ``u``, with zero counted as positive, and the power on its side."""
    positive = u >= 0
    return torch.where(positive, 1.0, -1.0).to(u.dtype), torch.where(positive, exponent, 2 - exponent)


def _nonzero(power: Tensor) -> Tensor:
    return torch.where(power < _SMALL_POWER, torch.ones_like(power), power)
