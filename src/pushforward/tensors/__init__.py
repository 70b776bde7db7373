"""Tensor tools for networks and solvers: products and their rate, an inverse hyperbolic sine, the normal density,
gradients of formulas, half precision, subspaces, memory, threads, wrappers."""

from __future__ import annotations

from pushforward.tensors.asinh import asinh
from pushforward.tensors.formulas import gradients_of
from pushforward.tensors.memory import keep_freed_memory
from pushforward.tensors.normal import normal_log_prob
from pushforward.tensors.precision import in_single, single
from pushforward.tensors.products import linear, product
from pushforward.tensors.rates import products_are_faster
from pushforward.tensors.threads import start_beside
from pushforward.tensors.wrapped import is_plain, is_wrapped, unwrapped

__all__ = [
    "asinh",
    "gradients_of",
    "in_single",
    "is_plain",
    "is_wrapped",
    "keep_freed_memory",
    "linear",
    "normal_log_prob",
    "product",
    "products_are_faster",
    "single",
    "start_beside",
    "unwrapped",
]
