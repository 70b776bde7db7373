"""XYZ and extended XYZ: configurations of particles, one per frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pushforward.ensembles.formats.contents import Contents
from pushforward.ensembles.stores import InMemory
from pushforward.errors import DataError

__all__ = ["LABELS", "open_file"]

LABELS = "label"
"""Column of the names of species that are no chemical symbols."""


def open_file(path: Path, field: str | None = None) -> Contents:
    """Positions, shape ``(frames, particles, dim)``; what the comment line of every frame states can be a condition.

    Positions whose last coordinates are zero in every frame are those of the plane or the line. A cubic cell that is
    periodic along every axis is the box. Chemical symbols, or a column ``label``, are the species where there are
    several, in the order of the first frame. ``centred`` in the comment lines says whether centres of mass are at the
    origin.

    Raises:
        DataError: if ASE is not installed, an array is asked for by name, the file cannot be parsed, or frames
            differ in their particles.
    """
    if field is not None:
        raise DataError(f"{path.name} holds positions and no array called {field!r}; leave the field out")
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
    positions = np.stack([frame.positions for frame in frames])
    dim = max(1, int(np.flatnonzero((positions != 0).any(axis=(0, 1))).max(initial=0)) + 1)
    attributes: dict[str, Any] = {"species": _species(frames, path.name), "box": _box(frames, dim)}
    if "centred" in scalars:
        attributes["centred"] = all(bool(frame.info["centred"]) for frame in frames)
    flat = f"{path.name}: the last {3 - dim} of 3 coordinates are 0 in every frame and are left out"
    return Contents(
        InMemory(np.ascontiguousarray(positions[..., :dim]), path.name),
        column=lambda name: {name: np.array([frame.info[name] for frame in frames])} if name in scalars else None,
        attributes={key: value for key, value in attributes.items() if value is not None},
        kind="particles",
        one_member=False,
        notes=(flat,) if dim < 3 else (),
    )


def _species(frames: list[Any], label: str) -> tuple[str, ...] | None:
    """Names of the particles where there are several; a particle keeps its species in all frames."""
    names = {tuple(map(str, frame.arrays.get(LABELS, frame.get_chemical_symbols()))) for frame in frames}
    if len(names) > 1:
        raise DataError(
            f"the frames of {label} list their particles in different orders of species; sort them alike first"
        )
    (first,) = names
    return first if len(set(first)) > 1 else None


def _box(frames: list[Any], dim: int) -> float | None:
    """Side of the cube that every frame is periodic in, along the axes that particles move in."""
    cells = np.stack([np.asarray(frame.cell)[:dim, :dim] for frame in frames])
    side = float(cells[0, 0, 0])
    periodic = all(frame.pbc[:dim].all() for frame in frames)
    return side if periodic and side > 0 and np.allclose(cells, side * np.eye(dim), rtol=1e-6) else None
