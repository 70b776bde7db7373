"""Configurations of particles to extended XYZ, one per frame, as `ase.io`, OVITO and VMD read them.

Positions in fewer than three dimensions are completed by zeros. Species are chemical symbols; ``X`` stands for a
particle without a name, and names that are no symbols are a column ``label``. Conditions are in the comment line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import UsageError
from pushforward.simulate.simulated import Simulated
from pushforward.spaces import Particles

__all__ = ["write_extxyz"]


def write_extxyz(simulated: Simulated, path: Path, columns: dict[str, NDArray[Any]]) -> None:
    """Write members, which are `Particles` in up to three dimensions.

    Arguments:
        simulated: members with their space.
        path: of the file.
        columns: conditions by name, labels as words.

    Raises:
        UsageError: if members are no particles, or live in more than three dimensions, or ASE is not installed.
    """
    if not hasattr(simulated.space, "species") or simulated.space.shape[1] > 3:
        raise UsageError(
            f"{path.suffix} files hold particles in up to three dimensions, not members of shape "
            f"{simulated.space.shape}: write .h5 or .npz"
        )
    try:
        from ase import Atoms
        from ase.data import atomic_numbers
        from ase.io import write
    except ImportError:
        raise UsageError(f"writing {path.suffix} needs ASE: pip install 'pushforward[particles]'") from None
    space = cast(Particles, simulated.space)
    positions = np.pad(simulated.x.astype(np.float64), ((0, 0), (0, 0), (0, 3 - space.dim)))
    symbols = all(name in atomic_numbers for name in space.species)
    frames = []
    for number, each in enumerate(positions):
        frame = Atoms(list(space.species) if space.species and symbols else ["X"] * space.count, positions=each)
        if space.species and not symbols:
            frame.new_array("label", np.array(space.species))
        if space.box is not None:
            frame.set_cell([space.box] * 3)
            frame.set_pbc([axis < space.dim for axis in range(3)])
        frame.info = {name: values[number].item() for name, values in columns.items()}
        if space.centred:
            frame.info["centred"] = True
        frames.append(frame)
    write(path, frames, format="extxyz")
