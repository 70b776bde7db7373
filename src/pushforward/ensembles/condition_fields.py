"""Condition fields: another field of the same box per member, on the same grid or on a coarser one.

Members and their condition fields are two arrays with the same rows, each on its own grid. All operations apply to
both: they are split and cropped together here, and shifted, rotated and reflected together in `symmetries`. Crops begin
and end at cell boundaries of the coarser field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pushforward.ensembles.crops import Tiles
from pushforward.ensembles.members import Generators, Members, Subset, Whole
from pushforward.ensembles.stores import Rows, Store
from pushforward.errors import DataError
from pushforward.spaces import Field, Space

__all__ = ["MembersWithFields", "field_space", "with_condition_fields", "without_fields"]


class MembersWithFields:
    """Members and their condition fields, row by row.

    Arguments:
        members: fields, whole or cropped.
        fields: condition fields, one per member, cropped at the same places.
        factors: number of cells of a member per cell of its condition field, along each axis.
    """

    def __init__(self, members: Whole | Tiles, fields: Whole | Tiles, factors: tuple[int, ...]) -> None:
        self.source, self.members, self.fields, self.factors = members.source, members, fields, factors

    def __len__(self) -> int:
        return len(self.members)

    def read(self, index: Rows, rng: Generators = None) -> NDArray[np.float32]:
        return self.read_given(index, rng)[0]

    def read_given(self, index: Rows, rng: Generators = None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Members at ``index`` and their condition fields, shapes ``(len(index), channels, *grid)``."""
        if isinstance(self.members, Tiles) and isinstance(self.fields, Tiles):
            origins = self.fields.places_for(index, rng)
            return self.members.cut(index, origins * self.factors), self.fields.cut(index, origins)
        return self.members.read(index), self.fields.read(index)

    def subset(self, index: Rows) -> MembersWithFields:
        return MembersWithFields(self.members.subset(index), self.fields.subset(index), self.factors)

    def split(self) -> tuple[Subset, Subset, Subset] | None:
        parts = self.members.split()
        if parts is None:
            return None
        first, second, third = (part._replace(members=self._cut_alike(part.members)) for part in parts)
        return first, second, third

    def where(self, index: int) -> str:
        return self.members.where(index)

    def cropped(self, tiles: Tiles) -> tuple[MembersWithFields, Field]:
        """Tiles of the members and of their condition fields at the same places, and the space of the latter.

        Raises:
            DataError: if crops would cut through cells of a coarser field.
        """
        if any(side % factor for side, factor in zip(tiles.space.grid, self.factors, strict=True)):
            raise DataError(
                f"crops of {tiles.space.grid} cells cut through the cells of the condition field, which is "
                f"{self.factors} times coarser; give a multiple"
            )
        fields = tiles.coarsened(self.fields, self.factors)
        return MembersWithFields(tiles, fields, self.factors), fields.space

    def _cut_alike(self, tiles: Members) -> MembersWithFields:
        assert isinstance(tiles, Tiles)
        return MembersWithFields(tiles, tiles.coarsened(self.fields, self.factors), self.factors)


def with_condition_fields(
    members: Whole, space: Space, condition: Store, label: str
) -> tuple[MembersWithFields, Field]:
    """Members joined with their condition fields, and the space of these fields.

    Arguments:
        members: members without condition fields.
        space: space of a member.
        condition: one field per member of the source that the members are read from.
        label: name of the ensemble in messages.

    Raises:
        DataError: if the members are not fields, or conditions do not match them in number, dimension or grid.
    """
    if not isinstance(space, Field):
        raise DataError(f"{condition.label} holds condition fields, which only fields can have; {label} is {space}")
    if condition.shape[0] != members.source.shape[0]:
        raise DataError(
            f"{condition.label} has {condition.shape[0]} condition fields, but {label} has {members.source.shape[0]} "
            "members; give one field per member, in the same order"
        )
    field = field_space(condition.shape[1:], space, condition.label)
    last = condition.shape[1:] == (*field.grid, field.channels) and condition.shape[1:] != field.shape
    fields = Whole(condition, field.shape, channels_last=last, rows=members.rows)
    return MembersWithFields(
        members, fields, tuple(fine // cells for cells, fine in zip(field.grid, space.grid, strict=True))
    ), field


def field_space(shape: tuple[int, ...], space: Field, label: str) -> Field:
    """Space of a condition field stored in an array of this shape, for members of ``space``.

    Raises:
        DataError: if it has other axes than the members, or its grid does not divide theirs.
    """
    axes = len(space.grid)
    layouts = [(1, shape)] if len(shape) == axes else [(shape[0], shape[1:]), (shape[-1], shape[:-1])]
    for channels, grid in sorted(layouts, key=lambda layout: layout[1] != space.grid):
        if len(grid) == axes and _divides(grid, space.grid):
            return replace(space, channels=channels, grid=grid)
    if len(shape) not in (axes, axes + 1):
        raise DataError(
            f"{label} holds condition fields of shape {shape}, but the members have the grid {space.grid}; give "
            f"fields with the same {axes} axes, optionally preceded by a channel axis"
        )
    grid = shape[-axes:]
    raise DataError(
        f"{label} holds condition fields of {grid} cells, which do not divide the members' grid of {space.grid}; "
        "give them on the same grid, or on one coarser by a whole number along each axis"
    )


def without_fields(members: Members) -> Members:
    """Members without their condition fields."""
    return members.members if isinstance(members, MembersWithFields) else members


def _divides(coarse: Sequence[int], grid: Sequence[int]) -> bool:
    return min(coarse) > 0 and all(fine % cells == 0 for cells, fine in zip(coarse, grid, strict=True))
