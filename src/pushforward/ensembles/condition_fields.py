"""Conditions that are fields: another field of the same box with each member, on its grid or on a coarser one.

Member and condition are read side by side as channels of one array,

    (members, channels + condition channels, *grid),

so that whatever is done to one of them is done to both: they are split, cropped, moved, turned and reflected together.
A coarser condition is refined to the grid of the members by repeating its cells, as it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from pushforward.ensembles.members import Members, Whole
from pushforward.ensembles.sources import Rows, Source, as_float32
from pushforward.errors import DataError
from pushforward.spaces import Field, Space

__all__ = [
    "Beside",
    "beside",
    "condition_space",
    "cropped_space",
    "joint_space",
    "refined",
    "without_condition",
]


class Beside:
    """Members and the fields that they are given with, as channels of one source.

    Arguments:
        members: of fields; the source that they are read from has as many members as ``condition``.
        condition: shape ``(members, *grid)``, with channels in front of the grid or behind it.
        space: of the members, with its condition.
    """

    def __init__(self, members: Whole, condition: Source, space: Field) -> None:
        assert space.condition is not None
        self.source, self.condition, self.space = members.source, condition, space
        self.shape = (members.source.shape[0], *joint_space(space).shape)
        self.dtype = np.dtype(np.float32)
        self.label = members.source.label
        self.channels_last = members.channels_last
        self._condition_last = _channels_last(condition.shape, space.condition)
        self._factors = _factors(space.condition.grid, space.grid)

    def read(self, rows: Rows) -> NDArray[Any]:
        values = Whole(self.source, self.space.shape, channels_last=self.channels_last).read(rows)
        space = self.space.condition
        assert space is not None
        condition = Whole(self.condition, space.shape, channels_last=self._condition_last).read(rows)
        return np.concatenate([values, refined(condition, self.space.grid)], axis=1)

    def window(self, row: int, window: tuple[slice, ...]) -> NDArray[Any]:
        cells = window[1:]
        coarse = tuple(slice(w.start // f, -(-w.stop // f)) for w, f in zip(cells, self._factors, strict=True))
        condition = _cut(self.condition, row, coarse, self._condition_last)
        for axis, (w, factor) in enumerate(zip(cells, self._factors, strict=True), start=1):
            first = w.start % factor
            kept = (slice(None),) * axis + (slice(first, first + w.stop - w.start),)
            condition = np.repeat(condition, factor, axis=axis)[kept]
        return np.concatenate([_cut(self.source, row, cells, self.channels_last), condition])[window[0]]

    def where(self, row: int) -> str:
        return self.source.where(row)


def beside(members: Whole, space: Space, condition: Source, label: str) -> tuple[Whole, Field]:
    """Members with the fields that they are given with, and their space.

    Arguments:
        members: that have no condition field yet.
        space: of a member.
        condition: one field for each member of the source that the members are read from.
        label: what messages call the ensemble.

    Raises:
        DataError: if the members are no fields, or conditions do not fit them in number, dimension or grid.
    """
    if not isinstance(space, Field):
        raise DataError(f"{condition.label} holds fields, and only fields can be given with them: {label} is {space}")
    if condition.shape[0] != members.source.shape[0]:
        raise DataError(
            f"{condition.label} has {condition.shape[0]} condition fields and {label} has {members.source.shape[0]} "
            "members; give one field a member, in the same order"
        )
    given = replace(space, condition=condition_space(condition.shape[1:], space, condition.label))
    joined = Beside(members, condition, given)
    return Whole(joined, joint_space(given).shape, rows=members.rows), given


def condition_space(shape: tuple[int, ...], space: Field, label: str) -> Field:
    """The space of a condition field that is stored in an array of this shape, for members of ``space``.

    Raises:
        DataError: if it has other axes than the members, or a grid of which theirs is no whole multiple.
    """
    axes = len(space.grid)
    layouts = [(1, shape)] if len(shape) == axes else [(shape[0], shape[1:]), (shape[-1], shape[:-1])]
    for channels, grid in sorted(layouts, key=lambda layout: layout[1] != space.grid):
        if len(grid) == axes and _divides(grid, space.grid):
            return Field(channels, grid, space.periodic, space.box, space.isotropic)
    if len(shape) not in (axes, axes + 1):
        raise DataError(
            f"{label} holds condition fields of shape {shape}, and the members have the grid {space.grid}: give "
            f"fields with the same {axes} axes, or with a channel in front of them"
        )
    grid = shape[-axes:]
    raise DataError(
        f"{label} holds condition fields of {grid} cells, which do not divide the members' grid of {space.grid}; "
        "give them on the same grid, or on one that is coarser by a whole number along each axis"
    )


def joint_space(space: Field) -> Field:
    """The members and their condition as channels of one field."""
    return replace(
        space, channels=space.channels + (space.condition.channels if space.condition else 0), condition=None
    )


def cropped_space(whole: Field, crop: Field) -> Field:
    """The space of crops of fields that have a condition.

    Raises:
        DataError: if cells of a coarse condition would be cut apart.
    """
    if whole.condition is None:
        return crop
    factors = _factors(whole.condition.grid, whole.grid)
    if any(side % factor for side, factor in zip(crop.grid, factors, strict=True)):
        raise DataError(
            f"crops of {crop.grid} cells cut through the cells of the condition, which is {factors} times coarser; "
            "give a multiple"
        )
    coarse = tuple(side // factor for side, factor in zip(crop.grid, factors, strict=True))
    condition = replace(whole.condition, grid=coarse, periodic=False, box=crop.box)
    return replace(crop, channels=whole.channels, condition=condition)


def without_condition(members: Members) -> Members:
    """Members that are given with a field, without it."""
    source = members.source
    if not isinstance(members, Whole) or not isinstance(source, Beside):
        return members
    return Whole(source.source, source.space.shape, channels_last=source.channels_last, rows=members.rows)


def refined(
    fields: Float[np.ndarray, "batch channels *coarse"], grid: Sequence[int]
) -> Float[np.ndarray, "batch channels *grid"]:
    """Fields on a finer grid, by repeating their cells."""
    for axis, factor in enumerate(_factors(fields.shape[2:], grid), start=2):
        fields = np.repeat(fields, factor, axis=axis) if factor > 1 else fields
    return fields


def _factors(coarse: Sequence[int], grid: Sequence[int]) -> tuple[int, ...]:
    return tuple(fine // cells for cells, fine in zip(coarse, grid, strict=True))


def _divides(coarse: Sequence[int], grid: Sequence[int]) -> bool:
    return min(coarse) > 0 and all(fine % cells == 0 for cells, fine in zip(coarse, grid, strict=True))


def _channels_last(shape: tuple[int, ...], space: Field) -> bool:
    return shape[1:] == (*space.grid, space.channels) and shape[1:] != space.shape


def _cut(source: Source, row: int, cells: tuple[slice, ...], channels_last: bool) -> NDArray[np.float32]:
    """A part of one field, shape ``(channels, *cells)``."""
    if channels_last:
        return as_float32(np.moveaxis(source.window(row, (*cells, slice(None))), -1, 0))
    if len(source.shape) == 1 + len(cells):
        return as_float32(source.window(row, cells))[None]
    return as_float32(source.window(row, (slice(None), *cells)))
