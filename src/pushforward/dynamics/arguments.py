"""Validation and conversion of a solver's arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.tensors import is_wrapped

__all__ = ["checked_args", "checked_count", "checked_number", "checked_state", "checked_times"]


def checked_state(y0: Any) -> Tensor:
    """Initial states, shape ``(batch, ...)``.

    Raises:
        UsageError: unless they are real numbers in single or double precision, with a batch axis.
    """
    y = y0
    if not isinstance(y, Tensor):
        try:
            parts = isinstance(y0, (tuple, list)) and any(isinstance(part, Tensor) for part in y0)
            y = torch.as_tensor(None if parts else y0)
        except (TypeError, ValueError, RuntimeError):
            raise UsageError(
                f"y0 must be one tensor of shape (batch, ...), not a {type(y0).__name__}; join the parts of a state by "
                "torch.cat, and split them in the vector field"
            ) from None
    if y.dim() == 0:
        raise UsageError("y0 is a single number; give a batch of one, torch.tensor([...]) of shape (1,)")
    if not y.is_floating_point():
        raise UsageError(f"y0 must hold real numbers in float32 or float64, not {y.dtype}")
    if torch.finfo(y.dtype).bits < 32:
        raise UsageError(f"y0 in {y.dtype} is too coarse for error control; solve in single precision, y0.float()")
    return y


def checked_times(t: Any, y0: Tensor, *, ordered: bool = True) -> Tensor:
    """Output times, shape ``(batch, T)``, on the state's device, in their own precision.

    Arguments:
        ordered: require monotonic times.

    Raises:
        UsageError: unless they are finite and, if ``ordered``, monotonic for each sample.
    """
    times = t
    if not isinstance(t, Tensor):
        try:
            times = torch.as_tensor(t, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError):
            raise UsageError(f"t must be a tensor of times, not {type(t).__name__} {t!r}") from None
    if not times.is_floating_point():
        if times.is_complex() or times.dtype == torch.bool:
            raise UsageError(f"the times t must be real numbers, not {times.dtype}")
        times = times.double()
    if times.dim() not in (1, 2) or (times.dim() == 2 and times.shape[0] != y0.shape[0]):
        raise UsageError(f"t must have shape (T,) or (batch, T) with batch {y0.shape[0]}, not {tuple(times.shape)}")
    if times.shape[-1] == 0:
        raise UsageError("t is empty; give the time of y0, then the output times")
    if torch.finfo(times.dtype).bits < torch.finfo(y0.dtype).bits or y0.device.type == "mps":
        times = times.to(y0.dtype)
    times = times.to(y0.device)
    times = times.expand(y0.shape[0], -1) if times.dim() == 1 else times
    if is_wrapped(times) or torch.compiler.is_compiling():
        return times
    if not math.isfinite(times.detach().sum()):
        raise UsageError("the times t must be finite; some are infinite or NaN")
    if not ordered:
        return times
    differences = times.detach().diff(dim=1)
    if not bool(((differences >= 0).all(1) | (differences <= 0).all(1)).all()):
        raise UsageError("the times t must be monotonic for each sample; sort them")
    return times


def checked_args(args: Any, batch: int) -> tuple[Tensor, ...]:
    """Constants per sample.

    Raises:
        UsageError: unless they are a sequence of tensors with one row per sample.
    """
    if isinstance(args, Tensor) or not isinstance(args, Sequence):
        raise UsageError("args must be a sequence of tensors with one row per sample, such as args=(x,)")
    for x in args:
        if not isinstance(x, Tensor) or x.dim() == 0 or len(x) != batch:
            given = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"type {type(x).__name__}"
            raise UsageError(
                f"each of args must be a tensor with one row per sample, {batch} here, but one is of {given}; put "
                "constants shared by all samples into the vector field"
            )
    return tuple(args)


def checked_count(name: str, value: Any) -> int:
    """A whole number of at least 1.

    Raises:
        UsageError: if it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{name} must be a whole number of at least 1, not {value!r}")
    return value


def checked_number(name: str, value: Any, y0: Tensor, *, zero: bool = False) -> Any:
    """A positive number, or a tensor of them on the state's device and in its precision.

    Arguments:
        zero: whether zero is allowed.

    Raises:
        UsageError: if one is negative or NaN, or zero where zero is not allowed.
    """
    at_least = "positive or zero" if zero else "positive"
    if isinstance(value, Tensor):
        tensor = value.to(y0.device, y0.dtype)
        if not is_wrapped(tensor) and not torch.compiler.is_compiling():
            good = tensor >= 0 if zero else tensor > 0
            if not bool(good.all()):
                raise UsageError(f"{name} must be {at_least}, but its smallest value is {float(tensor.min()):g}")
        return tensor
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise UsageError(f"{name} must be a number, not {value!r}") from None
    if math.isnan(number) or number < 0 or (number == 0 and not zero):
        raise UsageError(f"{name} must be {at_least}, not {value!r}")
    return number
