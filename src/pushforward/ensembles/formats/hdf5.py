"""HDF5: datasets in groups, read lazily; contiguous ones by position, chunked ones by the HDF5 library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pushforward.ensembles.formats.contents import (
    CONDITION_FIELDS,
    CONDITION_NAMES,
    STATED_KINDS,
    Contents,
    choose_dataset,
    of_several,
)
from pushforward.ensembles.formats.metadata import attributes, condition_columns
from pushforward.ensembles.formats.npz import named_columns
from pushforward.ensembles.formats.records import decoded, record_table
from pushforward.ensembles.reading import listed
from pushforward.ensembles.stores import InMemory, Positional, Rows, Store
from pushforward.errors import DataError
from pushforward.simulate.simulated import Simulated

__all__ = ["open_file", "write_file"]

_ATTRIBUTES = {
    **{name: name for name in ("box", "box_unit", "periodic", "isotropic", "centred")},
    "box_size": "box",
    "box_units": "box_unit",
    "boxsize": "box",
}


def open_file(path: Path, field: str | None = None) -> Contents:
    """Members of an HDF5 file, and its conditions.

    Conditions are a dataset called ``conditions``, ``parameters``, ``params`` or ``labels`` (its columns named by an
    attribute or a dataset ``names`` or ``parameter_names``), or a group of that name with one dataset per parameter.
    The attributes ``box``, ``periodic``, ``isotropic``, ``times`` (of trajectories), ``centred`` and ``species`` (of
    particles), and the datasets ``groups`` and ``condition_fields`` (one field per member), are recognised.

    Arguments:
        path: path of the file.
        field: name of the dataset with the members; needed only if it is ambiguous.

    Raises:
        DataError: if the file is truncated, or the dataset is ambiguous.
    """
    with _opened(path) as file:
        return _contents(path, file, field)


class Chunked:
    """Dataset that only the HDF5 library can read: chunked, compressed or spread over files.

    The file is opened for every read, so that an ensemble can have thousands of files and none is locked for writers.
    """

    def __init__(self, path: Path, dataset: h5py.Dataset, name: str) -> None:
        self.label = f"{name} of {path.name}"
        self.shape = dataset.shape
        self.dtype = dataset.dtype.newbyteorder("=")
        self._path, self._name = path, name

    def read(self, rows: Rows) -> NDArray[Any]:
        values = np.empty((len(rows), *self.shape[1:]), self.dtype)
        with _opened(self._path) as file:
            dataset = file[self._name]
            for position, row in enumerate(rows):
                dataset.read_direct(values, np.s_[int(row)], np.s_[position])
        return values

    def window(self, row: int, window: tuple[slice, ...]) -> NDArray[Any]:
        with _opened(self._path) as file:
            return np.asarray(file[self._name][(row, *window)])

    def where(self, row: int) -> str:
        return f"member {row} of {self.label}"


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """Open the file for reading; errors of the library for a damaged file become a `DataError`."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        raise DataError(
            f"{path.name} cannot be read as HDF5 ({error}); it may be truncated, damaged or still being written"
        ) from None


