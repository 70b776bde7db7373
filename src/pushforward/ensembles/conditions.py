"""Conditions of an ensemble's members: from a table, an array, or the file that holds the members.

One row of conditions may belong to one member, to a file, or to several consecutive members (several maps of
one simulation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.ensembles.ensemble import Parameter
from pushforward.ensembles.formats import find_files, open_file
from pushforward.ensembles.formats.contents import CONDITION_NAMES
from pushforward.ensembles.paths import names_of_files
from pushforward.ensembles.precision import narrowed
from pushforward.ensembles.stores import unmasked
from pushforward.errors import DataError, UsageError

__all__ = ["Conditions", "conditions_for", "read_columns"]

Columns = Mapping[str, NDArray[Any]]

_LABELS = ("label", "labels", "class", "category")
_FILES = ("file", "files", "filename", "file_name", "path", "folder", "directory")


@dataclass(frozen=True)
class Conditions:
    """Conditions with one row per member.

    Attributes:
        values: array of shape ``(members, parameters)``, float32, or float64 if differences need it (see `precision`).
        parameters: one per column.
        groups: group of each member, by shared row; None if every member has its own.
        notes: assumptions made.
    """

    values: NDArray[np.floating]
    parameters: tuple[Parameter, ...]
    groups: NDArray[np.int64] | None
    notes: tuple[str, ...]


def read_columns(condition: Any, names: Sequence[str] | None = None) -> Columns:
    """Columns of conditions from a table on disk, a ``.npy`` or ``.npz`` file, an array, a mapping or a frame.

    Arguments:
        condition: path, array of shape ``(rows,)`` or ``(rows, parameters)``, mapping of names to columns, or frame.
        names: names of the columns, in order, if they have none (or to rename them).

    Raises:
        DataError: if there is no such file, or the number of names does not match.
    """
    if hasattr(condition, "select_dtypes"):
        columns: Columns = {str(name): condition[name].to_numpy() for name in condition.columns}
    elif isinstance(condition, Mapping):
        columns = {str(name): np.atleast_1d(unmasked(values)) for name, values in condition.items()}
    elif isinstance(condition, str | Path):
        (path,) = _one(find_files(condition), condition)
        columns = _columns_of_file(path)
    else:
        columns = _columns_of_array(unmasked(condition))
    if not names:
        return {f"condition_{name}" if name.isdigit() else name: values for name, values in columns.items()}
    if len(names) != len(columns):
        raise DataError(f"{len(names)} names ({', '.join(names)}) were given for {len(columns)} columns of conditions")
    if len(set(names)) < len(names):
        raise DataError(f"the names of the columns of conditions ({', '.join(names)}) are not distinct")
    return dict(zip(names, columns.values(), strict=True))


def conditions_for(
    columns: Columns,
    counts: Sequence[int],
    files: Sequence[Path],
    *,
    labels: Sequence[str] = (),
    label: str,
) -> Conditions:
    """One row of conditions per member.

    A column of file names is matched with the files of the members. Otherwise rows are taken in order, and ``k``
    consecutive members share one if there are ``k`` times as many members as rows.

    Arguments:
        columns: columns by name, all of one length.
        counts: members in each file.
        files: files of the members; empty for arrays.
        labels: names of the columns that are labels though they hold numbers.
        label: name of the ensemble in messages.

    Raises:
        DataError: if the rows cannot be assigned to the members.
        UsageError: if a label is not a column.
    """
    unknown = [name for name in labels if name not in columns]
    if unknown:
        raise UsageError(
            f"there is no column {unknown[0]!r} of conditions to use as a label; there are {', '.join(columns)}"
        )
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) != 1:
        raise DataError(f"the columns of conditions of {label} differ in length: {lengths}")
    rows, count = next(iter(lengths.values())), sum(counts)
    named = _column_of_files(columns, files)
    if named is not None:
        order = np.repeat(_match(columns[named], files, label), counts)
        columns = {name: values for name, values in columns.items() if name != named}
        notes = [f"conditions are matched by the file names in the column {named!r}"]
        groups = None
    else:
        order, groups, notes = _in_order(rows, count, label)
    encoded = [_encode(name, np.asarray(values), name in labels) for name, values in columns.items()]
    values = narrowed(np.stack([each[0][order] for each in encoded], axis=1))
    parameters = tuple(each[1] for each in encoded)
    notes += [
        f"the condition {p.name!r} is a label with {len(p.classes)} class{'es' * (len(p.classes) > 1)}"
        for p in parameters
        if p.classes
    ]
    return Conditions(values, parameters, groups, tuple(notes))


def _one(files: list[Path], condition: object) -> list[Path]:
    if len(files) != 1:
        raise DataError(f"{condition!r} is {len(files)} files; give one file of conditions")
    return files


def _columns_of_file(path: Path) -> Columns:
    if path.suffix.lower() in (".csv", ".txt", ".dat", ".tsv", ".parquet", ".pq"):
        if path.stat().st_size == 0:
            raise DataError(f"{path.name} is empty")
        from pushforward.ensembles.formats.tables import read_frame

        frame = read_frame(path)
        return {str(name): frame[name].to_numpy() for name in frame.columns}
    contents = open_file(path)
    for found in (contents.conditions, *(contents.column(name) for name in CONDITION_NAMES)):
        if found is not None:
            return found
    values = contents.source.read(np.arange(contents.source.shape[0]))
    columns = _columns_of_array(values)
    return dict(zip(contents.names, columns.values(), strict=True)) if contents.names else columns


def _columns_of_array(values: NDArray[Any]) -> Columns:
    if values.ndim not in (1, 2):
        raise DataError(f"conditions have shape {values.shape}, but must have shape (members, parameters)")
    table = values[:, None] if values.ndim == 1 else values
    return {str(i): table[:, i] for i in range(table.shape[1])}


def _column_of_files(columns: Columns, files: Sequence[Path]) -> str | None:
    """Column that names the members' files, if there is one."""
    wanted = set().union(*names_of_files(files)) if files else set()
    for name, values in columns.items():
        if np.asarray(values).dtype.kind in "OUST" and any(_file_name(value) & wanted for value in values):
            return name
    called = next((name for name in columns if name.lower() in _FILES), None)
    if called is not None and len(files) > 1 and np.asarray(columns[called]).dtype.kind in "OUST":
        raise DataError(
            f"the column {called!r} of conditions names none of the files: its first row is "
            f"{columns[called][0]!r}, but the first file is {files[0].as_posix()!r}"
        )
    return None


