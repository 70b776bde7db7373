r"""Increasing maps of the line, the one-dimensional building blocks of couplings and autoregressive transforms.

A flow in many dimensions is built of one-dimensional maps: each value x_i of a sample is mapped to

    z_i = f(x_i; θ_i),     ∂z_i/∂x_i > 0,

where a network computes the parameters θ_i from values that are known when the map is inverted. The Jacobian is then
triangular and its log-determinant is the sum of log ∂z_i/∂x_i.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.tensors import asinh, gradients_of, is_plain

__all__ = ["Affine", "Monotone", "bounded", "check_positive", "squashed"]

# Network inputs are linear below this value and logarithmic above; data are of order one.
_LINEAR_RANGE = 4.0


class Monotone(ABC):
    """Increasing map of a value, given its parameters; it has no weights of its own.

    Parameters are raw network outputs: any real number is allowed, and all zeros give a map near the identity.

    Attributes:
        parameters: number of parameters per value, called P below.
    """

    parameters: int

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "*shape"], parameters: Float[Tensor, "P *shape"]
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        """``z = f(x; θ)`` and ``log ∂z/∂x`` of each value, in nats."""

    @abstractmethod
    def inverse(
        self, z: Float[Tensor, "*shape"], parameters: Float[Tensor, "P *shape"]
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        """``x`` with ``f(x; θ) = z``, and ``log ∂x/∂z`` of each value, in nats."""

    def of(self, features: int | slice) -> Monotone:
        """The map of some features of the last axis; the same for all unless a subclass overrides this."""
        return self

    def seen(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Values as inputs of a network: compressed, so that an outlier cannot overflow it (see `squashed`)."""
        return squashed(x)


class Affine(Monotone):
    """``z = x exp(s) + t``, with two parameters: a raw log-scale, bounded to ±``limit``, and the shift t.

    The bound keeps a long chain of affine maps from overflowing in float32.

    Source: Dinh, Sohl-Dickstein and Bengio 2017 (RealNVP, arXiv:1605.08803), equation 4.

    Arguments:
        limit: bound on the absolute log-scale, in nats.

    >>> Affine().forward(torch.ones(3), torch.zeros(2, 3))[0]
    tensor([1., 1., 1.])
    """

    parameters = 2

    def __init__(self, limit: float = 2.0) -> None:
        check_positive(limit=limit)
        self.limit = limit

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        if not torch.is_grad_enabled() or parameters.shape[1:] != x.shape or not is_plain(x, parameters):
            return _affine(x, parameters, self.limit)
        z, log_scale = _Affine.apply(x, parameters, self.limit)
        return z, log_scale

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = parameters
        log_scale = -bounded(raw, self.limit)
        return (z - shift) * log_scale.exp(), log_scale


def _affine(x: Tensor, parameters: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    raw, shift = parameters
    log_scale = bounded(raw, limit)
    return torch.addcmul(shift, x, log_scale.exp()), log_scale


class _Affine(torch.autograd.Function):
    """`_affine` with a gradient in half as many passes over memory."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, parameters: Tensor, limit: float) -> tuple[Tensor, Tensor]:
        raw, shift = parameters
        slope = (raw / limit).tanh_()
        log_scale = limit * slope
        scale = log_scale.exp()
        ctx.limit = limit
        ctx.save_for_backward(x, parameters, slope, scale)
        return torch.addcmul(shift, x, scale), log_scale

    @staticmethod
    def backward(ctx: Any, by_z: Tensor, by_log_scale: Tensor) -> tuple[Tensor | None, ...]:
        x, parameters, slope, scale = ctx.saved_tensors
        if torch.is_grad_enabled():
            formula = partial(_affine, limit=ctx.limit)
            by_inputs = gradients_of(formula, (x, parameters), ctx.needs_input_grad[:2], (by_z, by_log_scale))
            return *by_inputs, None
        by_x = by_z * scale
        by_parameters = torch.empty_like(parameters)
        torch.ops.aten.tanh_backward.grad_input(
            torch.addcmul(by_log_scale, by_x, x), slope, grad_input=by_parameters[0]
        )
        by_parameters[1].copy_(by_z)
        return by_x, by_parameters, None


def check_positive(**sizes: float) -> None:
    """Raise unless all sizes, given by name, are positive.

    Raises:
        UsageError: if one is not.
    """
    for name, size in sizes.items():
        if not size > 0:
            raise UsageError(f"{name} is {size}; give a positive number")


def bounded(raw: Tensor, limit: float) -> Tensor:
    """``limit tanh(raw / limit)``: the identity for small values, never beyond ±``limit``."""
    return limit * torch.tanh(raw / limit)


def squashed(x: Tensor) -> Tensor:
    """Compress network inputs: linear for values of order one, logarithmic for large ones.

    An outlier then cannot overflow a network in float32, in training or when a chain is inverted.
    """
    return asinh(x, _LINEAR_RANGE)
