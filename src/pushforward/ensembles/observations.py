"""Tables: selection of the value columns, and of rows as members or as observations of series."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pushforward.ensembles.formats.contents import Contents
from pushforward.ensembles.reading import Reading
from pushforward.ensembles.series import IDENTIFIERS, TIMED, is_observation_table, series_of_tables, time_column
from pushforward.ensembles.stores import InMemory, exact
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Series

__all__ = ["is_table", "of_columns", "table_members"]

_FEWEST = 10
"""Smallest number of rows for which a column that counts them is taken for row numbers."""
_IDS = ("id", "index", "objid", "object_id", "source_id", "row", "name")
_EVENTS = re.compile(r"(run|i|n)?_?(event|evt)_?(number|num|no|nr|id|index|idx)?")
"""Names of numbers of events, in lower case."""


def is_table(contents: Contents) -> bool:
    """Whether the members are rows of named columns."""
    return contents.kind == "vector" and bool(contents.names)


def table_members(contents: Sequence[Contents], reading: Reading, label: str) -> list[Contents]:
    """Members in tables: series of observations, joined, or rows, without the columns that only identify them.

    Raises:
        UsageError: if rows could be points or observations and no option decides.
        DataError: if a requested column does not exist, or observations of several kinds would be mixed.
    """
    if not all(is_table(each) for each in contents):
        if reading.of_tables is not None:
            raise UsageError(f"{reading.of_tables} selects columns of a table, but {label} is not a table")
        return list(contents)
    if _are_observations(contents, reading):
        return [series_of_tables(contents, label, reading.id, reading.time, reading.columns)]
    if reading.space is None and not reading.columns:
        for each in contents:
            _ask_if_observations(each, label)
    kept = [
        of_columns(each, reading.columns, label) if reading.columns else _without_numbers_of_rows(each)
        for each in contents
    ]
    for each in kept:
        _check_exact(each, label)
    return kept


def _check_exact(table: Contents, label: str) -> None:
    """Raise for whole numbers in their stored type that float64 would round."""
    values = np.abs(table.source.read(np.arange(table.source.shape[0])))
    for name, largest in zip(table.names, values.max(axis=0, initial=0.0), strict=True):
        stored = (table.column(name) or {}).get(name) if largest > 2**53 else None
        if stored is not None:
            exact(np.asarray(stored), f"the column {name!r} of {label}")


def _are_observations(contents: Sequence[Contents], reading: Reading) -> bool:
    if reading.id or reading.time:
        return True
    if reading.space is None:
        return not reading.columns and all(is_observation_table(each) for each in contents)
    series = isinstance(reading.space, Series) or reading.space in ("series", TIMED)
    return series and all(time_column(each) is not None for each in contents)


def _ask_if_observations(table: Contents, label: str) -> None:
    time = time_column(table)
    name = next((each for each in IDENTIFIERS if (table.column(each) or {}).get(each) is not None), None)
    if time is None or name is None:
        return
    column = np.asarray((table.column(name) or {})[name]).astype(str)
    if len(np.unique(column)) < len(column):
        raise UsageError(
            f"the rows of {label} could be observations of series (named by {name!r}, at {time!r}) or points; "
            f"give --space series, with --id {name} --time {time}, or --space vector"
        )


def of_columns(table: Contents, names: Sequence[str], label: str) -> Contents:
    """Table reduced to some of its columns.

    Raises:
        DataError: if there is no such column of numbers.
    """
    missing = [name for name in names if name not in table.names]
    if missing:
        raise DataError(f"{label} has no column of numbers {missing[0]!r}; it has {', '.join(table.names)}")
    kept = [table.names.index(name) for name in names]
    values = table.source.read(np.arange(table.source.shape[0]))[:, kept]
    left = [name for name in table.names if name not in names]
    note = f"{label}: columns left out: {', '.join(left)}; --columns includes them"
    notes = (*table.notes, *((note,) if left else ()))
    return replace(table, source=InMemory(values, label, origin=table.source), names=tuple(names), notes=notes)


def _without_numbers_of_rows(table: Contents) -> Contents:
    """Table without columns that only number or identify its rows."""
    count = table.source.shape[0]
    if count < _FEWEST or len(table.names) < 2:
        return table
    rows = table.source.read(np.arange(count))
    numbering = {name: _numbers_rows(table, name, rows[:, place]) for place, name in enumerate(table.names)}
    left = [name for name, numbers in numbering.items() if numbers]
    if not left or len(left) == len(table.names):
        return table
    label = table.source.label
    kept = of_columns(table, [name for name in table.names if name not in left], label)
    shown = ", ".join(repr(name) for name in left)
    many = len(left) > 1
    note = (
        f"{label}: {shown} only {'number' if many else 'numbers'} the rows, and {'are' if many else 'is'} left out; "
        f"--columns includes {'them' if many else 'it'}"
    )
    return replace(kept, notes=(*table.notes, note))


def _numbers_rows(table: Contents, name: str, values: np.ndarray) -> bool:
    """Whether a column counts the rows, or has the name of an identifier and holds distinct whole numbers."""
    if not np.isfinite(values).all() or (values != np.round(values)).any():
        return False
    if (np.diff(values) == 1).all() and values[0] in (0, 1):
        return True
    lower = name.lower()
    called = lower in _IDS or lower.endswith(("_id", ".id")) or _EVENTS.fullmatch(lower) is not None
    if not (called or not name or name.startswith("Unnamed:")):
        return False
    # In their stored type: identifiers of 19 digits are not distinct in float64.
    stored = table.column(name)
    return len(np.unique(values if stored is None else stored[name])) == len(values)
