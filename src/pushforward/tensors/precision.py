"""Float32 for computations that half precision is too coarse for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

__all__ = ["in_single", "single"]


def single(x: Tensor) -> Tensor:
    """The tensor in float32 if it has half precision, unchanged otherwise."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def in_single(method: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., tuple[Tensor, Tensor]]:
    """Decorate a method of two tensors: half precision is computed in float32, and rounded to that of the first."""

    @wraps(method)
    def computed(self: Any, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        value, log_derivative = method(self, single(x), single(parameters))
        return value.to(x.dtype), log_derivative.to(x.dtype)

    return computed
