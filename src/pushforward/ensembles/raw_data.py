"""Members of files or of an array, joined to one store before the Space is inferred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.ensembles import camels
from pushforward.ensembles.formats import Contents, find_files, open_file
from pushforward.ensembles.formats.contents import WHOLE_SKY
from pushforward.ensembles.formats.records import record_table
from pushforward.ensembles.observations import is_table, table_members
from pushforward.ensembles.reading import Reading
from pushforward.ensembles.series import TIMED
from pushforward.ensembles.stores import (
    ComplexParts,
    InMemory,
    Joined,
    OneMember,
    Store,
    as_array,
    in_memory_if_small,
)
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Field

__all__ = ["RawData", "find", "found_array"]

_MOST_NOTES = 5
"""Largest number of notes from readers: thousands of files would repeat the same."""
_SMALLEST_MAP = 128
"""Smallest side in cells for which a square array could be one map."""
_PLAIN = Reading()


@dataclass(frozen=True)
class RawData:
    """Members and their origin.

    Attributes:
        source: store of shape ``(members, ...)``.
        name: name of the ensemble.
        files: files of the members; several files that are channels of the same members count once.
        counts: members in each of the files.
        contents: result of each reader.
        catalogue: parsed names of files of the CAMELS Multifield Dataset; otherwise None.
        notes: recognised properties.
    """

    source: Store
    name: str
    files: tuple[Path, ...] = ()
    counts: tuple[int, ...] = ()
    contents: tuple[Contents, ...] = ()
    catalogue: camels.Catalogue | None = None
    notes: tuple[str, ...] = ()

    def unused(self, taken: Sequence[str]) -> tuple[str, ...]:
        """Notes on contents of the files that are left out, except those included by name."""
        return tuple(dict.fromkeys(note for each in self.contents for note in each.unused(taken)))[:_MOST_NOTES]

    def without_column(self, name: str) -> RawData:
        """Table without one of its columns, which is a condition; other data unchanged."""
        names = self.contents[0].names
        if name not in names:
            return self
        if len(names) == 1:
            raise DataError(f"every column of {self.name} is a condition, so that none is left for the members")
        kept = [number for number, each in enumerate(names) if each != name]
        values = self.source.read(np.arange(self.source.shape[0]))[:, kept]
        contents = tuple(replace(each, names=tuple(names[number] for number in kept)) for each in self.contents)
        return replace(self, source=InMemory(values, self.name, origin=self.source), contents=contents)


def found_array(data: Any, reading: Reading = _PLAIN) -> RawData:
    """Members of an array, a tensor or a data frame in memory; masked values become NaN.

    Raises:
        DataError: if it does not hold numbers.
        UsageError: if it could be read in two ways.
    """
    if isinstance(data, Mapping):
        data = _frame(data)
    if hasattr(data, "select_dtypes"):
        from pushforward.ensembles.formats.tables import frame_table

        table = frame_table(data, "frame")
        if table.question is not None and not reading.columns:
            raise UsageError(table.question)
        (contents,) = table_members([table], reading, "frame")
        return RawData(contents.source, "frame", (), (contents.source.shape[0],), (contents,), notes=contents.notes)
    values = as_array(data, "array")
    if values.dtype.names:
        (contents,) = table_members([record_table(values, "array", "array")], reading, "array")
        return RawData(contents.source, "array", (), (contents.source.shape[0],), (contents,), notes=contents.notes)
    if reading.of_tables is not None:
        raise UsageError(f"{reading.of_tables} selects columns of a table, but an array has none")
    source = _real(InMemory(values), reading)
    if values.ndim == 0:
        raise DataError(f"the array holds {values.dtype} in shape {values.shape}, but members must be real numbers")
    if _is_one_member(source.shape, reading, several=False):
        source = OneMember(source)
    return RawData(source, "array", counts=(source.shape[0],))


def _frame(columns: Mapping[Any, Any]) -> Any:
    """A data frame of columns by name.

    Raises:
        DataError: unless they are columns of one length.
    """
    import pandas as pd

    shapes = {str(name): np.shape(as_array(values, f"the column {name!r}")) for name, values in columns.items()}
    if not shapes or len({*shapes.values()}) > 1 or len(next(iter(shapes.values()))) != 1:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none"
        raise DataError(f"a mapping is read as a table, whose columns have one axis and one length; it has {found}")
    return pd.DataFrame({str(name): as_array(values, str(name)) for name, values in columns.items()})


def find(data: str | Path | Sequence[str | Path], reading: Reading = _PLAIN) -> RawData:
    """Members of files.

    Arguments:
        data: a file, a glob, a folder or a list of them.
        reading: options of reading.

    Raises:
        DataError: if a file cannot be found or read, or files do not match.
        UsageError: if they could be read in two ways.
    """
    files = find_files(data)
    name = files[0].name if len(files) == 1 else _name_of_several(data, files)
    opened = [_opened(path, reading) for path in files]
    if reading.field is None and not reading.columns:
        for each in opened:
            if each.question is not None:
                raise UsageError(each.question)
    contents = table_members(opened, reading, name)
    notes = list(dict.fromkeys(note for each in contents for note in each.notes))[:_MOST_NOTES]
    if contents[0].kind == TIMED and contents[0].one_member is False:
        count = contents[0].source.shape[0]
        # if every table is one series, conditions may be matched by file names
        counts = (1,) * count if count == len(files) else (count,)
        return RawData(contents[0].source, name, tuple(files), counts, tuple(contents), notes=tuple(notes))
    for path, each in zip(files, contents, strict=True):
        if 0 in each.source.shape:
            raise DataError(f"{path.name} has shape {each.source.shape}, which has no members")
    if len(files) > 1:
        notes.insert(0, f"{name}: {len(files)} files")
    catalogue = camels.recognise(files)
    if catalogue is not None:
        source, counts, first_files = catalogue.joined([each.source for each in contents], name)
        return RawData(source, name, first_files, counts, tuple(contents), catalogue, (*notes, *catalogue.notes))
    several = len(files) > 1
    sources: list[Store] = []
    for each in contents:
        source = _real(each.source, reading)
        one = each.one_member
        if one is None:
            one = _is_one_member(source.shape, reading, several)
        sources.append(OneMember(source) if one else source)
    if several and isinstance(sources[0], OneMember):
        notes.append(f"each file holds one member, of shape {sources[0].shape[1:]}")
    source = in_memory_if_small(sources[0] if not several else Joined(sources, name))
    return RawData(
        source, name, tuple(files), tuple(each.shape[0] for each in sources), tuple(contents), notes=tuple(notes)
    )


def _opened(path: Path, reading: Reading) -> Contents:
    """Contents of a file by its reader; in HDF5 files without tables, ``columns`` names datasets."""
    if reading.field is not None or len(reading.columns) < 2:
        return open_file(path, reading.field)
    try:
        contents = open_file(path)
    except DataError:  # the dataset is ambiguous
        return open_file(path, ",".join(reading.columns))
    beside = not is_table(contents) and all(contents.column(name) is not None for name in reading.columns)
    return open_file(path, ",".join(reading.columns)) if beside else contents


def _real(source: Store, reading: Reading) -> Store:
    """Source of real numbers; complex ones as two channels, on request."""
    if source.dtype.kind == "c":
        if reading.complex_parts:
            return ComplexParts(source)
        raise UsageError(
            f"{source.label} holds complex numbers: --complex-parts reads them as two channels, real and imaginary part"
        )
    if source.dtype.kind not in "fiub":
        raise DataError(f"{source.label} holds {source.dtype}, but members must be real numbers")
    return source


def _is_one_member(shape: tuple[int, ...], reading: Reading, several: bool) -> bool:
    """Whether an array in a file is one member; otherwise its first axis counts members."""
    space, crop_axes = reading.space, reading.crop_axes
    if isinstance(space, Field):
        return shape == space.shape or (space.channels == 1 and shape == space.grid)
    if space is not None and not isinstance(space, str):
        return several and shape == space.shape
    if len(shape) == 2:
        if crop_axes in (-1, 2) or several or space == "field":
            return space in (None, "field")
        if space is None and _looks_like_a_map(shape):
            raise UsageError(
                f"an array of shape {shape} could be one map or {shape[0]} vectors; give --crop 64 for pieces of a "
                "map, or --space vector"
            )
        return False
    if len(shape) == 3:
        return crop_axes == 3 or (several and len(set(shape)) == 1 and shape[0] >= 8)
    if len(shape) == 1 and not several and space is None and _looks_like_the_sky(shape[0]):
        raise UsageError(
            f"an array of {shape[0]} numbers could be {WHOLE_SKY}; or give --space vector for members of one number"
        )
    return len(shape) == 1 and several


def _looks_like_a_map(shape: tuple[int, ...]) -> bool:
    low, high = sorted(shape)
    return (low == high and low >= _SMALLEST_MAP) or (2 * low == high and low >= 2 * _SMALLEST_MAP)


def _looks_like_the_sky(count: int) -> bool:
    """Whether ``count`` is a number of HEALPix pixels, 12 * nside**2 with nside a power of two from 16."""
    sides = round((count / 12) ** 0.5)
    return sides >= 16 and sides & (sides - 1) == 0 and 12 * sides**2 == count


def _name_of_several(data: Any, files: Sequence[Path]) -> str:
    if isinstance(data, str | Path):
        path = Path(data)
        return path.parent.name if path.name[:1] in "*?" else path.name
    return f"{files[0].name} and {len(files) - 1} more"
