"""Decisions about tensors that `torch.func` has wrapped.

A loop that asks "are all samples done?" cannot ask a tensor that stands for many under `vmap`; it can ask the tensor
below the wrappers, which holds the samples of all of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["is_wrapped", "unwrapped"]


def is_wrapped(x: Tensor) -> bool:
    """Whether a transform such as `torch.func.vmap` or `torch.func.grad` is at work on ``x``."""
    return not torch.compiler.is_compiling() and torch._C._functorch.is_functorch_wrapped_tensor(x)


def unwrapped(x: Tensor) -> Tensor:
    """The tensor below all wrappers."""
    while is_wrapped(x):
        x = torch._C._functorch.get_unwrapped(x)
    return x