def _contents(path: Path, file: h5py.File, field: str | None) -> Contents:
    datasets: dict[str, h5py.Dataset] = {}
    file.visititems(lambda name, item: datasets.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    shapes = {
        name: dataset.shape
        for name, dataset in datasets.items()
        if dataset.shape is not None and dataset.dtype.kind in "fiubc" and not _is_condition(name)
    }
    tables = {name: each for name, each in datasets.items() if each.dtype.names and len(each.shape) == 1}
    if field is not None and "," in field and not tables:
        return _columns_side_by_side(path, datasets, listed(field), lambda name: _column(path, name, _names(file)))
    if tables and (field in tables or not shapes):
        chosen = choose_dataset({name: each.shape for name, each in tables.items()}, field, path.name)
        return record_table(tables[chosen][()], f"{chosen} of {path.name}", path.name)
    chosen = choose_dataset(shapes, field.strip("/") if field else None, path.name)
    dataset = datasets[chosen]
    if 0 in dataset.shape or not dataset.shape:
        raise DataError(f"the dataset {chosen!r} of {path.name} has shape {dataset.shape}, which has no members")
    attributes = {
        _ATTRIBUTES[key.lower()]: value.item() if isinstance(value, np.generic) else value
        for holder in (file, dataset)
        for key, value in holder.attrs.items()
        if key.lower() in _ATTRIBUTES and np.ndim(value) == 0
    }
    if "groups" in datasets:
        attributes["groups"] = datasets["groups"][()]
    if "times" in file.attrs:
        attributes["times"] = tuple(np.atleast_1d(file.attrs["times"]).astype(float).tolist())
    if "species" in file.attrs:
        attributes["species"] = tuple(_strings(np.atleast_1d(file.attrs["species"])))
    units = [each.attrs[key] for each in (dataset, file) for key in ("units", "unit") if key in each.attrs]
    if units:
        attributes["units"] = tuple(_strings(np.atleast_1d(units[0])))
    columns = tuple(_strings(np.atleast_1d(file.attrs["columns"]))) if "columns" in file.attrs else ()
    names = _names(file)
    kind = str(file.attrs.get("kind", ""))
    inside = next((name for name in CONDITION_NAMES if name in file), None)
    return Contents(
        _source(path, dataset, chosen),
        names=columns if dataset.shape[1:] == (len(columns),) else (),
        conditions=_columns(file, inside, names) if inside else None,
        column=lambda name: _column(path, name, names),
        attributes=attributes,
        kind=kind if kind in STATED_KINDS else None,
        **of_several(path.name, chosen, {n: s for n, s in shapes.items() if n != CONDITION_FIELDS}),
        condition_fields=_source(path, datasets[CONDITION_FIELDS], CONDITION_FIELDS)
        if CONDITION_FIELDS in shapes and chosen != CONDITION_FIELDS
        else None,
    )


def _columns_side_by_side(
    path: Path, datasets: Mapping[str, h5py.Dataset], names: tuple[str, ...], column: Any
) -> Contents:
    """Datasets with one number per member, as the columns of a table."""
    absent = [name for name in names if name not in datasets]
    if absent:
        raise DataError(f"{path.name} has no dataset {absent[0]!r}; it has {', '.join(datasets)}")
    values = [np.asarray(datasets[name][()], dtype=np.float64) for name in names]
    shapes = {name: each.shape for name, each in zip(names, values, strict=True)}
    if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) > 1:
        raise DataError(
            f"the datasets of {path.name} have the shapes {shapes}; --columns needs datasets with one number per member"
        )
    return Contents(
        InMemory(np.stack(values, axis=1), path.name), names=names, column=column, kind="vector", one_member=False
    )


def _source(path: Path, dataset: h5py.Dataset, name: str) -> Store:
    offset = dataset.id.get_offset()
    if offset is None or dataset.chunks is not None or dataset.external:
        return Chunked(path, dataset, name)
    source = Positional(path, offset, dataset.dtype, dataset.shape)
    source.label = f"{name} of {path.name}"
    return source


def _is_condition(name: str) -> bool:
    first = name.split("/", 1)[0].lower()
    return first in CONDITION_NAMES or first in ("groups", "names", "parameter_names")


def _names(file: h5py.File) -> list[str] | None:
    for holder in (file, *(file[name] for name in CONDITION_NAMES if name in file)):
        for key in ("names", "parameter_names"):
            if key in holder.attrs:
                return _strings(np.atleast_1d(holder.attrs[key]))
    for key in ("names", "parameter_names"):
        if key in file and isinstance(file[key], h5py.Dataset):
            return _strings(np.atleast_1d(file[key][()]))
    return None


def _columns(file: h5py.File, name: str, names: list[str] | None) -> Mapping[str, NDArray[Any]]:
    item = file[name]
    if isinstance(item, h5py.Group):
        return {key: decoded(child[()]) for key, child in item.items() if isinstance(child, h5py.Dataset)}
    return named_columns(name, decoded(item[()]), names)


def _column(path: Path, name: str, names: list[str] | None) -> Mapping[str, NDArray[Any]] | None:
    with _opened(path) as file:
        if name in file:
            return _columns(file, name, names)
        return {name: decoded(np.atleast_1d(file.attrs[name]))} if name in file.attrs else None


def _strings(values: NDArray[Any]) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def write_file(simulated: Simulated, path: Path) -> None:
    """Write members as the dataset ``x``, with datasets of their conditions, fields and groups, and attributes."""
    with h5py.File(path, "w") as file:
        file["x"] = simulated.x
        if simulated.classes:
            for name, values in condition_columns(simulated).items():
                file[f"conditions/{name}"] = values.astype("S") if values.dtype.kind == "U" else values
        elif simulated.conditions is not None:
            file["conditions"] = simulated.conditions
            file["conditions"].attrs["names"] = list(simulated.names)
        if simulated.condition_fields is not None:
            file[CONDITION_FIELDS] = simulated.condition_fields
        if simulated.groups is not None:
            file["groups"] = simulated.groups
        for name, value in attributes(simulated).items():
            file.attrs[name] = list(value) if isinstance(value, tuple) else value
