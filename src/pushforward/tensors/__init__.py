"""What lies below networks and solvers: products of matrices, and what else is at work on a tensor."""

from __future__ import annotations

from pushforward.tensors.products import linear, product
from pushforward.tensors.wrapped import is_plain, is_wrapped, unwrapped

__all__ = ["is_plain", "is_wrapped", "linear", "product", "unwrapped"]
