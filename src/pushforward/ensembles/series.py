"""Time series with their own times, as one array: times in column 0, NaN where nothing was observed.

Series come from an array of times and one of values, from a table with one row per observation, or from several tables
with one series each. Rows are sorted by time, and short series are padded to the length of the longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pushforward.ensembles.formats.contents import Contents
from pushforward.ensembles.stores import InMemory
from pushforward.errors import DataError
from pushforward.spaces import Series

__all__ = [
    "IDENTIFIERS",
    "TIMED",
    "check_series",
    "is_observation_table",
    "joined_series",
    "series_of_tables",
    "time_column",
]

TIMED = "timed-series"
"""Kind of Space for arrays whose column 0 is the time."""

_KINDS = ("filter", "band", "passband", "fid", "filtercode", "channel", "instrument", "sensor")
"""Columns for the kind of an observation, such as its filter: values of different kinds are not comparable."""
IDENTIFIERS = ("series", "id", "series_id", "object", "object_id", "star", "name")
_TIMES = ("time", "t", "times", "mjd", "jd", "hjd", "bjd", "date")


def joined_series(times: ArrayLike, values: ArrayLike, label: str = "the arrays") -> NDArray[np.float64]:
    """Join times and values to one array of timed series, shape ``(members, length, 1 + dim)``, sorted by time.

    >>> joined_series([0.0, 2.0, 1.0], [[5.0, 7.0, np.nan]])[0].tolist()
    [[0.0, 5.0], [1.0, nan], [2.0, 7.0]]

    Arguments:
        times: array of shape ``(members, length)``, or ``(length,)`` if all members were observed at the same times.
            NaN at the padding rows of a shorter series.
        values: array of shape ``(members, length, dim)`` or ``(members, length)``; NaN where a value was not observed.
        label: name of the arrays in messages.

    Raises:
        DataError: if shapes do not match, or a value has no time.
    """
    t, v = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    v = v[..., None] if v.ndim == 2 else v
    if v.ndim != 3 or t.shape not in (v.shape[:2], v.shape[1:2]):
        raise DataError(
            f"{label} hold times of shape {t.shape} and values of shape {v.shape}; "
            "give (members, length) or (length,), and (members, length, dim)"
        )
    t = np.broadcast_to(t, v.shape[:2])
    if (np.isnan(t)[..., None] & np.isfinite(v)).any():
        raise DataError(f"{label} hold a value whose time is NaN; give it a time, or leave it out")
    order = np.argsort(t, axis=1, kind="stable")  # NaN comes last
    t, v = np.take_along_axis(t, order, 1), np.take_along_axis(v, order[..., None], 1)
    with np.errstate(invalid="ignore"):
        last = np.nanmax(t, axis=1, keepdims=True, initial=-np.inf)
    if np.isneginf(last).any():
        raise DataError(f"{label}: series {int(np.argmax(np.isneginf(last)))} has no times")
    return np.concatenate([np.where(np.isnan(t), last, t)[..., None], v], axis=-1)


def is_observation_table(contents: Contents) -> bool:
    """Whether a table has columns ``series`` and ``time``, so that a row is one observation."""
    return contents.kind == "vector" and "time" in contents.names and contents.column("series") is not None


def time_column(contents: Contents) -> str | None:
    """Column of a table with the name of a time."""
    return next((name for each in _TIMES for name in contents.names if name.lower() == each), None)


def series_of_tables(
    tables: Sequence[Contents],
    label: str,
    identifiers: Sequence[str] = (),
    time: str | None = None,
    columns: Sequence[str] = (),
) -> Contents:
    """Series in tables with columns for the name of the series, the time, and each of the values.

    Arguments:
        tables: tables with one row per observation.
        label: name of the tables in messages.
        identifiers: columns that together name the series. Inferred from their names (``series``, ``id``, ...) if
            empty; a table without one is one series.
        time: column of the times; None infers it from the name (``time``, ``t``, ``mjd``, ...).
        columns: columns of the values; every other column of numbers if empty.

    Raises:
        DataError: if there is no column of times or of values, tables differ in their columns, or one series would mix
            observations of several kinds (filters).
    """
    parts = [_observations(each, number, label, identifiers, time, columns) for number, each in enumerate(tables)]
    names = parts[0][1]
    if any(each[1] != names for each in parts):
        raise DataError(f"the tables of {label} differ in their columns; each needs {', '.join(names)}")
    keys = np.concatenate([each[0] for each in parts])
    rows = np.concatenate([each[2] for each in parts])
    _, first, member = np.unique(keys, return_index=True, return_inverse=True)
    # members in the order of their first rows
    rank = np.argsort(np.argsort(first))
    member = rank[member]
    order = np.lexsort((rows[:, 0], member))
    member, rows = member[order], rows[order]
    counts = np.bincount(member)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    filled = np.full((len(counts), counts.max(), rows.shape[1]), np.nan)
    filled[member, place] = rows
    x = joined_series(filled[..., 0], filled[..., 1:], label)
    notes = (
        f"{label}: {len(counts)} series of {counts.min()} to {counts.max()} observations; "
        f"time from {names[0]!r}, values from {', '.join(map(repr, names[1:]))}",
    )
    left = {name: text for name, text in tables[0].left_out.items() if name not in parts[0][3]}
    stated = tables[0].attributes.get("units", {})
    about: dict[str, Any] = {"coordinates": names[1:]}
    if any(name in stated for name in names):
        about["units"] = tuple(stated.get(name, "") for name in names)
    return replace(
        tables[0], source=InMemory(x, label), names=(), attributes=about, kind=TIMED, one_member=False, notes=notes,
        left_out=left,
    )  # fmt: skip


def _observations(
    table: Contents,
    number: int,
    label: str,
    identifiers: Sequence[str],
    time: str | None,
    columns: Sequence[str],
) -> tuple[NDArray[Any], tuple[str, ...], NDArray[Any], tuple[str, ...]]:
    """Series of each row; names of the columns; times and values, shape ``(rows, 1 + dim)``; the identifiers used."""
    found = [_named(table, name, label) for name in identifiers]
    if not identifiers:
        own = next((name for name in IDENTIFIERS if table.column(name) is not None), None)
        identifiers, found = ((own,), [_named(table, own, label)]) if own is not None else ((), [])
    if time is not None and time not in table.names:
        raise DataError(f"{label} has no column of numbers {time!r}; it has {', '.join(table.names)}")
    numbers = [name for name in table.names if name not in identifiers]
    time = time or next((name for each in _TIMES for name in numbers if name.lower() == each), None)
    values = list(columns) or [name for name in numbers if name != time]
    absent = [name for name in values if name not in table.names]
    if time is None or not values or absent:
        values_sought = f"values {absent[0]!r}" if absent else "values"
        raise DataError(
            f"{label} has no column of {'times' if time is None else values_sought} among {', '.join(table.names)}; "
            "give --time for the times, and --columns for the values"
        )
    rows = table.source.read(np.arange(table.source.shape[0])).astype(np.float64)
    chosen = rows[:, [table.names.index(name) for name in (time, *values)]]
    if not np.isfinite(chosen[:, 0]).all():
        raise DataError(f"{label} has rows without a time in the column {time!r}; leave them out")
    words = [" ".join(map(str, each)) for each in zip(*found, strict=True)] if found else ["table"] * len(rows)
    keys = np.array([f"{number:09d} {each}" for each in words])
    if not columns:
        _check_kinds(table, keys, (*identifiers, time), label)
    return keys, (time, *values), chosen, tuple(identifiers)


def _named(table: Contents, name: str, label: str) -> NDArray[Any]:
    column = table.column(name)
    if column is None:
        raise DataError(f"{label} has no column {name!r}; it has {', '.join(table.names)} and columns of words")
    return np.asarray(column[name])


def _check_kinds(table: Contents, keys: NDArray[Any], used: Sequence[str], label: str) -> None:
    """Raise if a column of words, such as that of filters, differs between the observations of one series."""
    for name in (each for each in _KINDS if each not in used):
        column = table.column(name)
        if column is None:
            continue
        kinds = np.asarray(column[name]).astype(str)
        if len(np.unique(np.stack([keys, kinds.astype(keys.dtype.type)]), axis=1).T) > len(np.unique(keys)):
            shown = ", ".join(np.unique(kinds)[:6])
            by = ",".join(each for each in used[:-1])
            raise DataError(
                f"one series of {label} would mix observations that differ in {name!r} ({shown}): "
                f"--id {by + ',' if by else ''}{name} makes each a separate series, --columns mixes them"
            )


def check_series(batch: NDArray[np.float32], space: Series) -> tuple[int, str] | None:
    """First invalid member of a batch and its fault; None if all are valid.

    Missing values are valid. Infinite values, times that are not finite or that decrease, and a member without any
    observed value, are not.
    """
    values = batch[..., int(space.timed) :]
    faults = {
        "holds an infinite value (or one too large for float32)": np.isinf(batch).any((1, 2)),
        "has no value that was observed": np.isnan(values).all((1, 2)),
    }
    if space.timed:
        times = batch[..., 0]
        faults["has a time that is NaN"] = np.isnan(times).any(1)
        faults["has times that are not in order"] = (np.diff(times, axis=1) < 0).any(1)
    for sentence, bad in faults.items():
        if bad.any():
            return int(np.argmax(bad)), sentence
    return None
