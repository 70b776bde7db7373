"""Missing values: NaN, masked values, and sentinels that stand for them, such as -99, -9999 and 1e20."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import singledispatch
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pushforward.ensembles.channels import channel_axis, channel_name, time_channels
from pushforward.ensembles.conditions import Conditions
from pushforward.ensembles.formats import find_files, open_file
from pushforward.ensembles.learnt_gaps import LearntGaps, lacking_channels
from pushforward.ensembles.shapes import Layout
from pushforward.ensembles.stores import Rows, Store
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Field, Series, Space, Vector

__all__ = ["SENTINELS", "Gaps", "sentinel_among"]

SENTINELS = (-9.0, -99.0, -999.0, -9999.0, -99999.0, -32768.0, 9999.0, 99999.0, -1.6375e30, 1e20, -1e20, 1e30, -1e30)
"""Numbers that stand for missing values in catalogues, sky maps, climate models and surveys."""
_LOOKED_AT = 64 * 2**20
_HOW = "give --missing drop, fill or mask (docs/your-data.md)"


def sentinel_among(values: NDArray[Any]) -> float | None:
    """Number of `SENTINELS` that stands for missing values: repeated, and far from all other values.

    >>> sentinel_among(np.array([15.2, 16.1, -99.0, 14.8, -99.0]))
    -99.0

    It is far if its distance from the others exceeds their range.
    """
    seen = values[np.isfinite(values)]
    if len(seen) < 3:
        return None
    for end in (seen.min(), seen.max()):
        sentinel = next((each for each in SENTINELS if np.isclose(end, each, rtol=1e-6, atol=0)), None)
        if sentinel is None:
            continue
        others = seen[seen != end]
        if len(others) == 0 or len(others) > len(seen) - 2:
            continue
        spread = max(float(others.max()) - float(others.min()), 1e-30)
        if np.abs(others - end).min() > spread and len(np.unique(others)) > 1:
            return float(sentinel)
    return None


@dataclass(frozen=True)
class Gaps:
    """Treatment of missing values.

    Attributes:
        missing: one of `reading.MISSING`, or None to refuse them.
        mask: array, or a file with one, that is not 0 where a value is missing; None if there is none.
        learnt: treatment of the training data, for further data of a run; None for the first.
    """

    missing: str | None = None
    mask: Any = None
    learnt: LearntGaps | None = None

    @classmethod
    def of(cls, missing: str | Mapping[str, Any] | None, mask: Any = None) -> Self:
        """Treatment by its name, or as a run has learnt it (`LearntGaps.to_dict`)."""
        if not isinstance(missing, Mapping):
            return cls(missing, mask)
        learnt = LearntGaps.of(missing)
        return cls(learnt.missing, mask, learnt)

    def mended(
        self, source: Store, layout: Layout, rows: Rows, label: str
    ) -> tuple[Store, Layout, Rows, tuple[str, ...], LearntGaps | None]:
        """Source, layout and rows after the treatment, notes, and the treatment for further data if there is one.

        Raises:
            DataError: if there are missing values or sentinels and no treatment is given; if no member is left, or a
                mask does not match.
        """
        space = layout.space
        if source.dtype.kind not in "fiu" or self.missing == "keep":
            if self.mask is not None:
                raise UsageError("--mask marks missing values, but --missing keep ignores them; leave out one")
            return source, layout, rows, (), None
        hidden = self._hidden(source, layout, label)
        some = _some(source, layout, rows)
        if self.learnt is None:
            _refuse_empty_columns(space, some, label)
        names = [channel_name(space, number) for number in range(some.shape[channel_axis(space)])]
        known = {} if self.learnt is None else self.learnt.sentinels
        sentinels = _sentinels(space, some, label) | {n: known[each] for n, each in enumerate(names) if each in known}
        if self.missing is None:
            _refuse(space, some, sentinels, hidden, label)
            return source, layout, rows, (), None
        marked = Marked(source, layout, tuple(sentinels.values()), tuple(sentinels), hidden)
        lacking = (
            np.concatenate([_lacking(space, marked.read(part)) for part in _blocks(rows, source)])
            if len(rows)
            else np.zeros((0, len(names)), bool)
        )
        gap = lacking.any(1)
        count = int(gap.sum())
        plain = replace(layout, channels_last=False)
        if self.missing == "drop":
            if not count:
                return source, layout, rows, ("no value is missing",), None
            if gap.all():
                raise DataError(f"every member of {label} lacks values; give --missing fill or mask")
            left_out = f"{count} of {len(rows)} members of {label} lack values: left out"
            return marked, plain, rows[~gap], (left_out,), None
        if keeps_gaps(space):
            return marked, plain, rows, (f"{count} of {len(rows)} members of {label} have gaps",), None
        notes: tuple[str, ...]
        notes = (f"{count} of {len(rows)} members of {label} lack values",) if count else ("no value is missing",)
        absent = lacking_channels(space, lacking.sum(0))
        learnt = self.learnt
        if learnt is None:
            stays = self.missing == "mask" and has_columns(space)
            fill = {} if stays else dict(zip(names, _medians(space, marked, rows).tolist(), strict=True))
            named = {names[number]: value for number, value in sentinels.items()}
            learnt = LearntGaps(str(self.missing), tuple(absent), fill, named)
        learnt.check(absent, len(rows), label)
        marked.fill = np.array([learnt.fill.get(name, np.nan) for name in names]) if learnt.fill else None
        flagged = learnt.numbers(names) if learnt.keeps else ()
        if not count and not flagged:
            return source, layout, rows, notes, learnt
        space = with_flags(space, flagged) if flagged else space
        if marked.fill is not None:
            marked.flagged, marked.shape = flagged, (source.shape[0], *space.shape)
            flags = "; one flag channel each, 1 where a value was missing" if flagged else ""
            notes = (*notes, f"values in their place: the medians of the training data{flags}")
        else:
            shown = ", ".join(names[number] for number in flagged)
            notes = (*notes, f"missing is a value like others in {shown}: samples hold NaN there")
        return marked, replace(plain, space=space), rows, notes, learnt

    def with_conditions(self, conditions: Conditions, rows: Rows, label: str) -> tuple[Rows, tuple[str, ...]]:
        """Rows with complete conditions; other rows are left out if incomplete members are dropped.

        Raises:
            DataError: if conditions are missing and no treatment is given.
        """
        if self.missing == "keep":
            return rows, ()
        values = conditions.values[rows]
        lacks = ~np.isfinite(values)
        counts = {}
        for column, parameter in enumerate(conditions.parameters):
            sentinel = None if parameter.classes else sentinel_among(values[:, column])
            if sentinel is not None:
                lacks[:, column] |= np.isclose(values[:, column], sentinel)
            if lacks[:, column].any():
                stands = " (NaN or infinite)" if sentinel is None else f" ({sentinel:g})"
                counts[parameter.name] = f"{parameter.name!r} in {int(lacks[:, column].sum())} of {len(rows)}{stands}"
        if not counts:
            return rows, ()
        described = ", ".join(counts.values())
        if self.missing != "drop":
            raise DataError(
                f"conditions of {label} are missing: {described}; --missing drop leaves out such members, --missing "
                "keep uses the numbers unchanged"
            )
        complete = rows[~lacks.any(1)]
        if len(complete) == 0:
            raise DataError(f"every member of {label} lacks a condition: {described}")
        return complete, (f"conditions are missing: {described}; such members are left out",)

    def _hidden(self, source: Store, layout: Layout, label: str) -> NDArray[np.bool_] | None:
        """Mask in the shape of the members, or with one row for all."""
        if self.mask is None:
            return None
        if self.missing is None:
            raise UsageError(f"--mask marks missing values; also {_HOW}")
        mask = _array(self.mask)
        member, space = source.shape[1:], layout.space
        if mask.shape == source.shape:
            whole = mask
        elif mask.shape == member:
            whole = mask[None]
        elif mask.shape == space.shape[1:]:
            return np.broadcast_to(mask != 0, (1, *space.shape))
        else:
            raise DataError(
                f"the mask has shape {mask.shape}, but {label} has members of shape {member}; give a mask of one "
                f"member, or one of shape {source.shape}"
            )
        whole = np.moveaxis(whole, -1, 1) if layout.channels_last else whole
        return (whole != 0).reshape(len(whole), *space.shape)


class Marked:
    """Members in the shape of their Space with NaN, or a median, where values are missing.

    Arguments:
        source: store of the members.
        layout: layout of its members.
        sentinels: numbers that stand for missing values.
        channels: channel of each sentinel.
        hidden: True where values are missing, shape ``(members or 1, *space.shape)``.
    """

    def __init__(
        self,
        source: Store,
        layout: Layout,
        sentinels: tuple[float, ...] = (),
        channels: tuple[int, ...] = (),
        hidden: NDArray[np.bool_] | None = None,
    ) -> None:
        self._source, self._layout, self._hidden = source, layout, hidden
        self._sentinels = tuple(zip(channels, sentinels, strict=True))
        self.fill: NDArray[np.float64] | None = None
        self.flagged: tuple[int, ...] = ()
        self.shape = (source.shape[0], *layout.space.shape)
        self.dtype = np.dtype(np.float64 if source.dtype.itemsize > 4 else np.float32)
        self.label = source.label

    def read(self, rows: Rows) -> NDArray[Any]:
        space = self._layout.space
        values = self._source.read(rows)
        values = np.moveaxis(values, -1, 1) if self._layout.channels_last else values
        values = np.array(values, dtype=self.dtype).reshape(len(rows), *space.shape)
        axis = channel_axis(space)
        channels = np.moveaxis(values, axis, 0)
        for channel, sentinel in self._sentinels:
            channels[channel][np.isclose(channels[channel], sentinel, rtol=1e-6, atol=0)] = np.nan
        if self._hidden is not None:
            values[np.broadcast_to(self._hidden if len(self._hidden) == 1 else self._hidden[rows], values.shape)] = (
                np.nan
            )
        if self.fill is None:
            return values
        gaps = np.isnan(channels)
        for channel, median in enumerate(self.fill):
            channels[channel][gaps[channel]] = median
        flags = np.moveaxis(gaps[list(self.flagged)].astype(values.dtype), 0, axis)
        return np.concatenate([values, flags], axis) if self.flagged else values

    def window(self, row: int, window: tuple[slice, ...]) -> NDArray[Any]:
        return self.read(np.array([row]))[0][window]

    def where(self, row: int) -> str:
        return self._source.where(row)


@singledispatch
def keeps_gaps(space: Space) -> bool:
    """Whether models of such members accept missing values."""
    return False


@keeps_gaps.register
def _(space: Series) -> bool:
    return True


@singledispatch
def with_flags(space: Space, flagged: tuple[int, ...]) -> Space:
    """Space of members with gaps: of columns, or of a field with one flag channel per channel that lacks values.

    Raises:
        UsageError: if such members cannot have them.
    """
    raise UsageError("--missing mask is for fields, tables and vectors; give --missing drop or fill")


@with_flags.register
def _(space: Vector, flagged: tuple[int, ...]) -> Space:
    return replace(space, gaps=flagged)


@with_flags.register
def _(space: Field, flagged: tuple[int, ...]) -> Space:
    return replace(space, channels=space.channels + len(flagged))


def _refuse(
    space: Space, some: NDArray[Any], sentinels: dict[int, float], hidden: NDArray[np.bool_] | None, label: str
) -> None:
    channels = np.moveaxis(some, channel_axis(space), 0).reshape(some.shape[channel_axis(space)], -1)
    if sentinels:
        shown = ", ".join(
            f"{channel_name(space, number)} is {value:g} in "
            f"{int(np.isclose(channels[number], value, rtol=1e-6).sum())} of {channels.shape[1]} values"
            for number, value in sentinels.items()
        )
        raise DataError(f"{label}: {shown}, which looks missing; {_HOW}, or keep if it is a value")
    if not has_columns(space):
        return
    counts = {number: int(np.isnan(values).sum()) for number, values in enumerate(channels)}
    if any(counts.values()):
        shown = ", ".join(f"{channel_name(space, number)} in {count}" for number, count in counts.items() if count)
        left = int((~np.isnan(channels).any(0)).sum())
        raise DataError(
            f"{label} lacks values: {shown} of {channels.shape[1]} members; {_HOW}; drop leaves {left} members"
        )


def _refuse_empty_columns(space: Space, some: NDArray[Any], label: str) -> None:
    if not has_columns(space):
        return
    empty = np.flatnonzero(np.isnan(np.moveaxis(some, channel_axis(space), 0)).reshape(some.shape[1], -1).all(1))
    if len(empty):
        shown = ", ".join(channel_name(space, int(number)) for number in empty)
        raise DataError(f"{label} has no value at all in {shown}: name the columns to read with --columns")


@singledispatch
def has_columns(space: Space) -> bool:
    """Whether members are rows of a table, whose columns a message can name."""
    return False


@has_columns.register
def _(space: Vector) -> bool:
    return True


def _sentinels(space: Space, some: NDArray[Any], label: str) -> dict[int, float]:
    """Sentinel of each channel that has one."""
    sentinels: dict[int, float] = {}
    for number, values in enumerate(np.moveaxis(some, channel_axis(space), 0)):
        sentinel = sentinel_among(values.reshape(-1)) if number >= time_channels(space) else None
        if sentinel is not None:
            sentinels[number] = sentinel
    return sentinels


def _medians(space: Space, source: Marked, rows: Rows) -> NDArray[np.float64]:
    some = source.read(rows[_spread(len(rows), source)])
    channels = np.moveaxis(some, channel_axis(space), 0).reshape(some.shape[channel_axis(space)], -1)
    absent = np.isnan(channels).all(1)
    if absent.any():
        raise DataError(f"{channel_name(space, int(np.argmax(absent)))} of {source.label} is missing in every member")
    return np.nanmedian(channels, axis=1)


def _some(source: Store, layout: Layout, rows: Rows) -> NDArray[Any]:
    return Marked(source, layout).read(rows[_spread(len(rows), source)])


def _spread(count: int, source: Store) -> Rows:
    """Rows of the inspected members: all if they are small, otherwise evenly spread."""
    size = max(1, int(np.prod(source.shape[1:])) * source.dtype.itemsize)
    return np.unique(np.linspace(0, count - 1, max(1, min(count, _LOOKED_AT // size))).astype(np.int64))


def _blocks(rows: Rows, source: Store) -> list[Rows]:
    size = max(1, int(np.prod(source.shape[1:])) * source.dtype.itemsize)
    return np.array_split(rows, max(1, len(rows) * size // _LOOKED_AT))


def _lacking(space: Space, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each channel of each member lacks a value, shape ``(members, channels)``."""
    gaps = np.moveaxis(np.isnan(values), channel_axis(space), 1)
    return gaps.reshape(*gaps.shape[:2], -1).any(2)


def _array(mask: Any) -> NDArray[Any]:
    if not isinstance(mask, str | Path):
        return np.asarray(mask)
    (path,) = find_files(mask)
    source = open_file(path).source
    values = source.read(np.arange(source.shape[0]))
    return np.asarray(values)
