"""Zarr: an array in chunks, a folder of files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from pushforward.ensembles.formats.metadata import attributes
from pushforward.ensembles.formats.npz import named_columns
from pushforward.ensembles.stores import Rows
from pushforward.errors import DataError
from pushforward.simulate.simulated import Simulated

__all__ = ["open_file", "write_file"]

_ATTRIBUTES = ("box", "box_unit", "periodic", "isotropic", "centred")
_BESIDE = (*CONDITION_NAMES, CONDITION_FIELDS, "groups")
_LISTS = ("units", "species", "times")


def open_file(path: Path, field: str | None = None) -> Contents:
    """Members of a Zarr array, or of an array in a Zarr group, with the conditions in another array of the group.

    Raises:
        DataError: if Zarr is not installed, or the array is ambiguous.
    """
    try:
        import zarr
    except ImportError:
        raise DataError(f"reading {path.name} needs Zarr: pip install 'pushforward[zarr]'") from None
    try:
        root: Any = zarr.open(str(path), mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path.name} cannot be opened as Zarr: {error}") from None
    attributes: dict[str, Any] = {key: root.attrs[key] for key in _ATTRIBUTES if key in root.attrs}
    attributes |= {key: tuple(np.atleast_1d(root.attrs[key]).tolist()) for key in _LISTS if key in root.attrs}
    kind = str(root.attrs.get("kind", ""))
    names = list(root.attrs["names"]) if "names" in root.attrs else None
    if not isinstance(root, zarr.Group):
        return Contents(Chunks(root, path.name), attributes=attributes)
    arrays: dict[str, Any] = dict(root.arrays())
    shapes = {name: array.shape for name, array in arrays.items() if array.dtype.kind in "fiub"}
    chosen = choose_dataset(shapes, field, path.name)

    if "groups" in arrays:
        attributes["groups"] = np.asarray(arrays["groups"][...])
    classes: Mapping[str, list[str]] = root.attrs.get("classes", {})
    columns = tuple(root.attrs.get("columns", ()))

    def column(name: str) -> Mapping[str, NDArray[Any]] | None:
        if name not in arrays:
            return None
        found = named_columns(name, np.asarray(arrays[name][...]), names)
        return {
            key: np.array(classes[key])[values.astype(int)] if key in classes else values
            for key, values in found.items()
        }

    inside = next((name for name in CONDITION_NAMES if name in arrays), None)
    return Contents(
        Chunks(arrays[chosen], f"{chosen} of {path.name}"),
        names=columns if arrays[chosen].shape[1:] == (len(columns),) else (),
        kind=kind if kind in STATED_KINDS else None,
        conditions=column(inside) if inside and inside != chosen else None,
        column=column,
        attributes=attributes,
        **of_several(path.name, chosen, {n: s for n, s in shapes.items() if n not in _BESIDE}),
        condition_fields=Chunks(arrays[CONDITION_FIELDS], f"{CONDITION_FIELDS} of {path.name}")
        if CONDITION_FIELDS in arrays and chosen != CONDITION_FIELDS
        else None,
    )


class Chunks:
    """Zarr array read by row; Zarr itself decodes the chunks, and may be called from several threads."""

    def __init__(self, array: Any, label: str) -> None:
        self.shape = tuple(array.shape)
        self.dtype = np.dtype(array.dtype).newbyteorder("=")
        self.label = label
        self._array = array

    def read(self, rows: Rows) -> NDArray[Any]:
        values = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for position, row in enumerate(rows):
            values[position] = self._array[int(row)]
        return values

    def window(self, row: int, window: tuple[slice, ...]) -> NDArray[Any]:
        return np.asarray(self._array[(row, *window)])

    def where(self, row: int) -> str:
        return f"member {row} of {self.label}"


def write_file(simulated: Simulated, path: Path) -> None:
    """Write members as the array ``x`` of a group, with arrays of conditions, fields and groups, and attributes."""
    import zarr

    group = zarr.open_group(str(path), mode="w")
    arrays = {"x": simulated.x, "conditions": simulated.conditions, "groups": simulated.groups}
    for name, values in {**arrays, CONDITION_FIELDS: simulated.condition_fields}.items():
        if values is not None:
            group[name] = np.ascontiguousarray(values)
    about = attributes(simulated)
    if simulated.conditions is not None:
        about |= {"names": simulated.names, "classes": simulated.classes}
    group.attrs.update(json.loads(json.dumps(about, default=lambda number: number.item())))
