"""Members in the user's units, as arrays of their Space: float32, or float64 if differences need it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pushforward.ensembles.precision import origin_of
from pushforward.ensembles.stores import Rows, Store, as_float32, exact
from pushforward.spaces import Space

__all__ = ["Generators", "Members", "Subset", "Whole"]

Generators = np.random.Generator | Sequence[np.random.Generator] | None
"""Random generators that shift crops: one per batch, one per member, or None."""

_LOOKED_AT = 64 * 2**20
"""Bytes of members inspected for large offsets."""


class Subset(NamedTuple):
    """Some of the members.

    Attributes:
        members: the members.
        rows: for each of them, the index of a member of the whole with the same condition.
        groups: group of each member.
    """

    members: Members
    rows: Rows
    groups: Rows


class Members(Protocol):
    """Store that an `Ensemble` reads: whole members, or crops of them."""

    source: Store

    def __len__(self) -> int: ...

    def read(self, index: Rows, rng: Generators) -> NDArray[np.floating]:
        """Members at ``index``, shape ``(len(index), *space.shape)``; ``rng`` shifts crops."""
        ...

    def subset(self, index: Rows) -> Members: ...

    def split(self) -> tuple[Subset, Subset, Subset] | None:
        """Training, validation and test parts, or None if members are to be split by group."""
        ...

    def where(self, index: int) -> str:
        """Name of a member in messages."""
        ...


class Whole:
    """Whole members of a source.

    Arguments:
        source: store with members of as many numbers as ``shape``.
        shape: shape of one member.
        channels_last: whether the last axis of a stored member is its channel.
        rows: rows of the source, in order; None for all.
        wide: whether members are read as float64 (see `precision`).
    """

    def __init__(
        self,
        source: Store,
        shape: tuple[int, ...],
        *,
        channels_last: bool = False,
        rows: Rows | None = None,
        wide: bool = False,
    ) -> None:
        self.wide = wide
        self.source = source
        self.shape = shape
        self.channels_last = channels_last
        self.rows = np.arange(source.shape[0]) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: Rows, rng: Generators = None) -> NDArray[np.floating]:
        values = exact(self.source.read(self.rows[index]), self.source.label)
        if self.channels_last:
            values = np.moveaxis(values, -1, 1)
        values = np.ascontiguousarray(values, np.float64) if self.wide else as_float32(values)
        return values.reshape(len(index), *self.shape)

    def subset(self, index: Rows) -> Whole:
        return Whole(self.source, self.shape, channels_last=self.channels_last, rows=self.rows[index], wide=self.wide)

    def widened(self, space: Space) -> Whole:
        """The same members, read as float64 if the differences of a channel need it."""
        if self.source.dtype.itemsize < 8 or len(self) == 0:
            return self
        wide = Whole(self.source, self.shape, channels_last=self.channels_last, rows=self.rows, wide=True)
        size = max(1, 8 * int(np.prod(self.shape)))
        some = np.unique(np.linspace(0, len(self) - 1, max(2, min(len(self), _LOOKED_AT // size))).astype(np.int64))
        return wide if origin_of(space, wide.read(some)) else self

    def split(self) -> None:
        return None

    def where(self, index: int) -> str:
        return self.source.where(int(self.rows[index]))
