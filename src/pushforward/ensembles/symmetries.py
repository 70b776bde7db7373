"""Data augmentation by random symmetry operations, which leave an ensemble's distribution unchanged.

A periodic field may be translated by any number of cells; an isotropic one may be reflected, and rotated by 90 degrees
about any axis. None of them interpolates: the values are only permuted. Particles are rotated and reflected about the
origin, translated within a periodic box, and permuted within their species. Every sample gets its own operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import singledispatch
from itertools import permutations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.conditions import Condition
from pushforward.spaces import Field, Particles, Space

__all__ = ["augment", "augment_given", "has_symmetries"]

Generators = np.random.Generator | Sequence[np.random.Generator]
_FINE = 2**31


@singledispatch
def has_symmetries(space: Space) -> bool:
    """Whether `augment` changes members."""
    return False


@has_symmetries.register
def _(space: Field) -> bool:
    return space.periodic or space.isotropic


@has_symmetries.register
def _(space: Particles) -> bool:
    return True


def augment(
    x: Float[Tensor, "batch *shape"],
    space: Space,
    rng: np.random.Generator | Sequence[np.random.Generator],
    *,
    translate: bool = True,
    rotate: bool = True,
) -> Float[Tensor, "batch *shape"]:
    """Apply random symmetries of the space to samples; samples without symmetries are unchanged.

    The reflections and the exchanges of axes generate the 8 symmetries of a square and the 48 of a cube. Axes of
    different length are not exchanged. Particles in a box have these symmetries too; in open space they are rotated by
    any angle about the origin. They are permuted within their species.

    Arguments:
        x: samples, shape ``(batch, *space.shape)``.
        space: space of the samples, which determines the symmetries: for a field, translations if it is periodic, and
            rotations and reflections if isotropic.
        rng: one generator, or one per sample, so that its operation does not depend on the rest of the batch.
        translate: False leaves out translations.
        rotate: False leaves out rotations and reflections.
    """
    return _moved(space, [x], rng, translate, rotate)[0]


def augment_given(
    x: Float[Tensor, "batch *shape"],
    condition: Condition | None,
    space: Space,
    rng: np.random.Generator | Sequence[np.random.Generator],
) -> tuple[Float[Tensor, "batch *shape"], Condition | None]:
    """`augment`, with the same operation for a sample and its condition field.

    A translation is by whole cells of the coarser of the two, and axes are exchanged if both grids allow it.
    """
    if condition is None or condition.field is None:
        return augment(x, space, rng), condition
    x, field = _moved(space, [x, condition.field], rng, True, True)
    return x, replace(condition, field=field)


@singledispatch
def _moved(space: Space, parts: list[Tensor], rng: Generators, translate: bool, rotate: bool) -> list[Tensor]:
    """Apply one operation per sample to all arrays of that sample."""
    return parts


@_moved.register
def _(space: Particles, parts: list[Tensor], rng: Generators, translate: bool, rotate: bool) -> list[Tensor]:
    (x,) = parts
    batch, count, dim = x.shape
    order = _uniform(rng, batch, count).to(x.device)
    if space.species:
        names = sorted(set(space.species))
        number = torch.tensor([names.index(name) for name in space.species], device=x.device)
        # Ranks within a species, at the positions of that species.
        slots, order = number.argsort(stable=True), (number + order).argsort(1)
        order = torch.empty_like(order).index_copy_(1, slots, order)
    else:
        order = order.argsort(1)
    x = x.gather(1, order[..., None].expand_as(x))
    if rotate:
        x = x @ (_turns(rng, batch, dim) if space.box is None else _turns_of_a_box(rng, batch, dim)).to(x)
    if space.box is None:
        return [x]
    if translate:
        x = x + space.box * _uniform(rng, batch, dim).to(x)[:, None]
    return [x.remainder(space.box)]


def _turns(rng: Generators, batch: int, dim: int) -> Tensor:
    """Rotations and reflections, uniformly distributed over O(dim)."""
    # The orthogonal factor of a Gaussian matrix, with the signs that make it unique (Mezzadri 2007).
    normal = torch.special.ndtri(_uniform(rng, batch, dim * dim).unflatten(1, (dim, dim)))
    rotation, upper = torch.linalg.qr(normal)
    return rotation * upper.diagonal(dim1=1, dim2=2).sign()[:, None]


def _turns_of_a_box(rng: Generators, batch: int, dim: int) -> Tensor:
    """Exchanges and reflections of axes."""
    axes = torch.eye(dim, dtype=torch.float64)[_uniform(rng, batch, dim).argsort(1)]
    return axes * (2 * _draw(rng, (2,) * dim, batch) - 1)[:, None]


def _uniform(rng: Generators, batch: int, numbers: int) -> Float[Tensor, "batch numbers"]:
    """Numbers in the open interval (0, 1), float64."""
    return (_draw(rng, (_FINE,) * numbers, batch).double() + 0.5) / _FINE


@_moved.register
def _(space: Field, parts: list[Tensor], rng: Generators, translate: bool, rotate: bool) -> list[Tensor]:
    fields = parts  # of one box; the last grid is the coarsest
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


def _draw(rng: Generators, ends: tuple[int, ...], batch: int) -> Int[Tensor, "batch ends"]:
    """Whole numbers below ``ends`` for each sample."""
    if isinstance(rng, np.random.Generator):
        return torch.from_numpy(rng.integers(0, ends, size=(batch, len(ends))))
    return torch.from_numpy(np.stack([each.integers(0, ends) for each in rng]))


def _gather(x: Tensor, positions: list[Tensor]) -> Tensor:
    """``y[b, c, i, j, ...] = x[b, c, positions[0][b, i], positions[1][b, j], ...]``."""
    *outer, last = positions
    batch, channels, *grid = x.shape
    # Rows along the last axis are copied whole, then permuted: less to read than an index for each cell.
    rows = torch.arange(batch * channels, device=x.device).reshape(batch, channels)
    for cells, position in zip(grid[:-1], outer, strict=True):
        position = position.reshape(batch, *[1] * (rows.dim() - 1), cells)
        rows = rows[..., None] * cells + position
    chosen = x.reshape(-1, grid[-1]).index_select(0, rows.flatten()).reshape(x.shape)
    return chosen.gather(-1, last.reshape(batch, *[1] * len(grid), -1).expand(x.shape))


def _exchange_axes(x: Tensor, orders: list[tuple[int, ...]], choice: Int[Tensor, " batch"]) -> Tensor:
    """Samples with their axes permuted by the chosen order; the first order is the identity."""
    y = x
    for number, order in enumerate(orders[1:], start=1):
        chosen = (choice == number).reshape(-1, *[1] * (x.ndim - 1))
        y = torch.where(chosen, x.permute(0, 1, *(2 + axis for axis in order)), y)
    return y
