"""The members in files, joined to one source, before it is settled which Space they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pushforward.ensembles import camels
from pushforward.ensembles.formats import Contents, find_files, open_file
from pushforward.ensembles.series import TIMED, has_times, is_observation_table, series_of_tables
from pushforward.ensembles.sources import InMemory, Joined, OneMember, Source, in_memory_if_small
from pushforward.errors import DataError
from pushforward.spaces import Field, Series, Space

__all__ = ["Found", "find", "found_array"]

_MOST_NOTES = 5
"""Notes of the readers that are passed on: thousands of files would say the same."""


@dataclass(frozen=True)
class Found:
    """Members and where they were found.

    Attributes:
        source: shape ``(members, ...)``.
        name: of the ensemble.
        files: where members come from; several files that are channels of the same members count once.
        counts: members in each of the files.
        contents: what each reader found.
        catalogue: set for files of the CAMELS Multifield Dataset.
        notes: what was recognised.
    """

    source: Source
    name: str
    files: tuple[Path, ...] = ()
    counts: tuple[int, ...] = ()
    contents: tuple[Contents, ...] = ()
    catalogue: camels.Catalogue | None = None
    notes: tuple[str, ...] = ()

    def without_column(self, name: str) -> Found:
        """A table without one of its columns, which is a condition and no coordinate; anything else as it is."""
        names = self.contents[0].names
        if name not in names:
            return self
        kept = [number for number, each in enumerate(names) if each != name]
        values = self.source.read(np.arange(self.source.shape[0]))[:, kept]
        contents = tuple(replace(each, names=tuple(names[number] for number in kept)) for each in self.contents)
        return replace(self, source=InMemory(values, self.name, origin=self.source), contents=contents)


def found_array(data: Any, space: Space | str | None = None, crop_axes: int = 0) -> Found:
    """The members of an array, a tensor or a data frame in memory; ``space`` and ``crop_axes`` as for `find`.

    Raises:
        DataError: if it holds no numbers.
    """
    if hasattr(data, "select_dtypes"):
        numeric = data.select_dtypes("number")
        source = InMemory(numeric.to_numpy(dtype=np.float64), "frame")
        contents = Contents(
            source,
            names=tuple(str(name) for name in numeric.columns),
            column=lambda name: {name: data[name].to_numpy()} if name in data.columns else None,
            kind="vector",
        )
        if _are_observations([contents], space):
            contents = series_of_tables([contents], "frame")
        return Found(contents.source, "frame", (), (contents.source.shape[0],), (contents,), notes=contents.notes)
    values = np.asarray(data.detach().cpu() if isinstance(data, Tensor) else data)
    if values.dtype.kind not in "fiub" or values.ndim == 0:
        raise DataError(f"the array holds {values.dtype} in shape {values.shape}, and members must be real numbers")
    one = _is_one_member(values.shape, space, several=False, crop_axes=crop_axes)
    source = InMemory(values[None] if one else values)
    return Found(source, "array", counts=(source.shape[0],))


def find(
    data: str | Path | Sequence[str | Path],
    field: str | None = None,
    space: Space | str | None = None,
    crop_axes: int = 0,
) -> Found:
    """The members of files.

    Arguments:
        data: a file, a glob, a folder or a list of them.
        field: name of the dataset, unit or columns to read.
        space: what a member is, where the user says so.
        crop_axes: axes that a crop has: 0 if there is none, -1 if it does not say.

    Raises:
        DataError: if a file cannot be found or read, or files do not fit together.
    """
    files = find_files(data)
    contents = [open_file(path, field) for path in files]
    if _are_observations(contents, space):
        label = files[0].name if len(files) == 1 else _name_of_several(data, files)
        contents = [series_of_tables(contents, label)]
        count = contents[0].source.shape[0]
        # where every table is one series, conditions may be given by the names of the files
        counts = (1,) * count if count == len(files) else (count,)
        return Found(contents[0].source, label, tuple(files), counts, tuple(contents), notes=contents[0].notes)
    for path, each in zip(files, contents, strict=True):
        if each.source.dtype.kind not in "fiub":
            raise DataError(f"{path.name} holds {each.source.dtype}, and members must be real numbers")
        if 0 in each.source.shape:
            raise DataError(f"{path.name} has shape {each.source.shape}, which holds no members")
    notes = list(dict.fromkeys(note for each in contents for note in each.notes))[:_MOST_NOTES]
    name = files[0].name if len(files) == 1 else _name_of_several(data, files)
    if len(files) > 1:
        notes.insert(0, f"{name}: {len(files)} files")
    catalogue = camels.recognise(files)
    if catalogue is not None:
        source, counts, first_files = catalogue.joined([each.source for each in contents], name)
        return Found(source, name, first_files, counts, tuple(contents), catalogue, (*notes, *catalogue.notes))
    several = len(files) > 1
    sources: list[Source] = []
    for each in contents:
        one = each.one_member
        if one is None:
            one = _is_one_member(each.source.shape, space, several, crop_axes)
        sources.append(OneMember(each.source) if one else each.source)
    if several and isinstance(sources[0], OneMember):
        notes.append(f"each file holds one member, of shape {sources[0].shape[1:]}")
    source = in_memory_if_small(sources[0] if not several else Joined(sources, name))
    return Found(
        source, name, tuple(files), tuple(each.shape[0] for each in sources), tuple(contents), notes=tuple(notes)
    )


def _are_observations(contents: Sequence[Contents], space: Space | str | None) -> bool:
    """Whether files are tables of which a row is one observation of a series."""
    if any(each.kind != "vector" or not each.names for each in contents):
        return False
    if space is None:
        return all(is_observation_table(each) for each in contents)
    series = isinstance(space, Series) or (isinstance(space, str) and space in ("series", TIMED))
    return series and all(has_times(each) for each in contents)


def _is_one_member(shape: tuple[int, ...], space: Space | str | None, several: bool, crop_axes: int) -> bool:
    """Whether an array in a file is one member, or its first axis counts members."""
    if isinstance(space, Field):
        return shape == space.shape or (space.channels == 1 and shape == space.grid)
    if space is not None and not isinstance(space, str):
        return several and shape == space.shape
    if len(shape) == 2:
        return (crop_axes in (-1, 2) or several) and space in (None, "field")
    if len(shape) == 3:
        return crop_axes == 3 or (several and len(set(shape)) == 1 and shape[0] >= 8)
    return len(shape) == 1 and several


def _name_of_several(data: Any, files: Sequence[Path]) -> str:
    if isinstance(data, str | Path):
        path = Path(data)
        return path.parent.name if path.name[:1] in "*?" else path.name
    return f"{files[0].name} and {len(files) - 1} more"
