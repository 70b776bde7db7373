r"""Increasing maps of the line, the one-dimensional building blocks of couplings and autoregressive transforms.

A flow in many dimensions is built of one-dimensional maps: each value x_i of a sample is mapped to

    z_i = f(x_i; θ_i),     ∂z_i/∂x_i > 0,

where a network computes the parameters θ_i from values that are known when the map is inverted. The Jacobian is then
triangular and its log-determinant is the sum of log ∂z_i/∂x_i.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.tensors import asinh

__all__ = ["Affine", "Monotone", "bounded", "squashed"]

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
        self.limit = limit

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = parameters
        log_scale = bounded(raw, self.limit)
        return torch.addcmul(shift, x, log_scale.exp()), log_scale

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = parameters
        log_scale = -bounded(raw, self.limit)
        return (z - shift) * log_scale.exp(), log_scale


def bounded(raw: Tensor, limit: float) -> Tensor:
    """``limit tanh(raw / limit)``: the identity for small values, never beyond ±``limit``."""
    return limit * torch.tanh(raw / limit)


def squashed(x: Tensor) -> Tensor:
    """Compress network inputs: linear for values of order one, logarithmic for large ones.

    An outlier then cannot overflow a network in float32, in training or when a chain is inverted.
    """
    return _LINEAR_RANGE * asinh(x / _LINEAR_RANGE)