def _file_name(value: object) -> set[str]:
    """Names of a file that a table may contain: as written, and without its folders."""
    written = Path(value.decode() if isinstance(value, bytes) else str(value).strip())
    return {written.as_posix().lstrip("/"), written.name}


def _match(column: NDArray[Any], files: Sequence[Path], label: str) -> NDArray[np.int64]:
    rows: dict[str, int] = {}
    names = names_of_files(files)
    wanted = set().union(*names)
    for row, value in enumerate(column):
        for name in _file_name(value) & wanted:
            if rows.setdefault(name, row) != row:
                raise DataError(f"the file {name!r} has more than one row of conditions")
    found = [max((name for name in own if name in rows), key=len, default=None) for own in names]
    missing = [path.name for path, name in zip(files, found, strict=True) if name is None]
    if missing:
        raise DataError(
            f"{len(missing)} of the {len(files)} files of {label} have no row of conditions, for example {missing[0]}"
        )
    return np.array([rows[name] for name in found if name is not None], dtype=np.int64)


def _in_order(rows: int, count: int, label: str) -> tuple[NDArray[np.int64], NDArray[np.int64] | None, list[str]]:
    if rows == count:
        return np.arange(count), None, []
    if rows == 0 or count % rows or rows < 2:
        raise DataError(
            f"there are {rows} rows of conditions, but {label} has {count} members; "
            "give one row per member, or one row per k consecutive members"
        )
    each = count // rows
    order = np.arange(count) // each
    shared = f"each of the {rows} rows of conditions belongs to {each} consecutive members, which are split together"
    return order, order, [shared]


def _encode(name: str, values: NDArray[Any], declared: bool) -> tuple[NDArray[np.float64], Parameter]:
    """Column as numbers, and its parameter; words, booleans and declared labels become class indices."""
    if values.dtype.kind == "S":
        values = np.char.decode(values)
    words = values.dtype.kind in "OUTb"
    whole = values.dtype.kind in "iu" and name.lower() in _LABELS
    if not (words or whole or declared):
        if values.dtype.kind not in "fiu":
            raise DataError(f"the condition {name!r} holds {values.dtype}; give numbers or words")
        return values.astype(np.float64), Parameter(name)
    if any(value is None or value != value for value in values):
        raise DataError(f"the label {name!r} is missing for some members")
    if not words and (np.asarray(values) != np.round(values)).any():
        raise DataError(f"the condition {name!r} is declared as a label, but its values are not whole numbers")
    classes, indices = np.unique(values.astype(str) if words else values, return_inverse=True)
    shown = [str(value) if words else f"{value:g}" for value in classes]
    if len(classes) > 1000:
        raise DataError(f"the label {name!r} has {len(classes)} classes; check that it is not a file name or a number")
    return indices.astype(np.float64), Parameter(name, tuple(shown))
