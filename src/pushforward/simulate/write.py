"""Samples to files, with their conditions and what is known of their space: what `pushforward.read` reads back.

- ``.h5``: dataset ``x``, dataset ``conditions`` with attribute ``names``, dataset ``groups``, attributes ``kind``,
  ``box``, ``periodic``, ``isotropic``;
- ``.npz``: the same as arrays;
- ``.npy``, ``.fits``: the samples, with the conditions beside them in ``NAME.conditions.csv``;
- ``.csv``: vectors, one column a coordinate, and the conditions likewise beside them.

Files are written under another name and moved into place, so that a file is whole or absent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pushforward.errors import UsageError
from pushforward.simulate.simulated import Simulated
from pushforward.spaces import Field, Vector

__all__ = ["check_output", "write"]


def check_output(path: str | Path, endings: Sequence[str] | None = None) -> None:
    """Refuse a file that could not be written, before any work is done for it.

    Raises:
        UsageError: for an ending that is no format, or a folder that is not there or cannot be written.
    """
    path = Path(path)
    known = tuple(endings or _WRITERS)
    if path.suffix not in known:
        raise UsageError(f"{path} has no known ending to write; known are {', '.join(known)}")
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} for {path.name} does not exist; make it first")
    if path.is_dir():
        raise UsageError(f"{path} is a folder, a file name is needed")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"the folder {path.parent} for {path.name} cannot be written")


def write(simulated: Simulated, path: str | Path) -> None:
    """Write samples in the format of the ending of ``path``.

    Raises:
        UsageError: as `check_output`, or for fields in a table.
    """
    path = Path(path)
    check_output(path)
    if path.suffix == ".csv" and not isinstance(simulated.space, Vector):
        raise UsageError(f"a table holds vectors, not samples of shape {simulated.space.shape}: write .npy or .h5")
    _atomically(path, lambda target: _WRITERS[path.suffix](simulated, target))
    if simulated.conditions is not None and path.suffix in (".npy", ".csv", ".fits"):
        beside = path.with_name(f"{path.stem}.conditions.csv")
        _atomically(beside, lambda target: _write_conditions(simulated, target))


def _atomically(path: Path, save: Callable[[Path], None]) -> None:
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        save(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _geometry(simulated: Simulated) -> dict[str, str | float | bool]:
    space = simulated.space
    values: dict[str, str | float | bool] = {"kind": type(space).__name__.lower()}
    if isinstance(space, Field):
        values |= {"periodic": space.periodic, "isotropic": space.isotropic}
        if space.box is not None:
            values["box"] = space.box
    return values


def _write_hdf5(simulated: Simulated, path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["x"] = simulated.x
        if simulated.conditions is not None:
            file["conditions"] = simulated.conditions
            file["conditions"].attrs["names"] = list(simulated.names)
            for name, classes in simulated.classes.items():
                file["conditions"].attrs[f"classes of {name}"] = list(classes)
        if simulated.groups is not None:
            file["groups"] = simulated.groups
        file.attrs.update(_geometry(simulated))


def _write_npz(simulated: Simulated, path: Path) -> None:
    arrays = {"x": simulated.x, **{key: np.array(value) for key, value in _geometry(simulated).items()}}
    if simulated.conditions is not None:
        arrays |= {"conditions": simulated.conditions, "names": np.array(simulated.names)}
    if simulated.groups is not None:
        arrays["groups"] = simulated.groups
    np.savez(path, **arrays)


def _write_npy(simulated: Simulated, path: Path) -> None:
    channels_only = isinstance(simulated.space, Field) and simulated.space.channels == 1
    np.save(path, simulated.x[:, 0] if channels_only else simulated.x)


def _write_fits(simulated: Simulated, path: Path) -> None:
    from astropy.io import fits

    header = fits.Header()
    for key, value in _geometry(simulated).items():
        header[key[:8].upper()] = value
    fits.PrimaryHDU(simulated.x, header).writeto(path, overwrite=True)


def _write_csv(simulated: Simulated, path: Path) -> None:
    space = simulated.space
    names = space.names if isinstance(space, Vector) and space.names else [f"x{i}" for i in range(space.size)]
    np.savetxt(path, simulated.x, delimiter=",", header=",".join(names), comments="", fmt="%.8g")


def _write_conditions(simulated: Simulated, path: Path) -> None:
    import pandas as pd

    table = pd.DataFrame(simulated.conditions, columns=list(simulated.names))
    for name, classes in simulated.classes.items():
        table[name] = [classes[int(index)] for index in table[name]]
    table.to_csv(path, index=False, float_format="%.8g")


_WRITERS: dict[str, Callable[[Simulated, Path], None]] = {
    ".h5": _write_hdf5,
    ".hdf5": _write_hdf5,
    ".npz": _write_npz,
    ".npy": _write_npy,
    ".fits": _write_fits,
    ".csv": _write_csv,
}
