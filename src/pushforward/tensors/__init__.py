"""What lies below networks and solvers: products of matrices, memory, threads, and what else is at work on a tensor."""

from __future__ import annotations

from pushforward.tensors.memory import keep_freed_memory
from pushforward.tensors.products import linear, product
from pushforward.tensors.threads import start_beside
from pushforward.tensors.wrapped import is_plain, is_wrapped, unwrapped

__all__ = ["is_plain", "is_wrapped", "keep_freed_memory", "linear", "product", "start_beside", "unwrapped"]
