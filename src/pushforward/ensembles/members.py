"""Members in the user's units, as float32 arrays of their Space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pushforward.ensembles.sources import Rows, Source, as_float32

__all__ = ["Generators", "Members", "Part", "Whole"]

Generators = np.random.Generator | Sequence[np.random.Generator] | None
"""What moves crops: one source of randomness for a batch, one for each of its members, or none."""


class Part(NamedTuple):
    """One part of a split.

    Attributes:
        members: of the part.
        rows: for each of them, a member of the whole that has the same condition.
        groups: of the part's members.
    """

    members: Members
    rows: Rows
    groups: Rows


class Members(Protocol):
    """What an `Ensemble` reads from: whole members, or crops of them."""

    source: Source

    def __len__(self) -> int: ...

    def read(self, index: Rows, rng: Generators) -> NDArray[np.float32]:
        """Members at ``index``, shape ``(len(index), *space.shape)``; ``rng`` moves crops."""
        ...

    def subset(self, index: Rows) -> Members: ...

    def split(self) -> tuple[Part, Part, Part] | None:
        """Training, validation and test parts, or None where groups of members are to be split."""
        ...

    def where(self, index: int) -> str:
        """How a message names a member."""
        ...


class Whole:
    """The members of a source as they are.

    Arguments:
        source: with members of any shape that holds as many numbers as ``shape``.
        shape: of one member.
        channels_last: whether the last axis of a stored member is its channel.
        rows: of the source, in order; None for all.
    """

    def __init__(
        self, source: Source, shape: tuple[int, ...], *, channels_last: bool = False, rows: Rows | None = None
    ) -> None:
        self.source = source
        self.shape = shape
        self.channels_last = channels_last
        self.rows = np.arange(source.shape[0]) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: Rows, rng: Generators = None) -> NDArray[np.float32]:
        values = self.source.read(self.rows[index])
        if self.channels_last:
            values = np.moveaxis(values, -1, 1)
        return as_float32(values).reshape(len(index), *self.shape)

    def subset(self, index: Rows) -> Whole:
        return Whole(self.source, self.shape, channels_last=self.channels_last, rows=self.rows[index])

    def split(self) -> None:
        return None

    def where(self, index: int) -> str:
        return self.source.where(int(self.rows[index]))
