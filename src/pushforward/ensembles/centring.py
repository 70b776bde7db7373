"""The centre of mass of particles: seen to lie at the origin in every member, or moved there."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch

import numpy as np
import torch
from jaxtyping import Float

from pushforward.ensembles.members import Members
from pushforward.spaces import Particles, Space
from pushforward.tensors.subspace import centre

__all__ = ["at_centre", "told_by_centres"]

_LOOKED_AT = 64
# Of the root mean square coordinate: well above the rounding of single precision and of files with five digits.
_TOLERANCE = 1e-4


@singledispatch
def told_by_centres(space: Space, members: Members, *, stated: bool = False) -> tuple[Space, tuple[str, ...]]:
    """The space, of particles with what the centres of mass of some members tell, and a note on them.

    Arguments:
        space: of the members.
        members: 64 of them are looked at, evenly spread.
        stated: whether the space or the file says if the members are centred; nothing is then concluded from them.
    """
    return space, ()


@told_by_centres.register
def _(space: Particles, members: Members, *, stated: bool = False) -> tuple[Space, tuple[str, ...]]:
    if len(members) == 0 or space.box is not None or (stated and not space.centred):
        return space, ()
    rows = np.unique(np.linspace(0, len(members) - 1, _LOOKED_AT).astype(np.int64))
    x = members.read(rows, None).astype(np.float64)
    size = np.sqrt(np.mean(x**2))
    at_origin = bool(np.abs(x.mean(axis=1)).max() <= _TOLERANCE * size)
    if space.centred:
        return space, () if at_origin else ("the centre of mass of every member is moved to the origin",)
    if not at_origin or space.count < 2:
        return space, ()
    note = "every centre of mass is at the origin: densities are of the other coordinates; centred=False says otherwise"
    return replace(space, centred=True), (note,)


def at_centre(space: Space, batch: Float[np.ndarray, "batch *shape"]) -> Float[np.ndarray, "batch *shape"]:
    """Members with their centres of mass at the origin, if those of the space are centred."""
    return centre(space, torch.from_numpy(batch)).numpy()
