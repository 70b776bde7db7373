"""Matrix products on the CPU by the library that is fastest at their size.

`torch.mm` calls MKL, which uses 512-bit vectors in single precision on Intel processors only; oneDNN uses them on all,
and takes half the time on the others. Its overhead is larger for small matrices.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.tensors.wrapped import is_plain

__all__ = ["linear", "product"]

# Number of multiplications above which oneDNN is faster: for a product alone, and with an autograd function around it.
_MANY, _MANY_WITH_GRADIENT = 2**20, 2**22
# Number of rows above which it is faster for the gradient of a weight.
_WIDE = 64


def _is_intel() -> bool:
    """Whether the processor is made by Intel, where `torch.mm` is faster."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as information:
            return "GenuineIntel" in information.read(4096)
    except OSError:
        return "Intel" in platform.processor()


_onednn: Callable[..., Tensor] | None = None
if not _is_intel() and torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512":
    _onednn = getattr(torch.ops.mkldnn, "_linear_pointwise", None)


def product(
    rows: Float[Tensor, "rows inputs"], weight: Float[Tensor, "outputs inputs"], bias: Tensor | None = None
) -> Float[Tensor, "rows outputs"]:
    """rows weight^T + bias, without a gradient."""
    if _onednn is not None and _is_large(rows, weight, _MANY):
        return _onednn(rows, weight, bias, "none", [], None)
    return torch.mm(rows, weight.t()) if bias is None else torch.addmm(bias, rows, weight.t())


def linear(
    x: Float[Tensor, "*batch inputs"], weight: Float[Tensor, "outputs inputs"], bias: Tensor | None = None
) -> Float[Tensor, "*batch outputs"]:
    """x weight^T + bias like `torch.nn.functional.linear`, with derivatives of every order."""
    differentiated = torch.is_grad_enabled()
    if (
        _onednn is None
        or not _is_large(x, weight, _MANY_WITH_GRADIENT if differentiated else _MANY)
        or torch.is_autocast_enabled("cpu")
        or not is_plain(x, weight)
    ):
        return torch.nn.functional.linear(x, weight, bias)
    if differentiated:
        out: Tensor = _Linear.apply(x, weight, bias)
        return out
    return _flat(x, weight, bias)


def _is_large(x: Tensor, weight: Tensor, many: int) -> bool:
    """Whether this is a single-precision CPU product of at least ``many`` multiplications."""
    return x.numel() * weight.shape[0] >= many and x.is_cpu and x.dtype == weight.dtype == torch.float32


def _flat(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return product(x.reshape(-1, x.shape[-1]), weight, bias).view(*x.shape[:-1], -1)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _flat(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, by_out: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        a, b = x.reshape(-1, x.shape[-1]).t(), by_out.reshape(-1, by_out.shape[-1]).t()
        # For second derivatives these products must be differentiable themselves.
        times = linear if torch.is_grad_enabled() else product
        by_x, by_weight, by_bias = ctx.needs_input_grad
        return (
            times(b.t(), weight.t()).view_as(x) if by_x else None,
            _gradient_of_weight(times, a, b) if by_weight else None,
            b.sum(1) if by_bias else None,
        )


def _gradient_of_weight(times: Callable[..., Tensor], a: Tensor, b: Tensor) -> Tensor:
    """b a^T with the shorter factor first: oneDNN transposes the long rows, which is cheaper in this order."""
    if times is product and min(len(a), len(b)) < _WIDE:
        return torch.mm(b, a.t())
    return times(b, a) if len(b) <= len(a) else times(a, b).t()
