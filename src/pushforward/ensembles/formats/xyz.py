"""XYZ and extended XYZ: configurations of particles, one a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pushforward.ensembles.formats.contents import Contents
from pushforward.ensembles.sources import InMemory
from pushforward.errors import DataError

__all__ = ["open_file"]


def open_file(path: Path, field: str | None = None) -> Contents:
    """Positions, shape ``(frames, particles, 3)``; what the comment line of every frame states can be a condition.

    Raises:
        DataError: if ASE is not installed, the file cannot be parsed, or frames differ in their number of particles.
    """
    try:
        from ase.io import iread
    except ImportError:
        raise DataError(f"reading {path.name} needs ASE: pip install 'pushforward[particles]'") from None
    try:
        frames = list(iread(str(path), index=":", format="extxyz"))
    except Exception as error:  # ASE's parsers raise errors of many kinds, and all of them mean an unreadable file
        raise DataError(f"{path.name} cannot be read as XYZ: {error}") from None
    counts = {len(frame) for frame in frames}
    if len(counts) != 1:
        raise DataError(f"the frames of {path.name} hold {sorted(counts)} particles; every frame needs the same number")
    shared = set.intersection(*(set(frame.info) for frame in frames))
    scalars = {key for key in shared if all(np.ndim(frame.info[key]) == 0 for frame in frames)}
    return Contents(
        InMemory(np.stack([frame.positions for frame in frames]), path.name),
        column=lambda name: {name: np.array([frame.info[name] for frame in frames])} if name in scalars else None,
        kind="particles",
        one_member=False,
    )
