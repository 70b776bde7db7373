"""Stores of members: one interface to arrays in memory and to the files of every format.

A store is a sequence of equally shaped arrays, read by row. Nothing is mapped into memory: pages of a mapped file count
as resident, so that an ensemble larger than memory would appear to be loaded. Rows are read at their position in the
file (`pread`), without a lock or a shared file offset, so several threads may read at once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pushforward.errors import DataError

__all__ = [
    "SMALL",
    "ChannelStore",
    "ComplexParts",
    "InMemory",
    "Joined",
    "OneMember",
    "Positional",
    "Rows",
    "Store",
    "as_array",
    "as_float32",
    "in_memory_if_small",
    "size_in_bytes",
    "unmasked",
]

Rows = NDArray[np.int64]

SMALL = 256 * 2**20
"""Largest size in bytes of a store held in memory."""
_EXACT = 2**16
"""Largest number that float32 resolves to better than 1/100."""
_FIRST = 64
"""Number of members inspected for large numbers."""


class Store(Protocol):
    """Equally shaped members, read by row.

    Attributes:
        shape: shape ``(members, *member)``.
        dtype: type of the stored numbers.
        label: name in messages: the name of the file, or ``array``.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    label: str

    def read(self, rows: Rows) -> NDArray[Any]:
        """Members at ``rows``, shape ``(len(rows), *member)``."""
        ...

    def window(self, row: int, window: tuple[slice, ...]) -> NDArray[Any]:
        """Part of one member: ``member[window]``, with a slice per axis."""
        ...

    def where(self, row: int) -> str:
        """Name of the member in messages: ``member 17 of maps.npy``."""
        ...


def size_in_bytes(source: Store) -> int:
    """Size of the whole store in memory."""
    return prod(source.shape) * source.dtype.itemsize


def in_memory_if_small(source: Store, limit: int = SMALL) -> Store:
    """Same members, held in memory if they need no more than ``limit`` bytes.

    They are held as float32 unless numbers of eight bytes are too large for float32 to resolve (see `precision`), which
    keep their type.
    """
    if isinstance(source, InMemory) or size_in_bytes(source) > limit:
        return source
    values = source.read(np.arange(source.shape[0]))
    wide = values.dtype.itemsize == 8 and values.dtype.kind in "iuf" and np.abs(values[:_FIRST]).max() > _EXACT
    return InMemory(values if wide else as_float32(values), source.label, origin=source)


def unmasked(values: ArrayLike) -> NDArray[Any]:
    """Array with NaN for masked values."""
    if not isinstance(values, np.ma.MaskedArray) or not np.ma.is_masked(values):
        return np.asarray(values)
    return np.asarray(np.ma.filled(values.astype(np.result_type(values.dtype, np.float32)), np.nan))


_WHOLE = 2**53
"""Magnitude up to which float64 holds every whole number."""


def as_array(values: Any, label: str) -> NDArray[Any]:
    """Array of the user, or tensor of any layout and type, with NaN for masked values.

    Raises:
        DataError: if its members differ in shape.
    """
    if hasattr(values, "to_dense"):  # a tensor; torch is not imported to write a file
        dense = values.detach().cpu().to_dense()
        values = dense.float() if str(dense.dtype) == "torch.bfloat16" else dense.resolve_conj().resolve_neg()
    try:
        return unmasked(values)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{label} is not an array of numbers whose members have one shape ({error}); series of "
            "different lengths are filled with rows of NaN at their last time"
        ) from None


def exact(values: NDArray[Any], label: str) -> NDArray[Any]:
    """The values, after a check that float64 can hold whole numbers among them.

    Raises:
        DataError: if whole numbers are so large that float64 would round them.
    """
    whole = values.dtype.kind in "iu" and values.dtype.itemsize == 8 and values.size
    if whole and max(int(values.max()), -int(values.min())) > _WHOLE:
        raise DataError(
            f"{label} holds whole numbers beyond 2^53 (such as {int(values.flat[0])}), whose differences would be "
            "rounded; subtract an offset that they share, or leave the column out (--columns)"
        )
    return values


