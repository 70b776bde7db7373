"""A compiled function for any number of vector fields."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["Compiled"]


class Compiled:
    """`torch.compile` of a function as one graph.

    PyTorch keeps a limited number of compiled versions of a function, one per field and shape, and then refuses to
    compile another. This wrapper then discards them and compiles a fresh copy.

    Arguments:
        options: of `torch.compile`.
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        self.function: Any = function
        self.options = options
        self.compiled = self._fresh()

    def __call__(self, *args: Any) -> Any:
        try:
            return self.compiled(*args)
        except Exception as problem:
            # the exception's name depends on the PyTorch version
            if "LimitHit" not in type(problem).__name__:
                raise
            self.compiled = self._fresh()
            return self.compiled(*args)

    def _fresh(self) -> Callable[..., Any]:
        # compiled versions belong to the code object: a copy has none
        f = self.function
        copy = types.FunctionType(f.__code__.replace(), f.__globals__, f.__name__, f.__defaults__, f.__closure__)
        return torch.compile(copy, fullgraph=True, **self.options)
