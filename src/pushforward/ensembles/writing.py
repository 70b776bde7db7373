"""Writing of members to files, with their conditions and properties, in the form that `pushforward.read` reads.

| ending | members | conditions, groups | box, periodic, isotropic, kind, columns, units, seed, version |
|---|---|---|---| | ``.h5``, ``.hdf5`` | dataset ``x`` | dataset ``conditions``, attribute ``names``; dataset ``groups``
| attributes | | ``.zarr`` | array ``x`` | array ``conditions``, attributes ``names``, ``classes``; array ``groups`` |
attributes | | ``.npz`` | array ``x`` | arrays ``conditions``, ``names``, ``groups`` | arrays | | ``.npy`` | the array |
separate file ``NAME.conditions.csv`` | | | ``.fits`` | the image, or a table of vectors | separate file
``NAME.conditions.csv`` | keywords | | ``.csv``, ``.parquet`` | one row each, vectors only | separate file
``NAME.conditions.csv`` | names of columns | | ``.xyz``, ``.extxyz`` | one frame each, particles only | comment lines |
cell, species |

Timed series are arrays ``times``, ``values`` and, if known, ``truth`` in ``.npz``; in ``.csv`` and ``.parquet`` they
have one row per observation, with columns ``series``, ``time`` and the values.

Condition fields are ``condition_fields`` in ``.h5``, ``.zarr`` and ``.npz``; for the other formats they are in a
separate file ``NAME.condition.npy``.

Trajectories are written to ``.h5`` only: dataset ``x`` of shape (members, times, 2, count, dim), and attributes
``times`` and ``box``.

Labels are written as the names of their classes. An HDF5 file with labels has a group ``conditions`` with one dataset
per column instead. A file is written under a temporary name and renamed: it is complete or absent.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pushforward.ensembles.formats.recognise import ENDINGS, format_module
from pushforward.errors import UsageError
from pushforward.simulate.simulated import Simulated

__all__ = ["check_output", "write"]

_WRITTEN = (".h5", ".hdf5", ".zarr", ".npz", ".npy", ".fits", ".csv", ".parquet", ".xyz", ".extxyz")
_BESIDE = (".npy", ".fits", ".csv", ".parquet")


def check_output(path: str | Path, endings: Sequence[str] | None = None) -> None:
    """Refuse a file that could not be written, before any work is done for it.

    Arguments:
        path: path of the file.
        endings: known endings; None for those of `write`.

    Raises:
        UsageError: for an unknown ending, or a folder that does not exist or cannot be written.
    """
    path = Path(path)
    known = tuple(endings or _WRITTEN)
    if path.suffix.lower() not in known:
        raise UsageError(f"{path} has no known ending to write; known are {', '.join(known)}")
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} for {path.name} does not exist; make it first")
    if path.is_dir() and not (path.suffix.lower() == ".zarr" and (path / "zarr.json").exists()):
        raise UsageError(f"{path} is a folder; give a file name")
    if path.suffix.lower() == ".zarr" and find_spec("zarr") is None:
        raise UsageError(f"writing {path.name} needs Zarr: pip install 'pushforward[zarr]'")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(f"the folder {path.parent} for {path.name} cannot be written; choose another")


def write(simulated: Simulated, path: str | Path) -> None:
    """Write members in the format of the ending of ``path``.

    Arguments:
        simulated: members, with their conditions and space.
        path: path of the file; an existing file is replaced.

    Raises:
        UsageError: for an unknown ending, a folder that cannot be written, a full disk, or fields in a table.
    """
    path = Path(path)
    check_output(path)
    ending = path.suffix.lower()
    if ending not in (".h5", ".hdf5") and simulated.space.kind == "trajectory":
        raise UsageError(f"trajectories are written as HDF5, with their times; give a file .h5 instead of {path.name}")
    _atomically(path, lambda target: format_module(ENDINGS[ending]).write_file(simulated, target))
    if simulated.conditions is not None and ending in _BESIDE:
        beside = path.with_name(f"{path.stem}.conditions.csv")
        _atomically(beside, lambda target: format_module("tables").write_conditions(simulated, target))
    fields = simulated.condition_fields
    if fields is not None and ending in _BESIDE:
        beside = path.with_name(f"{path.stem}.condition.npy")
        flat = format_module("npy").flat_maps(fields, simulated.space)
        _atomically(beside, lambda target: np.save(target, flat))


def _atomically(path: Path, save: Callable[[Path], None]) -> None:
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        save(partial)
        if path.is_dir():
            shutil.rmtree(path)  # a Zarr folder cannot be replaced by renaming
        os.replace(partial, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)
