"""NumPy's .npz: a zip of arrays. Those stored uncompressed are read by position, the others whole."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
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
from pushforward.ensembles.formats.npy import array_at
from pushforward.ensembles.formats.records import record_table
from pushforward.ensembles.series import TIMED, joined_series
from pushforward.ensembles.stores import InMemory, Store
from pushforward.errors import DataError
from pushforward.simulate.simulated import Simulated

__all__ = ["open_file", "write_file"]

_NAMED = (CONDITION_FIELDS, *CONDITION_NAMES)
_ATTRIBUTES = ("box", "box_unit", "periodic", "isotropic", "groups", "centred", "species", "units")
_OF_SAMPLES = ("columns", "seed", "version", "model")


def open_file(path: Path, field: str | None = None) -> Contents:
    """Members of a .npz file, and its conditions, if an array is called ``conditions`` or similar.

    The arrays ``names`` (of the conditions), ``box``, ``periodic``, ``isotropic``, ``groups``, ``kind`` (of Space),
    ``centred`` and ``species`` (of particles) are recognised, and ``condition_fields``, one field per member. Arrays
    ``times`` (members, length) and ``values`` (members, length, dim) together are timed series.

    Raises:
        DataError: if the file is truncated, holds pickled objects, or the array is ambiguous.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {name.removesuffix(".npy"): archive.getinfo(name) for name in archive.namelist()}
            _refuse_torch(entries, path.name)
            headers = {name: _header(archive, entry, path.name) for name, entry in entries.items()}
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise DataError(f"{path.name} cannot be read as a .npz archive ({error}); it may be truncated") from None
    shapes = {name: shape for name, (shape, dtype) in headers.items() if dtype.kind in "fiubc"}
    data = {name: shape for name, shape in shapes.items() if name not in (*_ATTRIBUTES, *_OF_SAMPLES)}
    tables = {name: shape for name, (shape, dtype) in headers.items() if dtype.names and len(shape) == 1}
    if tables and (field in tables or not data):
        chosen = choose_dataset(tables, field, path.name)
        return record_table(_values(path, entries[chosen]), f"{chosen} of {path.name}", path.name)
    timed = field is None and {"times", "values"} <= set(data)
    chosen = "values" if timed else choose_dataset(data, field, path.name)

    def column(name: str) -> Mapping[str, NDArray[Any]] | None:
        return named_columns(name, _values(path, entries[name]), names) if name in entries else None

    names = [str(name) for name in _values(path, entries["names"])] if "names" in entries else None
    inside = next((name for name in CONDITION_NAMES if name in entries), None)
    kind = str(_values(path, entries["kind"])) if "kind" in entries else None
    if timed:
        kind = TIMED
        times, values = (_values(path, entries[name]) for name in ("times", "values"))
        source: Store = InMemory(joined_series(times, values, path.name), path.name)
    else:
        source = _source(path, entries[chosen], chosen)
    columns = tuple(map(str, _values(path, entries["columns"]))) if "columns" in entries else ()
    return Contents(
        source,
        names=columns if source.shape[1:] == (len(columns),) else (),
        conditions=column(inside) if inside and inside != chosen else None,
        column=column,
        kind=kind if kind in STATED_KINDS else None,
        attributes={name: _plain(_values(path, entries[name])) for name in _ATTRIBUTES if name in entries},
        **({} if timed else of_several(path.name, chosen, {n: s for n, s in data.items() if n not in _NAMED})),
        condition_fields=_source(path, entries[CONDITION_FIELDS], CONDITION_FIELDS)
        if CONDITION_FIELDS in shapes and chosen != CONDITION_FIELDS
        else None,
    )


def named_columns(dataset: str, values: NDArray[Any], names: list[str] | None) -> dict[str, NDArray[Any]]:
    """Columns of an array of conditions, by name; a single column has the name of its dataset."""
    if values.ndim == 1 and names is not None and len(names) == len(values) > 1:
        values = values[None]  # the parameters of a file with one member
    columns = values[:, None] if values.ndim == 1 else values.reshape(len(values), -1)
    if names is None or len(names) != columns.shape[1]:
        single = columns.shape[1] == 1
        names = [dataset.rsplit("/", 1)[-1]] if single else [f"condition_{i}" for i in range(columns.shape[1])]
    return {name: columns[:, i] for i, name in enumerate(names)}


def _refuse_torch(entries: dict[str, zipfile.ZipInfo], label: str) -> None:
    if any(name.rsplit("/", 1)[-1] == "data.pkl" for name in entries):
        raise DataError(
            f"{label} is a PyTorch file, a pickle inside a zip, and pickles are never loaded: they can run any code; "
            "save the tensor with numpy.save(path, tensor.numpy())"
        )


def _header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, label: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with archive.open(entry) as file:
        try:
            version = npy_format.read_magic(file)
            read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
            shape, _, dtype = read(file)
        except ValueError:
            raise DataError(f"{label} is a zip archive, but {entry.filename} in it is not a NumPy array") from None
    return shape, dtype


def _source(path: Path, entry: zipfile.ZipInfo, name: str) -> Store:
    label = f"{name} of {path.name}"
    if entry.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as file:
            # The local header repeats the name, and its extra field may differ in length from the directory's.
            file.seek(entry.header_offset + 26)
            name_length, extra_length = np.frombuffer(file.read(4), "<u2").tolist()
            file.seek(entry.header_offset + 30 + name_length + extra_length)
            return array_at(file, path, label)
    return InMemory(_values(path, entry), label)


def _values(path: Path, entry: zipfile.ZipInfo) -> NDArray[Any]:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(entry) as file:
            return npy_format.read_array(file, allow_pickle=False)
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{entry.filename} in {path.name} cannot be read: {error}") from None


def _plain(values: NDArray[Any]) -> Any:
    if values.dtype.kind == "U" and values.ndim:
        return tuple(map(str, values))
    return values.item() if values.size == 1 else values


def write_file(simulated: Simulated, path: Path) -> None:
    """Write members as the array ``x``, or ``times`` and ``values`` of timed series, and metadata as further arrays."""
    arrays: dict[str, NDArray[Any]] = {"times": simulated.x[..., 0], "values": simulated.x[..., 1:]}
    if not simulated.space.timed:
        arrays = {"x": simulated.x}
    elif simulated.truth is not None:
        arrays["truth"] = simulated.truth
    arrays |= {key: np.array(value) for key, value in attributes(simulated).items()}
    if simulated.conditions is not None:
        # One array has one type: words if every column is a label, else numbers.
        words = set(simulated.names) == set(simulated.classes)
        columns = np.stack(list(condition_columns(simulated).values()), axis=1) if words else simulated.conditions
        arrays |= {"conditions": columns, "names": np.array(simulated.names)}
    if simulated.condition_fields is not None:
        arrays[CONDITION_FIELDS] = simulated.condition_fields
    if simulated.groups is not None:
        arrays["groups"] = simulated.groups
    np.savez(path, allow_pickle=False, **arrays)
