"""Classification of a user's conditions: tables of parameters, and fields."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pushforward.ensembles.conditions import Conditions, conditions_for, read_columns
from pushforward.ensembles.ensemble import Ensemble
from pushforward.ensembles.formats import find_files, open_file
from pushforward.ensembles.members import Whole
from pushforward.ensembles.paths import IN_PATHS, folders_of, parameters_in_paths
from pushforward.ensembles.raw_data import RawData, find, found_array
from pushforward.ensembles.reading import listed
from pushforward.ensembles.stores import Joined, Store
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Field

__all__ = ["conditions_of", "read_fields", "separate"]

_TABLES = (".csv", ".txt", ".dat", ".tsv", ".parquet", ".pq")


def separate(condition: Any, raw: RawData) -> tuple[Any, Store | None]:
    """Split conditions into a table (None, False, or as given) and the source of the condition fields.

    Fields are arrays with more than two axes, files that hold such an array, several files of maps, datasets of the
    data files that hold such an array, and ensembles of fields. Data files may contain condition fields themselves.

    Raises:
        UsageError: if two sets of condition fields are given.
    """
    given = list(condition) if _is_list(condition) else [condition]
    fields = [_fields(each, raw) for each in given]
    tables = [each for each, source in zip(given, fields, strict=True) if source is None]
    sources = [source for source in fields if source is not None]
    if len(sources) > 1 and not _are_files(given):
        raise UsageError(f"{len(sources)} sets of condition fields were given; join them as channels of one")
    if not sources:
        return condition, _own_fields(raw) if condition is not False else None
    if len(sources) == len(given) > 1:
        return None, find(given).source
    if len(sources) > 1:
        raise UsageError(
            f"{len(sources)} files of condition fields and a table were given; join the fields into one file"
        )
    return (tables[0] if len(tables) == 1 else tables or None), sources[0]


def conditions_of(
    raw: RawData, condition: Any, names: Sequence[str] | None, labels: Sequence[str]
) -> Conditions | None:
    """Numbers and labels that condition the members: those named by the user, or those found in the data.

    Raises:
        DataError: if they cannot be found, or do not match the members.
        UsageError: if conditions from paths are requested and the paths contain none.
    """
    if condition is False:
        return None
    columns: Mapping[str, Any]
    if condition is None:
        inside = [each.conditions for each in raw.contents]
        if not inside or any(each is None for each in inside):
            return _in_paths(raw, labels, asked=False)
        columns = _joined([each for each in inside if each is not None])
    elif isinstance(condition, str) and condition == IN_PATHS and not Path(IN_PATHS).exists():
        return _in_paths(raw, labels, asked=True)
    elif isinstance(condition, str) and (inside_columns := _named_inside(raw, condition)) is not None:
        columns = inside_columns
    elif isinstance(condition, list | tuple) and condition and _are_files(condition):
        columns = _joined([read_columns(each, names) for each in condition])
    else:
        _refuse_unknown_names(raw, condition)
        columns = read_columns(condition, names)
    if raw.catalogue is not None:
        return raw.catalogue.conditions(columns, raw.counts, raw.name, _table_name(condition))
    return conditions_for(columns, raw.counts, raw.files, labels=labels, label=raw.name)


def read_fields(files: Sequence[str]) -> NDArray[np.float32]:
    """All fields of some files, in order; from files of pairs, the condition fields.

    Raises:
        DataError: if there are no fields, or they differ in shape.
    """
    contents = [open_file(path) for path in find_files(list(files))]
    sources = [each.condition_fields or each.source for each in contents]
    parts = [source.read(np.arange(source.shape[0])) for source in sources]
    if len(parts) > 1 and parts[0].ndim == 2:
        return np.stack(parts).astype(np.float32)
    return np.concatenate(parts).astype(np.float32)


def _fields(condition: Any, raw: RawData) -> Store | None:
    """Source of condition fields; None if the condition is None or a table."""
    if isinstance(condition, Ensemble):
        if not isinstance(condition.space, Field) or not isinstance(condition.members, Whole):
            raise UsageError(f"{condition.name} cannot be a condition: its members are not whole fields")
        return found_array(condition.tensor()).source
    if isinstance(condition, np.ndarray | Tensor):
        return found_array(condition).source if condition.ndim > 2 else None
    if not isinstance(condition, str | Path):
        return None
    if isinstance(condition, str) and not Path(condition).expanduser().exists() and raw.files:
        inside = _dataset(condition, raw)
        if inside is not None:
            return inside
    try:
        files = find_files(condition)
    except DataError:
        return None  # the name of a column, or an unknown name, which the reader of tables reports
    if files[0].suffix.lower() in _TABLES:
        return None
    axes = len(open_file(files[0]).source.shape)
    if axes > 2 or len(files) > 1:
        return find(condition).source
    return None


def _dataset(name: str, raw: RawData) -> Store | None:
    """Dataset of the data files that holds fields."""
    if any(each.column(name) is None for each in raw.contents):
        return None
    try:
        sources = [open_file(path, name).source for path in raw.files]
    except DataError:
        return None  # an attribute or a header keyword
    if len(sources[0].shape) < 3:
        return None
    return sources[0] if len(sources) == 1 else Joined(sources, name)


def _own_fields(raw: RawData) -> Store | None:
    """Condition fields inside the data files."""
    sources = [each.condition_fields for each in raw.contents if each.condition_fields is not None]
    if not sources or len(sources) < len(raw.contents):
        return None
    return sources[0] if len(sources) == 1 else Joined(sources, f"the condition fields of {raw.name}")


def _is_list(condition: Any) -> bool:
    return isinstance(condition, list | tuple) and any(not isinstance(each, int | float) for each in condition)


def _are_files(given: Sequence[Any]) -> bool:
    return all(isinstance(each, str | Path) for each in given)


def _in_paths(raw: RawData, labels: Sequence[str], *, asked: bool) -> Conditions | None:
    """Numbers in the names of files and folders, per member."""
    if raw.catalogue is not None or len(raw.files) != len(raw.counts):
        return None
    per_file: dict[str, Any] = dict(parameters_in_paths(raw.files, whole=asked))
    if not per_file and asked:
        folders = folders_of(raw.files)
        if len(set(folders)) < 2:
            raise UsageError(
                f"the paths of the files of {raw.name} do not differ in numbers or folders, such as kappa_0.25, "
                "T=2.27, or spirals/ and ellipticals/; give a table of conditions"
            )
        per_file = {"folder": np.array(folders)}
    if not per_file:
        return None
    columns = {name: np.repeat(values, raw.counts) for name, values in per_file.items()}
    made = conditions_for(columns, raw.counts, (), labels=labels, label=raw.name)
    note = f"{', '.join(columns)}: read from the names of the files and folders; --condition none leaves them out"
    return replace(made, notes=(*made.notes, note))


def _named_inside(raw: RawData, name: str) -> Mapping[str, Any] | None:
    """Columns of conditions in the data files by name, unless a file of that name exists."""
    if Path(name).exists() or not raw.contents:
        return None
    columns: dict[str, Any] = {}
    for each in listed(name):
        inside = [contents.column(each) for contents in raw.contents]
        if any(part is None for part in inside):
            return None
        columns |= _joined([part for part in inside if part is not None])
    return columns


def _refuse_unknown_names(raw: RawData, condition: Any) -> None:
    """Raise if a condition is neither a file nor a name in the data files, though it looks like one."""
    if not isinstance(condition, str) or not raw.contents or Path(condition).suffix or glob.has_magic(condition):
        return
    if Path(condition).expanduser().exists() or "/" in condition:
        return
    first = raw.contents[0]
    there = [*dict.fromkeys((*first.names, *first.left_out))]
    absent = next((each for each in listed(condition) if first.column(each) is None), condition)
    near = get_close_matches(absent, there, n=1)
    raise DataError(
        f"--condition {condition}: there is no such file, and {raw.name} has no {absent!r}"
        + (f"; it has {', '.join(there)}" if there else "")
        + (f": did you mean {near[0]!r}?" if near else "")
    )


def _joined(parts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    first = parts[0]
    if any(set(part) != set(first) for part in parts):
        raise DataError(f"the files differ in their conditions: {sorted({name for part in parts for name in part})}")
    return {name: np.concatenate([np.atleast_1d(part[name]) for part in parts]) for name in first}


def _table_name(condition: Any) -> str:
    return Path(condition).name if isinstance(condition, str | Path) else ""
