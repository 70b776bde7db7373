"""Labels of axes, with the units of the data and of their box.

A unit that no file states leaves its label without one; lengths without a box are in cells.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from pushforward.spaces import Field, Particles, Series, Space, Vector

if TYPE_CHECKING:
    from pushforward.validation.evaluation_data import EvaluationData

__all__ = [
    "column_labels",
    "column_units",
    "common_unit",
    "labelled",
    "length_unit",
    "power",
    "product",
    "series_units",
    "units_of_each",
    "value_label",
    "wavenumber",
    "wavenumber_label",
    "wavenumber_unit",
]

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_WAVENUMBER_UNITS = {"Mpc/h": "h/Mpc"}
"""Units of wavenumbers that are not written as one over the unit of length."""


def labelled(name: str, unit: str) -> str:
    """``name`` with its unit, such as ``mass  [Msun]``."""
    return f"{name}  [{unit}]" if unit else name


def power(unit: str, exponent: int) -> str:
    """A unit to a power: K², (Mpc/h)², 1/cell."""
    if not unit or exponent == 0:
        return ""
    if exponent == 1:
        return unit
    simple = re.fullmatch(r"[^\W\d]+", unit) is not None
    held = unit if simple else f"({unit})"
    return f"1/{held}" if exponent == -1 else held + str(exponent).translate(_SUPERSCRIPTS)


def value_label(unit: str, logarithmic: bool = False) -> str:
    """Label of an axis of values: ``value  [K]``, ``ln(value / K)``."""
    if logarithmic:
        return f"ln(value / {unit})" if unit else "ln(value)"
    return labelled("value", unit)


def product(*units: str) -> str:
    """Units side by side, without those that are empty."""
    return " ".join(unit for unit in units if unit)


def length_unit(data: EvaluationData) -> str:
    """Unit of lengths: that of the box, or a cell; empty for a box or positions without one."""
    return _length(data.space, data.unit or _of_positions(data.space, data))


def wavenumber(data: EvaluationData) -> str:
    """Unit of wavenumbers, as `wavenumber_unit` has it."""
    return wavenumber_unit(data.space, data.unit)


def wavenumber_unit(space: Space, unit: str) -> str:
    """Unit of wavenumbers: h/Mpc for lengths in Mpc/h, otherwise one over the unit of length."""
    unit = _length(space, unit) or "(unit of the box)"
    return _WAVENUMBER_UNITS.get(unit) or (f"1/{unit}" if unit.startswith("(") else power(unit, -1))


@singledispatch
def _length(space: Space, unit: str) -> str:
    return unit


@_length.register
def _(space: Field, unit: str) -> str:
    return unit if space.box else "cell"


@singledispatch
def _of_positions(space: Space, data: Any) -> str:
    """Unit of lengths that follows from that of the values."""
    return ""


@_of_positions.register
def _(space: Particles, data: Any) -> str:
    return common_unit(data)


def wavenumber_label(data: EvaluationData) -> str:
    """Label of an axis of k."""
    return labelled("k", wavenumber(data))


def units_of_each(units: Sequence[str], count: int) -> tuple[str, ...]:
    """Units of ``count`` columns: one each, or one for all; empty texts where the numbers do not fit."""
    if len(units) not in (1, count):
        return ("",) * count
    return tuple(units) if len(units) == count else tuple(units) * count


def column_units(data: EvaluationData) -> tuple[str, ...]:
    """Unit of each coordinate or channel; empty texts where none is stated."""
    return units_of_each(data.units, len(data.column_names))


def common_unit(data: EvaluationData) -> str:
    """The unit that all coordinates or channels share; empty if they do not."""
    units = set(column_units(data))
    return units.pop() if len(units) == 1 else ""


def column_labels(data: EvaluationData[Vector]) -> tuple[str, ...]:
    """Names of the coordinates with their units."""
    return tuple(labelled(name, unit) for name, unit in zip(data.column_names, column_units(data), strict=True))


def series_units(data: EvaluationData[Series]) -> tuple[str, tuple[str, ...]]:
    """Unit of the times, and of each coordinate of series; empty texts where none is stated."""
    space, units = data.space, tuple(data.units)
    if len(units) == space.dim + 1:
        return units[0], units[1:]
    return "", units_of_each(units, space.dim)
