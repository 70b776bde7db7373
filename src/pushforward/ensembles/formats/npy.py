"""NumPy's .npy: one array, read by position."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from pushforward.ensembles.formats.contents import Contents
from pushforward.ensembles.formats.records import record_table
from pushforward.ensembles.stores import SMALL, InMemory, Positional, Store, size_in_bytes
from pushforward.errors import DataError
from pushforward.simulate.simulated import Simulated
from pushforward.spaces import Space

__all__ = ["array_at", "flat_maps", "open_file", "write_file"]


def open_file(path: Path, field: str | None = None) -> Contents:
    """Array of a .npy file. A structured array is a table with one column per field of the type.

    Raises:
        DataError: if the header cannot be read, the array holds Python objects, or the file is truncated.
    """
    with path.open("rb") as file:
        source = array_at(file, path, path.name)
    if source.dtype.names:
        return record_table(source.read(np.arange(source.shape[0])), path.name, path.name)
    return Contents(source)


def array_at(file: IO[bytes], path: Path, label: str) -> Store:
    """Array whose .npy header starts at the file's position.

    Raises:
        DataError: if the header cannot be read, the array holds Python objects, or the file is truncated.
    """
    try:
        version = npy_format.read_magic(file)
        read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"the header of {label} cannot be read ({error}); it may be truncated or damaged") from None
    if dtype.hasobject:
        raise DataError(
            f"{label} holds pickled Python objects (dtype object), which are never loaded: a pickle can run any code; "
            "save a plain array of numbers"
        )
    if fortran and len(shape) > 1:
        return _fortran(path, file.tell(), dtype, shape, label)
    source = Positional(path, file.tell(), dtype, shape or (1,))
    source.label = label
    return source


def _fortran(path: Path, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...], label: str) -> Store:
    """Read a small array in Fortran order whole: the numbers of one member are spread over the file."""
    transposed = Positional(path, offset, dtype, shape[::-1])
    if size_in_bytes(transposed) > 4 * SMALL:
        raise DataError(
            f"{label} is stored in Fortran order, so that each member is spread over the file; "
            "save it again with numpy.ascontiguousarray"
        )
    return InMemory(transposed.read(np.arange(shape[-1])).T, label)


def write_file(simulated: Simulated, path: Path) -> None:
    """Write members as one array, maps of one channel without the channel axis."""
    np.save(path, flat_maps(simulated.x, simulated.space), allow_pickle=False)


def flat_maps(x: NDArray[np.float32], space: Space) -> NDArray[np.float32]:
    """Drop the channel axis of maps; a cube keeps it, since (N, D, H, W) is read as maps of D channels."""
    return x[:, 0] if len(space.grid) == 2 and x.shape[1] == 1 else x
