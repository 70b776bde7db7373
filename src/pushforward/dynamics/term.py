"""The user's vector field, checked on its first calls.

The first call checks the shape and that the arguments were not overwritten; the second detects a field that returns the
same buffer every time, whose values are then copied. From the third call on there is no overhead.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.dynamics.runge_kutta import VectorField
from pushforward.errors import UsageError
from pushforward.tensors import is_wrapped

__all__ = ["Term", "check_callable", "check_event", "check_unwritten"]


class Term:
    """A vector field whose values have the shape and precision of the state, and their own memory.

    Raises:
        UsageError: if a value is not a real tensor of the state's shape, or the field writes into t or y.
    """

    def __init__(self, field: VectorField) -> None:
        check_callable("vector field", field)
        self.field = field
        self.calls, self.copies, self.casts = 0, False, False
        self.first: Tensor | None = None

    def __call__(self, t: Tensor, y: Tensor, *args: Tensor) -> Tensor:
        if not torch.compiler.is_compiling() and self.calls < 2:
            return self._watched(t, y, args)
        value = self.field(t, y, *args)
        if self.copies:
            value = value.clone()
        return value.to(y.dtype) if self.casts else value

    def _watched(self, t: Tensor, y: Tensor, args: tuple[Tensor, ...]) -> Tensor:
        self.calls += 1
        if self.calls == 1:
            given = t.clone(), y.clone()
            value = self.field(*given, *args)
            check_unwritten("vector field", given, (t, y))
            _check_value(value, y)
            self.casts = value.dtype != y.dtype
            self.first = value
        else:
            value = self.field(t, y, *args)
            self.copies = self.first is not None and _share_memory(self.first, value)
            self.first = None
        return value.clone() if value.dtype == y.dtype else value.to(y.dtype)


def check_callable(name: str, function: object) -> None:
    """Raise if a vector field or an event cannot be called.

    Raises:
        UsageError: names it.
    """
    if not callable(function):
        raise UsageError(f"the {name} must be a function of t and y, such as lambda t, y: -y, not {function!r:.60}")


def check_unwritten(name: str, given: tuple[Tensor, ...], before: tuple[Tensor, ...]) -> None:
    """Raise if a function changed its arguments.

    Raises:
        UsageError: if one differs from its copy before the call.
    """
    for argument, now, then in zip("ty", given, before, strict=True):
        if is_wrapped(then) or torch.equal(now, then):
            continue
        if not bool(((now == then) | (then != then)).all()):
            raise UsageError(
                f"the {name} writes into its argument {argument}, which the solver still needs; return a new tensor, "
                f"{argument} = {argument} * 2 instead of {argument} *= 2"
            )


def check_event(event: Any, t: Tensor, y: Tensor) -> None:
    """Call an event once, at the start of a solve.

    Raises:
        UsageError: if it cannot be called, writes into its arguments, or does not return one number per sample.
    """
    check_callable("event", event)
    given = t.detach().clone(), y.detach().clone()
    with torch.no_grad():
        value = event(*given)
    check_unwritten("event", given, (t, y))
    if not isinstance(value, Tensor) or value.shape != y.shape[:1] or value.is_complex():
        raise UsageError(
            f"the event must return one number per sample, shape {tuple(y.shape[:1])}, not {_described(value)}"
        )


def _check_value(value: Any, y: Tensor) -> None:
    if not isinstance(value, Tensor) or value.shape != y.shape or value.is_complex():
        raise UsageError(
            f"the vector field must return dy/dt as a real tensor of the shape of y, {tuple(y.shape)}, not "
            f"{_described(value)}"
        )


def _described(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    return f"a tensor of shape {tuple(value.shape)}" + (", which is complex" if value.is_complex() else "")


def _share_memory(a: Tensor, b: Tensor) -> bool:
    if is_wrapped(a) or is_wrapped(b):
        return False
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
