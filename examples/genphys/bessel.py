r"""Bessel functions of any order, differentiable any number of times: what Green's functions are made of.

Divided by a power of its argument, a Bessel function has a derivative of its own kind,

    k_nu(z) = e^z z^-nu K_nu(z),           k_nu' = k_nu - z k_(nu+1),
    y_nu(z) = -(pi/2) z^-nu Y_nu(z),       y_nu' = -z y_(nu+1),

so that automatic differentiation only has to raise the order. Values are those of scipy, in float64 on the CPU.

References:
    NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov/10.6.E6 and https://dlmf.nist.gov/10.29.E4
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import kve, yv
from torch import Tensor

__all__ = ["first_zero", "scaled_k", "scaled_y"]


class _ScaledK(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, order: float) -> Tensor:
        ctx.save_for_backward(z)
        ctx.order = order
        return _by_scipy(lambda values: values**-order * kve(order, values), z)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (z,) = ctx.saved_tensors
        return gradients[0] * (scaled_k(ctx.order, z) - z * scaled_k(ctx.order + 1, z)), None


class _ScaledY(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, order: float) -> Tensor:
        ctx.save_for_backward(z)
        ctx.order = order
        return _by_scipy(lambda values: -math.pi / 2 * values**-order * yv(order, values), z)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (z,) = ctx.saved_tensors
        return gradients[0] * -z * scaled_y(ctx.order + 1, z), None


def _by_scipy(function: Callable[[np.ndarray], np.ndarray], z: Tensor) -> Tensor:
    return torch.as_tensor(function(z.detach().double().cpu().numpy())).to(z)


def scaled_k(order: float, z: Tensor) -> Tensor:
    """e^z z^-order K_order(z) of positive z, where K is the modified Bessel function of the second kind."""
    return _ScaledK.apply(z, order)


def scaled_y(order: float, z: Tensor) -> Tensor:
    """-(pi/2) z^-order Y_order(z) of positive z, where Y is the Bessel function of the second kind."""
    return _ScaledY.apply(z, order)


def first_zero(order: float) -> float:
    """The smallest positive z with Y_order(z) = 0, for an order of at least 1/2."""
    # It lies above the order and below order + 2 order^(1/3) + 1, before the second one (DLMF 10.21.40).
    return float(brentq(lambda z: yv(order, z), order, order + 2 * order ** (1 / 3) + 1))
