"""Pictures (.png, .tif, .jpg): one member per file, with the stored whole numbers, of 8 or 16 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pushforward.ensembles.formats.contents import Contents
from pushforward.ensembles.stores import Rows
from pushforward.errors import DataError

__all__ = ["open_file"]

_CHANNELS = {"1": 1, "L": 1, "I": 1, "F": 1, "I;16": 1, "I;16B": 1, "I;16L": 1, "LA": 1, "RGB": 3, "RGBA": 3, "P": 3}


def open_file(path: Path, field: str | None = None) -> Contents:
    """Picture in a file: a map of grey levels, or three channels of colour. Transparency is left out.

    Raises:
        DataError: if it cannot be read, or has other channels.
    """
    if field is not None:
        raise DataError(f"{path.name} is a picture without an array {field!r}; leave the field out")
    try:
        with Image.open(path) as image:
            mode, (width, height) = image.mode, image.size
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
        raise DataError(f"{path.name} cannot be read as a picture ({error})") from None
    if mode not in _CHANNELS:
        raise DataError(f"{path.name} has the channels {mode}; give grey or RGB pictures")
    note = {"LA": "transparency is left out", "RGBA": "transparency is left out", "P": "palettes are read as RGB"}
    return Contents(
        _Picture(path, mode, (height, width)),
        kind="field",
        one_member=False,
        notes=(f"{path.suffix} pictures: {note[mode]}",) if mode in note else (),
    )


class _Picture:
    """Single member of a file, decoded on demand."""

    def __init__(self, path: Path, mode: str, grid: tuple[int, int]) -> None:
        self._path, self._mode, self._channels = path, mode, _CHANNELS[mode]
        self.label = path.name
        self.shape: tuple[int, ...] = (1, *grid) if self._channels == 1 else (1, self._channels, *grid)
        whole = np.uint16 if mode.startswith("I;16") else np.uint8
        self.dtype = np.dtype(np.float32 if mode in ("F", "I") else whole)

    def read(self, rows: Rows) -> NDArray[Any]:
        return np.stack([self._decoded()] * len(rows))

    def window(self, row: int, window: tuple[slice, ...]) -> NDArray[Any]:
        return self._decoded()[window]

    def where(self, row: int) -> str:
        return self.label

    def _decoded(self) -> NDArray[Any]:
        try:
            with Image.open(self._path) as image:
                plain = {"LA": "L", "RGBA": "RGB", "P": "RGB", "1": "L"}.get(self._mode)
                values = np.asarray(image.convert(plain) if plain else image)
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(f"{self.label} cannot be read as a picture ({error}); it may be truncated") from None
        return values if self._channels == 1 else np.moveaxis(values, -1, 0)