def as_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """Values as native float32; those out of range become infinite, which the checks detect."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(values, dtype=np.float32)


class InMemory:
    """An array in memory, shape ``(members, *member)``."""

    def __init__(self, values: NDArray[Any], label: str = "array", origin: Store | None = None) -> None:
        self.values = values
        self.shape = values.shape
        self.dtype = values.dtype if origin is None else origin.dtype
        self.label = label
        self._origin = origin

    def read(self, rows: Rows) -> NDArray[Any]:
        return self.values[rows]

    def window(self, row: int, window: tuple[slice, ...]) -> NDArray[Any]:
        return self.values[row][window]

    def where(self, row: int) -> str:
        return f"member {row} of {self.label}" if self._origin is None else self._origin.where(row)


class ComplexParts:
    """Complex members as two channels, real and imaginary part, before the axes of a grid.

    Complex vectors become vectors of twice the length, real parts first.
    """

    def __init__(self, source: Store) -> None:
        self._source = source
        self.label, self.dtype = source.label, np.empty(0, source.dtype).real.dtype
        self.shape = (source.shape[0], *self._stacked(np.empty(source.shape[1:], bool)).shape)

    def read(self, rows: Rows) -> NDArray[Any]:
        return np.stack([self._stacked(each) for each in self._source.read(rows)])

    def window(self, row: int, window: tuple[slice, ...]) -> NDArray[Any]:
        return self.read(np.array([row]))[0][window]

    def where(self, row: int) -> str:
        return self._source.where(row)

    @staticmethod
    def _stacked(values: NDArray[Any]) -> NDArray[Any]:
        cube = values.ndim == 3 and len(set(values.shape)) == 1
        join = np.stack if values.ndim == 2 or cube else np.concatenate
        return join([np.atleast_1d(values.real), np.atleast_1d(values.imag)])


class Positional:
    """Numbers stored contiguously in a file, from an offset, in C order.

    The data of .npy files, of FITS images, of arrays stored uncompressed in .npz files and of contiguous HDF5 datasets
    are stored this way.

    Arguments:
        path: path of the file.
        offset: offset of the first number, in bytes.
        dtype: stored type, in either byte order; the fields of a structured type become columns.
        shape: shape ``(members, *member)``.
        scale, zero: constants of the physical value ``zero + scale * stored``, as in FITS.

    Raises:
        DataError: if the file ends before the last number.
    """

    def __init__(
        self,
        path: Path,
        offset: int,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        *,
        scale: float = 1.0,
        zero: float = 0.0,
    ) -> None:
        self.path = path
        self.label = path.name
        self._offset = offset
        self._stored = dtype
        self._affine = (scale, zero) if (scale, zero) != (1.0, 0.0) else None
        self.dtype = np.dtype(np.float64) if self._affine else dtype.newbyteorder("=")
        self.shape = shape
        self._bytes = prod(shape[1:]) * dtype.itemsize
        needed, found = offset + shape[0] * self._bytes, path.stat().st_size
        if found < needed:
            raise DataError(
                f"{path.name} is truncated: its header promises {needed:,} bytes, but the file has {found:,}; "
                "copy or download it again"
            )

    def read(self, rows: Rows) -> NDArray[Any]:
        values = np.empty((len(rows), *self.shape[1:]), self._stored)
        flat = values.view(np.uint8).reshape(len(rows), self._bytes)
        with self.path.open("rb", buffering=0) as file:
            for row, first, last in _runs(rows):
                self._fill(file.fileno(), flat[first:last].reshape(-1), self._offset + row * self._bytes)
        return self._physical(values)

    def window(self, row: int, window: tuple[slice, ...]) -> NDArray[Any]:
        """Read whole slabs of the first axis, and cut the window out of them."""
        member = self.shape[1:]
        start, stop, _ = window[0].indices(member[0])
        values = np.empty((stop - start, *member[1:]), self._stored)
        slab = self._bytes // member[0]
        with self.path.open("rb", buffering=0) as file:
            position = self._offset + row * self._bytes + start * slab
            self._fill(file.fileno(), values.reshape(-1).view(np.uint8), position)
        return self._physical(values[(slice(None), *window[1:])])

    def where(self, row: int) -> str:
        return f"member {row} of {self.label}" if self.shape[0] > 1 else self.label

    def _physical(self, values: NDArray[Any]) -> NDArray[Any]:
        if self._affine is None:
            return values.astype(self.dtype, copy=False)
        scale, zero = self._affine
        return zero + scale * values.astype(np.float64)

    def _fill(self, descriptor: int, buffer: NDArray[np.uint8], position: int) -> None:
        """Read until the buffer is full: a system call may return fewer bytes than requested."""
        view, done = memoryview(buffer.data), 0
        while done < len(view):
            got = _read_at(descriptor, view[done:], position + done)
            if got == 0:
                raise DataError(
                    f"{self.label} ended while it was being read; check whether it was changed or truncated"
                )
            done += got


class Joined:
    """Concatenated sources, such as the files of a glob.

    Raises:
        DataError: if their members differ in shape.
    """

    def __init__(self, sources: Sequence[Store], label: str) -> None:
        self.sources = list(sources)
        self.label = label
        first = self.sources[0]
        for source in self.sources[1:]:
            if source.shape[1:] != first.shape[1:]:
                raise DataError(
                    f"members differ in shape: {first.shape[1:]} in {first.label} and {source.shape[1:]} "
                    f"in {source.label}; read them as separate ensembles, or, if they are series of different "
                    "lengths, fill the shorter ones with rows of NaN at their last time"
                )
        self.counts = [source.shape[0] for source in self.sources]
        self._starts = np.concatenate([[0], np.cumsum(self.counts)])
        self.shape = (int(self._starts[-1]), *first.shape[1:])
        self.dtype = np.result_type(*(source.dtype for source in self.sources))

    def read(self, rows: Rows) -> NDArray[Any]:
        values = np.empty((len(rows), *self.shape[1:]), self.dtype)
        which = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(which):
            chosen = np.flatnonzero(which == number)
            values[chosen] = self.sources[number].read(rows[chosen] - self._starts[number])
        return values

    def window(self, row: int, window: tuple[slice, ...]) -> NDArray[Any]:
        number = self._which(row)
        return self.sources[number].window(row - int(self._starts[number]), window)

    def where(self, row: int) -> str:
        number = self._which(row)
        return self.sources[number].where(row - int(self._starts[number]))

    def _which(self, row: int) -> int:
        return int(np.searchsorted(self._starts, row, side="right")) - 1


class ChannelStore:
    """Several sources of the same members as channels, shape ``(members, channels, *member)``.

    Raises:
        DataError: if the sources differ in shape.
    """

    def __init__(self, sources: Sequence[Store], label: str) -> None:
        self.sources = list(sources)
        self.label = label
        shapes = {source.shape for source in self.sources}
        if len(shapes) > 1:
            described = ", ".join(f"{source.shape} in {source.label}" for source in self.sources)
            raise DataError(f"channels of the same simulations differ in shape: {described}")
        (shape,) = shapes
        self.shape = (shape[0], len(self.sources), *shape[1:])
        self.dtype = np.result_type(*(source.dtype for source in self.sources))

    def read(self, rows: Rows) -> NDArray[Any]:
        return np.stack([source.read(rows) for source in self.sources], axis=1)

    def window(self, row: int, window: tuple[slice, ...]) -> NDArray[Any]:
        return np.stack([source.window(row, window[1:]) for source in self.sources[window[0]]])

    def where(self, row: int) -> str:
        return f"member {row} of {self.label}"


class OneMember:
    """Source whose whole array is one member, shape ``(1, *source.shape)``."""

    def __init__(self, source: Store) -> None:
        self.source = source
        self.shape = (1, *source.shape)
        self.dtype = source.dtype
        self.label = source.label

    def read(self, rows: Rows) -> NDArray[Any]:
        member = self.source.read(np.arange(self.source.shape[0]))
        return np.broadcast_to(member, (len(rows), *member.shape))

    def window(self, row: int, window: tuple[slice, ...]) -> NDArray[Any]:
        rows = np.arange(self.source.shape[0])[window[0]]
        return self.source.read(rows)[(slice(None), *window[1:])]

    def where(self, row: int) -> str:
        return self.label


def _runs(rows: Rows) -> list[tuple[int, int, int]]:
    """Runs of consecutive rows, for fewer and longer reads: first row, and start and end of each run in ``rows``."""
    if len(rows) == 0:
        return []
    edges = np.flatnonzero(np.diff(rows) != 1) + 1
    starts, ends = [0, *edges.tolist()], [*edges.tolist(), len(rows)]
    return [(int(rows[start]), start, end) for start, end in zip(starts, ends, strict=True)]


def _read_at(descriptor: int, view: memoryview, position: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [view], position)
    os.lseek(descriptor, position, os.SEEK_SET)
    content = os.read(descriptor, len(view))
    view[: len(content)] = content
    return len(content)
