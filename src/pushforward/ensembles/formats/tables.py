"""Tables: .csv, .txt and .parquet, one row per member and one numeric column per coordinate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from pushforward.ensembles.formats.contents import Contents
from pushforward.ensembles.formats.metadata import condition_columns, coordinate_names, digits
from pushforward.ensembles.formats.text_tables import read_text
from pushforward.ensembles.stores import InMemory
from pushforward.errors import DataError, UsageError
from pushforward.simulate.simulated import Simulated

__all__ = ["frame_table", "open_file", "read_frame", "write_conditions", "write_file"]

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")
_LIKE_NUMBER = re.compile(r"[-+]?\d[\d.,' ]*([eEdD][-+]?\d+)?")
_PARQUET = (".parquet", ".pq")
_EPOCH = 40587.0
"""Modified Julian Date of 1970-01-01."""
_SHARE = 0.5
"""Smallest fraction of numbers in a column for which words in it count as mistakes."""


def open_file(path: Path, field: str | None = None) -> Contents:
    """Numeric columns of a table; ``field`` names some of them, separated by commas, or one column of lists.

    Dates are days, as Modified Julian Dates.

    Raises:
        DataError: if the file cannot be read or has no numeric column.
    """
    contents, units = frame_table(read_frame(path), path.name, field), _units(path)
    return replace(contents, attributes={"units": units}) if units and contents.names else contents


def frame_table(frame: pd.DataFrame, label: str, field: str | None = None) -> Contents:
    """Numeric columns of a data frame; ``field`` as for files.

    True and false are 1 and 0, decimal numbers are rounded to float64, dates and durations are days.

    Raises:
        DataError: if there is no numeric column.
        UsageError: if a column holds complex numbers.
    """
    frame = frame.set_axis(_distinct([str(name) for name in frame.columns]), axis="columns")
    wanted = [name.strip() for name in field.split(",")] if field else list(frame.columns)
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise DataError(f"{label} has no column {missing[0]!r}; it has {', '.join(frame.columns)}")
    if len(frame) == 0:
        raise DataError(f"{label} has the columns {', '.join(wanted)} but no rows")
    dates = [name for name in wanted if pd.api.types.is_datetime64_any_dtype(frame[name])]
    durations = [name for name in wanted if pd.api.types.is_timedelta64_dtype(frame[name])]
    for name in wanted:
        if name in dates:
            frame[name] = _days(frame[name])
        elif name in durations:
            frame[name] = frame[name].dt.total_seconds() / 86400
        elif pd.api.types.is_complex_dtype(frame[name]):
            raise UsageError(
                f"{label}: the column {name!r} holds complex numbers; give its real and its imaginary part as columns"
            )
        elif _are_decimals(frame[name]):
            frame[name] = frame[name].astype(np.float64)
    lists = {name: each for name in wanted if (each := _lists(frame[name])) is not None}
    if len(wanted) == 1 and wanted[0] in lists and field:
        others = {name: name for name in frame.columns if name != field}
        return Contents(
            InMemory(lists[field], f"{field} of {label}"),
            column=lambda name: {name: frame[name].to_numpy()} if name in frame.columns else None,
            one_member=False,
            left_out=others,
            how=f"{label}: other columns are left out: {{}}; --condition includes one",
        )
    numeric = [name for name in wanted if pd.api.types.is_numeric_dtype(frame[name])]
    if not numeric:
        shown = ", ".join(wanted)
        hint = f"; --field {next(iter(lists))} reads its lists of numbers as members" if lists else ""
        raise DataError(f"{label} has no numeric column; it has {shown}{hint}")
    values = frame[numeric].to_numpy(dtype=np.float64, na_value=np.nan)
    left = [name for name in wanted if name not in numeric]
    return Contents(
        InMemory(values, label),
        names=tuple(numeric),
        column=lambda name: {name: frame[name].to_numpy()} if name in frame.columns else None,
        kind="vector",
        one_member=False,
        notes=(
            *((f"{label}: dates are days (MJD) in {', '.join(dates)}",) if dates else ()),
            *((f"{label}: durations are days in {', '.join(durations)}",) if durations else ()),
            *((f"{label}: numbers have decimal commas",) if frame.attrs.get("decimal_commas") else ()),
        ),
        left_out={name: name for name in left},
        how=f"{label}: columns of words are left out: {{}}; --condition uses one as a label",
        question=_both_kinds(lists, numeric, label)
        or _words_among_numbers(frame[[name for name in wanted if name not in numeric]], numeric, label),
    )


def read_frame(path: Path) -> pd.DataFrame:
    """Table with named columns; columns without a name are called ``0``, ``1``, ...

    Raises:
        DataError: if the file is empty or is not a table.
    """
    try:
        frame = pd.read_parquet(path) if path.suffix.lower() in _PARQUET else read_text(path)
    except DataError:
        raise
    except (ValueError, OSError) as error:
        raise DataError(f"{path.name} cannot be read as a table: {_reason(error)}") from None
    for name in frame.columns:
        words = frame[name]
        text = words.dtype == object or pd.api.types.is_string_dtype(words)
        if text and len(words) and all(isinstance(word, str) and _DATE.fullmatch(word) for word in words):
            frame[name] = pd.to_datetime(words, format="ISO8601", utc=True)
    return frame


def _units(path: Path) -> dict[str, str]:
    """Units of columns in Parquet, stated as ``unit`` or ``units`` in the metadata of a column."""
    if path.suffix.lower() not in _PARQUET:
        return {}
    stated = {column.name: column.metadata or {} for column in parquet.read_schema(path)}
    found = {name: values.get(b"unit", values.get(b"units", b"")).decode() for name, values in stated.items()}
    return {name: unit for name, unit in found.items() if unit}


def _write_parquet(frame: pd.DataFrame, units: Mapping[str, str], path: Path) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    columns = [
        column.with_metadata({"unit": units[column.name]}) if units.get(column.name) else column
        for column in table.schema
    ]
    parquet.write_table(table.cast(pa.schema(columns, table.schema.metadata)), path)


def _reason(error: Exception) -> str:
    """Description of the fault of a table, in a sentence."""
    if isinstance(error, UnicodeDecodeError):
        return f"it is not in UTF-8 (byte {error.start}); save it in UTF-8, or run iconv -f latin1 -t utf-8"
    text = str(error).strip() or type(error).__name__
    ragged = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", text)
    if ragged:
        return f"line {ragged[2]} has {ragged[3]} entries, but {ragged[1]} were expected"
    return text.splitlines()[0]


def _distinct(names: list[str]) -> list[str]:
    """Names of columns, with a number after those that stand there before: ``a``, ``a.1``."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, -1) + 1
        distinct.append(f"{name}.{seen[name]}" if seen[name] else name)
    return distinct


