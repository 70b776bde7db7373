"""Detection of functorch wrappers, tracing and forward-mode differentiation.

Under `vmap` a loop cannot branch on a batched tensor ("are all samples done?"); it can branch on the tensor below the
wrappers, which holds the samples of the whole batch. And a hand-derived gradient applies to plain tensors only.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["is_plain", "is_wrapped", "unwrapped"]


def is_plain(*tensors: Tensor) -> bool:
    """Whether the tensors are neither compiled, nor under a `torch.func` transform, nor in forward mode."""
    return not (
        torch.compiler.is_compiling() or torch.autograd.forward_ad._current_level >= 0 or any(map(is_wrapped, tensors))
    )


def is_wrapped(x: Tensor) -> bool:
    """Whether ``x`` is under a transform such as `torch.func.vmap` or `torch.func.grad`."""
    return not torch.compiler.is_compiling() and torch._C._functorch.is_functorch_wrapped_tensor(x)


def unwrapped(x: Tensor) -> Tensor:
    """The tensor below all wrappers."""
    while is_wrapped(x):
        x = torch._C._functorch.get_unwrapped(x)
    return x
