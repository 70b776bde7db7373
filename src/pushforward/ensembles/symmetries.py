"""Random symmetry operations of fields: what leaves an ensemble's distribution as it is makes new members of old ones.

A periodic field may be translated by any number of cells; an isotropic one may be reflected, and turned by 90 degrees
about any axis. Every sample gets its own operation. None of them interpolates: the values only change places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from math import prod

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.conditions import Condition
from pushforward.spaces import Field, Space

__all__ = ["augment", "augment_given"]


def augment(
    x: Float[Tensor, "batch channels *grid"],
    space: Space,
    rng: np.random.Generator | Sequence[np.random.Generator],
    *,
    translate: bool = True,
    rotate: bool = True,
) -> Float[Tensor, "batch channels *grid"]:
    """Samples moved by random symmetries of their space; anything but a Field is returned as it is.

    The reflections and the exchanges of axes generate the 8 symmetries of a square and the 48 of a cube. Axes of
    different length are not exchanged.

    Arguments:
        x: samples, shape ``(batch, channels, *grid)``.
        space: says which symmetries there are: translations if it is periodic, rotations and reflections if isotropic.
        rng: decides; or one for each sample, so that what happens to it does not depend on its neighbours.
        translate: False leaves out translations.
        rotate: False leaves out rotations and reflections.
    """
    return _augmented([x], space, rng, translate=translate, rotate=rotate)[0]


def augment_given(
    x: Float[Tensor, "batch *shape"],
    condition: Condition | None,
    space: Space,
    rng: np.random.Generator | Sequence[np.random.Generator],
) -> tuple[Float[Tensor, "batch *shape"], Condition | None]:
    """`augment`, with the same operation for a sample and for the field of its condition.

    A translation is by whole cells of the coarser of the two, and axes are exchanged where both grids allow it.
    """
    if condition is None or condition.field is None:
        return augment(x, space, rng), condition
    x, field = _augmented([x, condition.field], space, rng)
    return x, replace(condition, field=field)


def _augmented(
    fields: list[Tensor],
    space: Space,
    rng: np.random.Generator | Sequence[np.random.Generator],
    *,
    translate: bool = True,
    rotate: bool = True,
) -> list[Tensor]:
    """Fields of one box, each moved by the same operation; the last grid is the coarsest."""
    if not isinstance(space, Field):
        return fields
    shift, turn = space.periodic and translate, space.isotropic and rotate
    if not (shift or turn):
        return fields
    grids = [tuple(field.shape[2:]) for field in fields]
    batch, axes, coarsest = len(fields[0]), len(space.grid), grids[-1]
    shifts = _draw(rng, coarsest, batch) if shift else torch.zeros(batch, axes, dtype=torch.long)
    flips = _draw(rng, (2,) * axes, batch) if turn else torch.zeros(batch, axes, dtype=torch.long)
    orders = [o for o in permutations(range(axes)) if all(tuple(grid[axis] for axis in o) == grid for grid in grids)]
    choice = _draw(rng, (len(orders),), batch)[:, 0] if turn else torch.zeros(batch, dtype=torch.long)
    moved = []
    for field, grid in zip(fields, grids, strict=True):
        positions = []
        for axis, cells in enumerate(grid):
            place = (torch.arange(cells) + shifts[:, axis, None] * (cells // coarsest[axis])) % cells
            positions.append(torch.where(flips[:, axis, None] == 1, cells - 1 - place, place).to(field.device))
        moved.append(_exchange_axes(_gather(field, positions), orders, choice.to(field.device)))
    return moved


def _draw(
    rng: np.random.Generator | Sequence[np.random.Generator], ends: tuple[int, ...], batch: int
) -> Int[Tensor, "batch ends"]:
    """Whole numbers below ``ends`` for each sample."""
    if isinstance(rng, np.random.Generator):
        return torch.from_numpy(rng.integers(0, ends, size=(batch, len(ends))))
    return torch.from_numpy(np.stack([each.integers(0, ends) for each in rng]))


def _gather(x: Tensor, positions: list[Tensor]) -> Tensor:
    """``y[b, c, i, j, ...] = x[b, c, positions[0][b, i], positions[1][b, j], ...]``."""
    axes = len(positions)
    strides = [prod(x.shape[3 + axis :]) for axis in range(axes)]
    flat = torch.zeros(1, dtype=torch.long, device=x.device)
    for axis, (position, stride) in enumerate(zip(positions, strides, strict=True)):
        shape = [x.shape[0]] + [1] * axes
        shape[1 + axis] = position.shape[1]
        flat = flat + (position * stride).reshape(shape)
    index = flat.reshape(x.shape[0], 1, -1).expand(-1, x.shape[1], -1)
    return x.reshape(x.shape[0], x.shape[1], -1).gather(2, index).reshape(x.shape)


def _exchange_axes(x: Tensor, orders: list[tuple[int, ...]], choice: Int[Tensor, " batch"]) -> Tensor:
    """Each sample with its axes in the chosen one of some orders, of which the first changes nothing."""
    y = x
    for number, order in enumerate(orders[1:], start=1):
        chosen = (choice == number).reshape(-1, *[1] * (x.ndim - 1))
        y = torch.where(chosen, x.permute(0, 1, *(2 + axis for axis in order)), y)
    return y
