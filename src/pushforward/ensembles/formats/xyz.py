"""XYZ and extended XYZ: configurations of particles, one per frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from pushforward.ensembles.formats.contents import Contents
from pushforward.ensembles.formats.metadata import condition_columns
from pushforward.ensembles.stores import InMemory
from pushforward.errors import DataError, UsageError
from pushforward.simulate.simulated import Simulated
from pushforward.spaces import Particles

__all__ = ["LABELS", "open_file", "write_file"]

LABELS = "label"
"""Column of the names of species that are not chemical symbols."""


def open_file(path: Path, field: str | None = None) -> Contents:
    """Positions, shape ``(frames, particles, dim)``; properties in the comment line of every frame can be conditions.

    Positions with last coordinates zero in every frame are two- or one-dimensional. A cubic cell that is periodic along
    every axis is the box. Chemical symbols, or a column ``label``, are the species if there are several, in the order
    of the first frame. ``centred`` in the comment lines states whether centres of mass are at the origin.

    Raises:
        DataError: if ASE is not installed, an array is requested by name, the file cannot be parsed, or frames
            differ in their particles.
    """
    if field is not None:
        raise DataError(f"{path.name} holds positions without an array {field!r}; leave the field out")
    try:
        from ase.io import iread
    except ImportError:
        raise DataError(f"reading {path.name} needs ASE: pip install 'pushforward[particles]'") from None
    try:
        frames = list(iread(str(path), index=":", format="extxyz"))
    except Exception as error:  # ASE's parsers raise errors of many kinds, all for an unreadable file
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
    """Species of the particles, if there are several; a particle keeps its species in all frames."""
    names = {tuple(map(str, frame.arrays.get(LABELS, frame.get_chemical_symbols()))) for frame in frames}
    if len(names) > 1:
        raise DataError(
            f"the frames of {label} list their particles in different orders of species; use one order for all"
        )
    (first,) = names
    return first if len(set(first)) > 1 else None


def _box(frames: list[Any], dim: int) -> float | None:
    """Side of the periodic cube of every frame, along the axes that particles move in."""
    cells = np.stack([np.asarray(frame.cell)[:dim, :dim] for frame in frames])
    side = float(cells[0, 0, 0])
    periodic = all(frame.pbc[:dim].all() for frame in frames)
    return side if periodic and side > 0 and np.allclose(cells, side * np.eye(dim), rtol=1e-6) else None


def write_file(simulated: Simulated, path: Path) -> None:
    """Write `Particles` in up to three dimensions, one frame each, for `ase.io`, OVITO and VMD.

    Positions in fewer than three dimensions are padded with zeros. ``X`` stands for a particle without a name, and
    names that are not chemical symbols are in a column ``label``. Conditions are in the comment line.

    Raises:
        UsageError: if members are not particles in up to three dimensions, or ASE is not installed.
    """
    if not hasattr(simulated.space, "species") or simulated.space.shape[1] > 3:
        raise UsageError(
            f"{path.suffix} files hold particles in up to three dimensions, not members of shape "
            f"{simulated.space.shape}; write .h5 or .npz"
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
    columns = condition_columns(simulated)
    frames = []
    for number, each in enumerate(positions):
        frame = Atoms(list(space.species) if space.species and symbols else ["X"] * space.count, positions=each)
        if space.species and not symbols:
            frame.new_array(LABELS, np.array(space.species))
        if space.box is not None:
            frame.set_cell([space.box] * 3)
            frame.set_pbc([axis < space.dim for axis in range(3)])
        frame.info = {name: values[number].item() for name, values in columns.items()}
        if space.centred:
            frame.info["centred"] = True
        frames.append(frame)
    write(path, frames, format="extxyz")
