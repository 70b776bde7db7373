"""Centre of mass of particles: detected at the origin in every member, or moved there."""

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
    """Space with the centring of its particles inferred from some members, and a note on it.

    Arguments:
        space: space of the members.
        members: members, of which 64, evenly spread, are inspected.
        stated: whether the space or the file states the centring; nothing is then inferred.
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
    note = "every centre of mass is at the origin: densities are of the other coordinates; centred=False turns this off"
    return replace(space, centred=True), (note,)


def at_centre(space: Space, batch: Float[np.ndarray, "batch *shape"]) -> Float[np.ndarray, "batch *shape"]:
    """Members with their centres of mass at the origin, if the space is centred."""
    return centre(space, torch.from_numpy(batch)).numpy()
