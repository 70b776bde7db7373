"""Conversion of a user's conditions to a table of numbers, with one row per sample and one column per parameter."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from pushforward.ensembles import Parameter
from pushforward.errors import UsageError

__all__ = ["Named", "check_table", "condition_table", "warn_outside"]

Named = Mapping[str, float | str | Sequence[float | str]]
"""Values of parameters by name: one for all samples, or one per sample."""


_SHOWN = 40
"""Largest number of classes listed in a message."""
_EXACT = 2**16
"""Magnitude above which float32 may not resolve differences of a parameter."""


def condition_table(condition: Named, parameters: Sequence[Parameter], n: int) -> Float[np.ndarray, "n parameters"]:
    """Table of named values, user's units; the column of a label holds class indices.

    It is float32, or float64 if it holds numbers that float32 may not resolve.

    Raises:
        UsageError: for an unknown or missing name, an unknown class, or a wrong number of values.
    """
    names = [p.name for p in parameters]
    for name in condition:
        if name not in names:
            near = get_close_matches(str(name), names, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(f"there is no parameter called {name!r}; {hint}known ones are {', '.join(names)}")
    missing = [name for name in names if name not in condition]
    if missing:
        raise UsageError(f"no value was given for {', '.join(missing)}; give a value for each of {', '.join(names)}")
    table = np.empty((n, len(names)), np.float64)
    for column, parameter in enumerate(parameters):
        value = condition[parameter.name]
        values: list[Any] = [value] if isinstance(value, str) or np.ndim(value) == 0 else list(np.ravel(value))
        if len(values) not in (1, n):
            raise UsageError(f"{parameter.name} has {len(values)} values; give one, or one per sample, {n}")
        table[:, column] = [_number(each, parameter) for each in values]
    return table if np.abs(table).max(initial=0) > _EXACT else table.astype(np.float32)


def _number(value: float | str, parameter: Parameter) -> float:
    """A value of a parameter as a number; for a label, the index of its class."""
    if parameter.classes:
        return float(_class(value, parameter))
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise UsageError(f"{parameter.name}={value!r} is not a finite number")
    return number


def _class(value: float | str, parameter: Parameter) -> int:
    """Index of a class by its name. A numeric class may be written as 3, 3.0 or "3"."""
    if str(value) in parameter.classes:
        return parameter.classes.index(str(value))
    try:
        numbers = [float(each) for each in parameter.classes]
        return numbers.index(float(value))
    except (TypeError, ValueError):
        shown = ", ".join(parameter.classes[:_SHOWN]) + (", ..." if len(parameter.classes) > _SHOWN else "")
        raise UsageError(f"{parameter.name} has no class {value!r}; its classes are {shown}") from None


def check_table(
    rows: ArrayLike, parameters: Sequence[Parameter], n: int | None = None
) -> Float[np.ndarray, "n parameters"]:
    """Rows of conditions as float32.

    Arguments:
        rows: shape ``(n, parameters)``; labels as class indices.
        n: required number of rows; None for any number.

    Raises:
        UsageError: for a wrong shape, a value that is not finite, or an invalid class index.
    """
    try:
        table = np.asarray(rows)
        table = table if table.dtype.kind in "biuf" else table.astype(np.float64)
        table = table.astype(np.float32) if np.abs(table).max(initial=0) <= _EXACT else table.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise UsageError("rows of conditions must be an array of numbers") from None
    columns = ", ".join(p.name for p in parameters)
    if table.ndim != 2 or table.shape[1] != len(parameters) or len(table) != (len(table) if n is None else n):
        raise UsageError(
            f"conditions have shape {table.shape}; expected ({'n' if n is None else n}, {len(parameters)}),"
            f" the columns {columns}"
        )
    if not np.isfinite(table).all():
        raise UsageError("conditions hold NaN or an infinity; give finite values")
    for values, parameter in zip(table.T, parameters, strict=True):
        last = len(parameter.classes) - 1
        if parameter.classes and ((values < 0) | (values > last) | (values % 1 != 0)).any():
            raise UsageError(f"{parameter.name} is a label; its column must hold class indices from 0 to {last}")
    return table


def warn_outside(table: Float[np.ndarray, "n parameters"], seen: Sequence[Mapping[str, Any]]) -> None:
    """Warn of parameters outside their range in training.

    Arguments:
        seen: ``name``, ``classes``, ``minimum`` and ``maximum`` of each parameter.
    """
    for values, parameter in zip(table.T, seen, strict=True):
        low, high = (values.dtype.type(parameter[bound]) for bound in ("minimum", "maximum"))
        if not parameter["classes"] and len(values) and (values.min() < low or values.max() > high):
            given = f"{values.min():g}" if values.min() == values.max() else f"{values.min():g} to {values.max():g}"
            warnings.warn(
                f"{parameter['name']} = {given} is outside the range seen in training, {low:g} to {high:g}:"
                " the emulator extrapolates",
                stacklevel=4,
            )
