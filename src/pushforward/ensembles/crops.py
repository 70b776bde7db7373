"""Crops of fields as members, with a region of every field held out.

Crops at random places overlap, and maps may show the same sky, so neither crops nor fields may be split at random: the
same region of every field is held out. Along the longest axis of the grid, the first part is for training and the last
two for validation and test:

    |<------------- training ------------->|<- validation ->|<- test ->|

In training, a crop is cut anywhere in its region; for evaluation, regions are tiled with crops that do not overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pushforward.ensembles.members import Generators, Subset, Whole
from pushforward.ensembles.stores import Rows, Store, as_float32
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Field

__all__ = ["Tiles"]

HELD_OUT = 0.1
"""Fraction of the longest axis for validation, and the same for the test, rounded to whole crops."""

Region = tuple[tuple[int, int], ...]
"""First cell and end along every axis of the grid."""


class Tiles:
    """Crops of fields.

    Arguments:
        source: fields, shape ``(fields, *grid)`` or ``(fields, channels, *grid)``.
        space: space of a crop.
        region: region of every field that contains the crops.
        fields: index of the field of each crop.
        origins: first cell of each crop along every axis.
        channels_last: whether the last axis of a stored field is its channel.
        moving: whether crops may be cut anywhere in the region.
    """

    def __init__(
        self,
        source: Store,
        space: Field,
        region: Region,
        fields: Rows,
        origins: NDArray[np.int64],
        *,
        channels_last: bool = False,
        moving: bool = True,
    ) -> None:
        self.source = source
        self.space = space
        self.region = region
        self.fields = fields
        self.origins = origins
        self.channels_last = channels_last
        self.moving = moving

    @classmethod
    def of(cls, whole: Whole, field: Field, crop: int | Sequence[int], label: str) -> Tiles:
        """All tiles of the fields that are the members of ``whole``.

        Raises:
            DataError: if the fields are too small to cut three regions from.
            UsageError: if the crop does not have one side per axis.
        """
        axes = len(field.grid)
        sides = (crop,) * axes if isinstance(crop, int) else tuple(int(side) for side in crop)
        if len(sides) != axes or min(sides) < 1:
            raise UsageError(f"crop is {crop}, but fields of {label} have {axes} axes; give one positive side per axis")
        if any(side > cells for side, cells in zip(sides, field.grid, strict=True)):
            raise DataError(f"crops of {sides} do not fit into the fields of {label}, which have {field.grid} cells")
        long = _long_axis(field.grid)
        if 3 * sides[long] > field.grid[long]:
            raise DataError(
                f"crops of {sides} leave no room for separate training, validation and test regions in fields of "
                f"{field.grid} cells; crop at most {field.grid[long] // 3} along axis {long}"
            )
        box = None if field.box is None else field.box * sides[0] / field.grid[0]
        space = replace(field, grid=sides, periodic=False, box=box)
        region = tuple((0, cells) for cells in field.grid)
        return _paved(whole.source, space, region, whole.rows, whole.channels_last)

    def __len__(self) -> int:
        return len(self.fields)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.space.shape

    @property
    def places(self) -> Rows:
        """Index of a crop's place in the region, shape ``(crops,)``: the same in every field."""
        extent = [end - first for first, end in self.region]
        relative = self.origins - np.array([first for first, _ in self.region])
        return np.ravel_multi_index(tuple(relative.T), tuple(extent)).astype(np.int64)

    def read(self, index: Rows, rng: Generators = None) -> NDArray[np.float32]:
        return self.cut(index, self.places_for(index, rng))

    def places_for(self, index: Rows, rng: Generators = None) -> NDArray[np.int64]:
        """First cells of the crops at ``index``, shape ``(len(index), axes)``: anywhere in the region with ``rng``."""
        if rng is None or not self.moving:
            return self.origins[index]
        first = np.array([start for start, _ in self.region])
        last = np.array([end for _, end in self.region]) - np.array(self.space.grid)
        if isinstance(rng, np.random.Generator):
            return rng.integers(first, last + 1, size=(len(index), len(first)))
        return np.stack([each.integers(first, last + 1) for each in rng])

    def cut(self, index: Rows, origins: NDArray[np.int64]) -> NDArray[np.float32]:
        """Crops from the fields of the members at ``index``, starting at ``origins``."""
        batch = np.empty((len(index), *self.space.shape), np.float32)
        for position, (field, origin) in enumerate(zip(self.fields[index].tolist(), origins.tolist(), strict=True)):
            window = tuple(slice(o, o + side) for o, side in zip(origin, self.space.grid, strict=True))
            batch[position] = self._cut(field, window)
        return batch

    def _cut(self, field: int, window: tuple[slice, ...]) -> NDArray[np.float32]:
        if self.channels_last:
            values = np.moveaxis(self.source.window(field, (*window, slice(None))), -1, 0)
        elif len(self.source.shape) == 1 + len(window):
            values = self.source.window(field, window)
        else:
            values = self.source.window(field, (slice(None), *window))
        return as_float32(values)

    def coarsened(self, fields: Whole | Tiles, factors: Sequence[int]) -> Tiles:
        """Tiles of other fields at the same places, one field per field of these, coarser by whole factors.

        Arguments:
            fields: other fields, in the same rows.
            factors: number of cells of these fields per cell of the others, along each axis.
        """
        region = tuple((first // f, end // f) for (first, end), f in zip(self.region, factors, strict=True))
        grid = tuple(side // f for side, f in zip(self.space.grid, factors, strict=True))
        return Tiles(
            fields.source,
            replace(self.space, channels=fields.shape[0], grid=grid),
            region,
            self.fields,
            self.origins // np.array(factors),
            channels_last=fields.channels_last,
            moving=self.moving,
        )

    def subset(self, index: Rows) -> Tiles:
        return Tiles(
            self.source,
            self.space,
            self.region,
            self.fields[index],
            self.origins[index],
            channels_last=self.channels_last,
            moving=False,
        )

    def split(self) -> tuple[Subset, Subset, Subset] | None:
        """Three regions of every field; None if tiles have been selected, which are split like members.

        Raises:
            DataError: if the region is too small for three.
        """
        if not self.moving:
            return None
        extents = tuple(end - first for first, end in self.region)
        axis = _long_axis(extents)
        side, extent, (first, end) = self.space.grid[axis], extents[axis], self.region[axis]
        held = side * max(1, round(HELD_OUT * extent / side))
        if extent - 2 * held < side:
            raise DataError(
                f"a region of {extents} cells leaves no room for separate training, validation and test regions with "
                f"crops of {self.space.grid}"
            )
        edges = (first, end - 2 * held, end - held, end)
        fields, where = np.unique(self.fields, return_index=True)
        train, validation, test = (self._part(axis, (low, high), fields, where) for low, high in pairwise(edges))
        return train, validation, test

    def _part(self, axis: int, span: tuple[int, int], fields: Rows, where: Rows) -> Subset:
        region = tuple(span if number == axis else bounds for number, bounds in enumerate(self.region))
        tiles = _paved(self.source, self.space, region, fields, self.channels_last)
        return Subset(tiles, where[np.searchsorted(fields, tiles.fields)], tiles.places)

    def where(self, index: int) -> str:
        return f"the crop at {tuple(self.origins[index].tolist())} of {self.source.where(int(self.fields[index]))}"

    def notes(self) -> tuple[str, ...]:
        """Held-out regions, for the terminal."""
        parts = self.split()
        if parts is None:
            return ()
        axis = _long_axis(tuple(end - first for first, end in self.region))
        spans = [part.members.region[axis] for part in parts if isinstance(part.members, Tiles)]
        names = ("training", "validation", "test")
        described = ", ".join(f"{name} {low} to {high}" for name, (low, high) in zip(names, spans, strict=True))
        sides = " x ".join(str(side) for side in self.space.grid)
        return (f"crops of {sides} cells from every field; cells along axis {axis}: {described}",)


def _long_axis(extents: Sequence[int]) -> int:
    return int(np.argmax(extents))


def _paved(source: Store, space: Field, region: Region, fields: Rows, channels_last: bool) -> Tiles:
    """Crops without overlap that tile a region of every field; leftover cells are at its end."""
    starts = [np.arange(first, end - side + 1, side) for (first, end), side in zip(region, space.grid, strict=True)]
    origins = np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1).reshape(-1, len(starts)).astype(np.int64)
    return Tiles(
        source,
        space,
        region,
        np.repeat(fields, len(origins)).astype(np.int64),
        np.tile(origins, (len(fields), 1)),
        channels_last=channels_last,
    )