def _are_decimals(column: pd.Series) -> bool:
    """Whether a column holds decimal numbers of Python, as databases and Parquet files keep them."""
    return column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "decimal"


def _days(dates: pd.Series) -> NDArray[np.float64]:
    utc = dates.dt.tz_localize("UTC") if dates.dt.tz is None else dates.dt.tz_convert("UTC")
    passed = utc - pd.Timestamp("1970-01-01", tz="UTC")
    return (passed / pd.Timedelta(days=1) + _EPOCH).to_numpy(dtype=np.float64)


def _lists(column: pd.Series) -> NDArray[np.float64] | None:
    """Column of lists of equally many numbers as an array; None for other columns."""
    if column.dtype != object or not len(column) or not isinstance(column.iloc[0], list | tuple | np.ndarray):
        return None
    try:
        values = np.stack([np.asarray(each, dtype=np.float64) for each in column])
    except (TypeError, ValueError):
        return None
    return values if values.ndim > 1 and values.shape[1] > 0 else None


def _both_kinds(lists: dict[str, NDArray[np.float64]], numeric: list[str], label: str) -> str | None:
    """Question on a table with columns of lists of numbers and of numbers."""
    if not lists:
        return None
    shown = ", ".join(f"{name} {values.shape[1:]}" for name, values in lists.items())
    return (
        f"{label} has columns of several numbers per row ({shown}) and of one ({', '.join(numeric)}); give --field "
        f"{next(iter(lists))} for members from the first, or --columns {numeric[0]} for the second"
    )


def _words_among_numbers(words: pd.DataFrame, numeric: list[str], label: str) -> str | None:
    """Question on a column of numbers with some words among them, which must not be left out silently."""
    for name in words.columns:
        column = words[name].dropna()
        if not (column.dtype == object or pd.api.types.is_string_dtype(column)):
            continue
        if not all(isinstance(each, str | int | float) for each in column):
            continue
        bad = pd.to_numeric(column, errors="coerce").isna()
        written = np.mean([_LIKE_NUMBER.fullmatch(str(each)) is not None for each in column]) if len(column) else 0
        if (bad.all() or not bad.any()) and written > _SHARE:
            return (
                f"{label}: the numbers of the column {name!r} are written in an unknown form, {column.iloc[0]!r}; "
                f"write them as 1234.5, or name the columns to read, --columns {','.join(numeric)}"
            )
        if 0 < bad.sum() < (1 - _SHARE) * len(column):
            row = int(np.argmax(bad.to_numpy()))
            return (
                f"{label}: the column {name!r} has words among its numbers, for example {column.iloc[row]!r} in row "
                f"{column.index[row] + 1}; fix them, or name the columns to read, --columns {','.join(numeric)}"
            )
    return None


def write_file(simulated: Simulated, path: Path) -> None:
    """Write vectors with one row each, timed series with one row per observation; .parquet also keeps units.

    Raises:
        UsageError: for members of other kinds.
    """
    if simulated.space.timed:
        frame, names, missing = *_observations(simulated), ""
    elif simulated.space.kind == "vector":
        missing = "nan"  # numpy.loadtxt does not read an empty field as a number
        names = coordinate_names(simulated.space)
        frame = pd.DataFrame(simulated.x, columns=list(names))
    else:
        raise UsageError(
            f"a table holds vectors or timed series, not members of shape {simulated.space.shape}; write .h5 or .npz"
        )
    if path.suffix.lower() == ".parquet":
        known = len(simulated.units) == len(names)
        _write_parquet(frame, dict(zip(names, simulated.units, strict=True)) if known else {}, path)
    else:
        frame.to_csv(path, index=False, float_format=digits(simulated.x), na_rep=missing)


def write_conditions(simulated: Simulated, path: Path) -> None:
    """Write conditions as a table of text, one row per member."""
    columns = condition_columns(simulated)
    pd.DataFrame(columns).to_csv(path, index=False, float_format=digits(*columns.values()))


def _observations(simulated: Simulated) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Times and values with the number of their series; names of the times and values."""
    count, length, columns = simulated.x.shape
    rows = simulated.x.reshape(-1, columns)
    names = ("time", *coordinate_names(simulated.space)[: columns - 1])
    frame = pd.DataFrame(rows, columns=list(names))
    frame.insert(0, "series", np.repeat(np.arange(count), length))
    # a row without any observation is padding of a short series
    return frame.dropna(subset=list(names[1:]), how="all"), names
