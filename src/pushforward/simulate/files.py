"""Members to files, with their conditions and what is known of their space, so that `pushforward.read` knows it too.

| ending | members | conditions, groups | box, periodic, isotropic, kind, columns, units, seed, version |
|---|---|---|---|
| ``.h5``, ``.hdf5`` | dataset ``x`` | dataset ``conditions``, attribute ``names``; dataset ``groups`` | attributes |
| ``.zarr`` | array ``x`` | array ``conditions``, attributes ``names``, ``classes``; array ``groups`` | attributes |
| ``.npz`` | array ``x`` | arrays ``conditions``, ``names``, ``groups`` | arrays |
| ``.npy`` | the array | beside it in ``NAME.conditions.csv`` | |
| ``.fits`` | the image, or a table of vectors | beside it in ``NAME.conditions.csv`` | keywords |
| ``.csv``, ``.parquet`` | a row each, vectors only | beside it in ``NAME.conditions.csv`` | names of columns |
| ``.xyz``, ``.extxyz`` | a frame each, particles only | comment lines | cell, species |

Timed series are arrays ``times``, ``values`` and, where it is known, ``truth`` in ``.npz``; in ``.csv`` and
``.parquet`` they have a row for every observation, with columns ``series``, ``time`` and the values.

Fields that members are given with are ``condition_fields`` in ``.h5``, ``.zarr`` and ``.npz``, and beside the other
formats in ``NAME.condition.npy``.

Trajectories are written to ``.h5`` alone: dataset ``x`` of shape (members, times, 2, count, dim), and attributes
``times`` and ``box``.

Labels are written as the names of their classes. An HDF5 file with labels has a group ``conditions`` with a dataset for
each column instead. A file is written under another name and moved into place: it is whole or absent.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import UsageError
from pushforward.simulate.particle_files import write_extxyz
from pushforward.simulate.simulated import Simulated
from pushforward.spaces import Space

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_output", "write"]

_TABLES = (".csv", ".parquet")
_BESIDE = (".npy", ".fits", *_TABLES)


def check_output(path: str | Path, endings: Sequence[str] | None = None) -> None:
    """Refuse a file that could not be written, before any work is done for it.

    Arguments:
        path: of the file.
        endings: that are known; None for those that `write` knows.

    Raises:
        UsageError: for an ending that is no format, or a folder that is not there or cannot be written.
    """
    path = Path(path)
    known = tuple(endings or _WRITERS)
    if path.suffix.lower() not in known:
        raise UsageError(f"{path} has no known ending to write; known are {', '.join(known)}")
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} for {path.name} does not exist; make it first")
    if path.is_dir() and not (path.suffix.lower() == ".zarr" and (path / "zarr.json").exists()):
        raise UsageError(f"{path} is a folder, and a file name is needed")
    if path.suffix.lower() == ".zarr" and find_spec("zarr") is None:
        raise UsageError(f"writing {path.name} needs Zarr: pip install 'pushforward[zarr]'")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(f"the folder {path.parent} for {path.name} cannot be written; choose another")


def write(simulated: Simulated, path: str | Path) -> None:
    """Write members in the format of the ending of ``path``.

    Arguments:
        simulated: members, with their conditions and space.
        path: of the file; what is there is replaced.

    Raises:
        UsageError: for an unknown ending, a folder that cannot be written, a full disk, or fields in a table.
    """
    path = Path(path)
    check_output(path)
    ending = path.suffix.lower()
    if ending in _TABLES and simulated.space.kind != "vector" and not simulated.space.timed:
        raise UsageError(
            f"a table holds vectors or timed series, not members of shape {simulated.space.shape}: write .h5 or .npz"
        )
    if ending not in (".h5", ".hdf5") and simulated.space.kind == "trajectory":
        raise UsageError(f"trajectories are written as HDF5, with their times: give a file .h5 instead of {path.name}")
    _atomically(path, lambda target: _WRITERS[ending](simulated, target))
    if simulated.conditions is not None and ending in _BESIDE:
        beside = path.with_name(f"{path.stem}.conditions.csv")
        _atomically(beside, lambda target: _write_conditions(simulated, target))
    fields = simulated.condition_fields
    if fields is not None and ending in _BESIDE:
        _atomically(
            path.with_name(f"{path.stem}.condition.npy"), lambda target: np.save(target, _flat(fields, simulated.space))
        )


def _atomically(path: Path, save: Callable[[Path], None]) -> None:
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        save(partial)
        if path.is_dir():
            shutil.rmtree(path)  # a Zarr folder, which cannot be replaced as a file is
        os.replace(partial, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)


def _geometry(simulated: Simulated) -> dict[str, Any]:
    space = simulated.space
    values: dict[str, Any] = {"kind": "timed-series" if space.timed else space.kind}
    for name in ("periodic", "isotropic", "box", "times", "species", "centred"):
        if getattr(space, name, None) not in (None, ()):
            values[name] = getattr(space, name)
    if names := getattr(space, "names", ()):
        values["columns"] = names
    return values


def _attributes(simulated: Simulated) -> dict[str, Any]:
    """What a file says of its members beside their geometry."""
    units = {"units": simulated.units} if simulated.units else {}
    return {**_geometry(simulated), **units, **simulated.origin}


def _columns(simulated: Simulated) -> dict[str, NDArray[Any]]:
    """Conditions by name, labels as the names of their classes."""
    if simulated.conditions is None:
        return {}
    columns = dict(zip(simulated.names, simulated.conditions.T, strict=True))
    return {
        name: np.array(simulated.classes[name])[values.astype(np.intp)] if name in simulated.classes else values
        for name, values in columns.items()
    }


def _write_hdf5(simulated: Simulated, path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["x"] = simulated.x
        if simulated.classes:
            for name, values in _columns(simulated).items():
                file[f"conditions/{name}"] = values.astype("S") if values.dtype.kind == "U" else values
        elif simulated.conditions is not None:
            file["conditions"] = simulated.conditions
            file["conditions"].attrs["names"] = list(simulated.names)
        if simulated.condition_fields is not None:
            file["condition_fields"] = simulated.condition_fields
        if simulated.groups is not None:
            file["groups"] = simulated.groups
        for name, value in _attributes(simulated).items():
            file.attrs[name] = list(value) if isinstance(value, tuple) else value


def _write_zarr(simulated: Simulated, path: Path) -> None:
    import zarr

    group = zarr.open_group(str(path), mode="w")
    arrays = {"x": simulated.x, "conditions": simulated.conditions, "groups": simulated.groups}
    for name, values in {**arrays, "condition_fields": simulated.condition_fields}.items():
        if values is not None:
            group[name] = np.ascontiguousarray(values)
    about = _attributes(simulated)
    if simulated.conditions is not None:
        about |= {"names": simulated.names, "classes": simulated.classes}
    group.attrs.update(json.loads(json.dumps(about, default=lambda number: number.item())))


def _write_npz(simulated: Simulated, path: Path) -> None:
    arrays: dict[str, NDArray[Any]] = {"times": simulated.x[..., 0], "values": simulated.x[..., 1:]}
    if not simulated.space.timed:
        arrays = {"x": simulated.x}
    elif simulated.truth is not None:
        arrays["truth"] = simulated.truth
    arrays |= {key: np.array(value) for key, value in _attributes(simulated).items()}
    if simulated.conditions is not None:
        # One array has one type: words if every column is a label, else numbers.
        words = set(simulated.names) == set(simulated.classes)
        columns = np.stack(list(_columns(simulated).values()), axis=1) if words else simulated.conditions
        arrays |= {"conditions": columns, "names": np.array(simulated.names)}
    if simulated.condition_fields is not None:
        arrays["condition_fields"] = simulated.condition_fields
    if simulated.groups is not None:
        arrays["groups"] = simulated.groups
    np.savez(path, allow_pickle=False, **arrays)


def _write_npy(simulated: Simulated, path: Path) -> None:
    np.save(path, _flat(simulated.x, simulated.space), allow_pickle=False)


def _flat(x: NDArray[np.float32], space: Space) -> NDArray[np.float32]:
    """(N, H, W) is a map for everybody; a cube keeps its channel, since (N, D, H, W) reads as maps of D channels."""
    return x[:, 0] if len(space.grid) == 2 and x.shape[1] == 1 else x


def _write_fits(simulated: Simulated, path: Path) -> None:
    from astropy.io import fits

    header = fits.Header()
    for key, value in _attributes(simulated).items():
        if key in ("columns", "units"):
            continue
        header[key[:8].upper()] = " ".join(map(str, value)) if isinstance(value, tuple) else value
    if simulated.space.kind != "vector":
        fits.PrimaryHDU(simulated.x, header).writeto(path, overwrite=True)
        return
    names = _coordinates(simulated.space)
    strange = [name for name in names if not name.isascii()]
    if strange:
        raise UsageError(f"FITS has names of columns in ASCII alone, unlike {strange[0]!r}: write .csv, .h5 or .npz")
    kind = "D" if simulated.x.dtype == np.float64 else "E"
    units = simulated.units if len(simulated.units) == len(names) else ("",) * len(names)
    columns = [
        fits.Column(name, kind, unit=unit or None, array=values)
        for name, unit, values in zip(names, units, simulated.x.T, strict=True)
    ]
    fits.BinTableHDU.from_columns(columns, header).writeto(path, overwrite=True)


def _write_csv(simulated: Simulated, path: Path) -> None:
    if simulated.space.timed:
        _write_observations(simulated, path)
        return
    names = _coordinates(simulated.space)
    np.savetxt(path, simulated.x, delimiter=",", header=",".join(names), comments="", fmt=_digits(simulated.x))


def _write_parquet(simulated: Simulated, path: Path) -> None:
    import pandas as pd

    if simulated.space.timed:
        _observations(simulated).to_parquet(path)
    else:
        pd.DataFrame(simulated.x, columns=list(_coordinates(simulated.space))).to_parquet(path)


def _digits(*arrays: NDArray[Any]) -> str:
    """The format that writes all digits of the numbers in arrays."""
    return "%.17g" if any(values.dtype == np.float64 for values in arrays) else "%.9g"


def _write_observations(simulated: Simulated, path: Path) -> None:
    _observations(simulated).to_csv(path, index=False, float_format=_digits(simulated.x))


def _observations(simulated: Simulated) -> pd.DataFrame:
    import pandas as pd

    count, length, columns = simulated.x.shape
    rows = simulated.x.reshape(-1, columns)
    frame = pd.DataFrame(rows, columns=["time", *(f"x{number}" for number in range(columns - 1))])
    frame.insert(0, "series", np.repeat(np.arange(count), length))
    # a row of which nothing was observed only fills a short series up
    return frame.drop(index=np.flatnonzero(np.isnan(rows[:, 1:]).all(axis=1)))


def _write_xyz(simulated: Simulated, path: Path) -> None:
    write_extxyz(simulated, path, _columns(simulated))


def _coordinates(space: Space) -> tuple[str, ...]:
    return getattr(space, "names", ()) or tuple(f"x{i}" for i in range(space.size))


def _write_conditions(simulated: Simulated, path: Path) -> None:
    import pandas as pd

    columns = _columns(simulated)
    pd.DataFrame(columns).to_csv(path, index=False, float_format=_digits(*columns.values()))


_WRITERS: dict[str, Callable[[Simulated, Path], None]] = {
    ".h5": _write_hdf5,
    ".hdf5": _write_hdf5,
    ".zarr": _write_zarr,
    ".npz": _write_npz,
    ".npy": _write_npy,
    ".fits": _write_fits,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".xyz": _write_xyz,
    ".extxyz": _write_xyz,
}
