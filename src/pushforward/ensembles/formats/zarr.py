"""Zarr: an array in chunks, a folder of files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.ensembles.formats.contents import CONDITION_NAMES, Contents, choose_dataset, of_several
from pushforward.ensembles.formats.npz import named_columns
from pushforward.ensembles.stores import Rows
from pushforward.errors import DataError

__all__ = ["open_file"]

_ATTRIBUTES = ("box", "periodic", "isotropic")


def open_file(path: Path, field: str | None = None) -> Contents:
    """The members of a Zarr array, or of an array of a Zarr group, with the conditions of an array beside it.

    Raises:
        DataError: if Zarr is not installed, or it cannot be told which array is meant.
    """
    try:
        import zarr
    except ImportError:
        raise DataError(f"reading {path.name} needs Zarr: pip install 'pushforward[zarr]'") from None
    try:
        root: Any = zarr.open(str(path), mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path.name} cannot be opened as Zarr: {error}") from None
    attributes = {key: root.attrs[key] for key in _ATTRIBUTES if key in root.attrs}
    names = list(root.attrs["names"]) if "names" in root.attrs else None
    if not isinstance(root, zarr.Group):
        return Contents(Chunks(root, path.name), attributes=attributes)
    arrays: dict[str, Any] = dict(root.arrays())
    shapes = {name: array.shape for name, array in arrays.items() if array.dtype.kind in "fiub"}
    chosen = choose_dataset(shapes, field, path.name)

    def column(name: str) -> Mapping[str, NDArray[Any]] | None:
        return named_columns(name, np.asarray(arrays[name][...]), names) if name in arrays else None

    inside = next((name for name in CONDITION_NAMES if name in arrays), None)
    return Contents(
        Chunks(arrays[chosen], f"{chosen} of {path.name}"),
        conditions=column(inside) if inside and inside != chosen else None,
        column=column,
        attributes=attributes,
        **of_several(path.name, chosen, {n: s for n, s in shapes.items() if n not in CONDITION_NAMES}),
    )


class Chunks:
    """A Zarr array read by row; Zarr itself decodes the chunks, and may be called from several threads."""

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
