"""Vectorised inverse hyperbolic sine on the CPU, by the logarithm: `torch.asinh` is not vectorised there."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.tensors.wrapped import is_plain

__all__ = ["asinh"]

# Count of numbers above which the vectorised form is faster, despite more operations.
_MANY = 4096
# Beyond this the square overflows in single precision.
_LARGEST = 1e18


def asinh(x: Float[Tensor, "*shape"], scale: float = 1.0) -> Float[Tensor, "*shape"]:
    """``scale asinh(x / scale)`` up to an absolute error of rounding, with derivatives of every order.

    >>> asinh(torch.tensor([-3.0, 0.0, 3.0]))
    tensor([-1.8184,  0.0000,  1.8184])
    """
    if x.numel() < _MANY or not x.is_cpu or not is_plain(x):
        return torch.asinh(x) if scale == 1 else scale * torch.asinh(x / scale)
    out: Tensor = _Asinh.apply(x, scale)
    return out


class _Asinh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        size = x.abs().clamp_(max=_LARGEST)
        root = size.square().add_(scale**2).sqrt_()
        ctx.scale = scale
        ctx.save_for_backward(x, root)
        return size.add_(root).div_(scale).log_().mul_(scale).copysign_(x)

    @staticmethod
    def backward(ctx: Any, by_out: Tensor) -> tuple[Tensor, None]:
        x, root = ctx.saved_tensors
        # Second derivatives need a root that depends on x.
        if torch.is_grad_enabled():
            return by_out * (ctx.scale / (x.square() + ctx.scale**2).sqrt()), None
        return (by_out / root).mul_(ctx.scale), None
