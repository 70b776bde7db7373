"""Random symmetry operations of fields: what leaves an ensemble's distribution as it is makes new members of old ones.

A periodic field may be translated by any number of cells; an isotropic one may be reflected, and turned by 90 degrees
about any axis. Every sample gets its own operation. None of them interpolates: the values only change places.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from math import prod

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.spaces import Field, Space, condition_shape

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
    if not isinstance(space, Field):
        return x
    shift, turn = space.periodic and translate, space.isotropic and rotate
    if not (shift or turn):
        return x
    batch, grid = x.shape[0], space.grid
    positions = [torch.arange(cells).expand(batch, cells) for cells in grid]
    if shift:
        shifts = _draw(rng, grid, batch)
        positions = [(p + shifts[:, axis, None]) % grid[axis] for axis, p in enumerate(positions)]
    if turn:
        flips = _draw(rng, (2,) * len(grid), batch)
        positions = [torch.where(flips[:, axis, None] == 1, grid[axis] - 1 - p, p) for axis, p in enumerate(positions)]
    moved = _gather(x, [p.to(x.device) for p in positions])
    return _exchange_axes(moved, grid, rng) if turn else moved


def augment_given(
    x: Float[Tensor, "batch channels *grid"],
    condition: Float[Tensor, "batch given"] | None,
    space: Space,
    rng: np.random.Generator | Sequence[np.random.Generator],
) -> tuple[Float[Tensor, "batch channels *grid"], Float[Tensor, "batch given"] | None]:
    """`augment`, with the same operation for a sample and for the field at the end of its row of conditions."""
    shape = condition_shape(space)
    if condition is None or not shape:
        return augment(x, space, rng), condition
    numbers = condition.shape[1] - prod(shape)
    joint = torch.cat([x, condition[:, numbers:].unflatten(1, shape)], 1)
    x, field = augment(joint, space, rng).split([x.shape[1], shape[0]], 1)
    return x.contiguous(), torch.cat([condition[:, :numbers], field.flatten(1)], 1)


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


def _exchange_axes(
    x: Tensor, grid: tuple[int, ...], rng: np.random.Generator | Sequence[np.random.Generator]
) -> Tensor:
    """Each sample with its axes in a random order, out of those that keep its shape."""
    orders = [order for order in permutations(range(len(grid))) if tuple(grid[axis] for axis in order) == grid]
    choice = _draw(rng, (len(orders),), x.shape[0])[:, 0].to(x.device)
    y = x
    for number, order in enumerate(orders[1:], start=1):
        chosen = (choice == number).reshape(-1, *[1] * (x.ndim - 1))
        y = torch.where(chosen, x.permute(0, 1, *(2 + axis for axis in order)), y)
    return y
