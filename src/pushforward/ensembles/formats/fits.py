"""FITS: images, read by position, and binary tables."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from pushforward.ensembles.formats.contents import WHOLE_SKY, Contents
from pushforward.ensembles.formats.metadata import attributes, coordinate_names
from pushforward.ensembles.reading import listed
from pushforward.ensembles.stores import InMemory, Positional, Store
from pushforward.errors import DataError, UsageError
from pushforward.simulate.simulated import Simulated

__all__ = ["open_file", "write_file"]

_TYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


def open_file(path: Path, field: str | None = None) -> Contents:
    """First image of a FITS file, or else its first table.

    A two-dimensional image is one map, and one with more axes is a stack of members along its first axis (the last one
    in the order of FITS, NAXISn). Numeric columns of a binary table are coordinates.

    Arguments:
        path: path of the file.
        field: name (EXTNAME) or number of the header-data unit; the first with data by default.

    Raises:
        DataError: if the file is truncated or holds neither an image nor a table.
    """
    with warnings.catch_warnings():
        # astropy only warns of a truncated file, which is detected by its size below.
        warnings.simplefilter("ignore", AstropyWarning)
        try:
            with fits.open(path, memmap=False, lazy_load_hdus=False) as units:
                return _contents(path, units, field)
        except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path.name} cannot be read as FITS ({error}); it may be truncated or damaged") from None


def _contents(path: Path, units: fits.HDUList, field: str | None) -> Contents:
    named = field is not None and (field.isdigit() or field.upper() in {unit.name for unit in units})
    for unit in [units[_unit(field)]] if field and named else units:
        if isinstance(unit, fits.BinTableHDU) and not isinstance(unit, fits.CompImageHDU):
            wanted = () if named else listed(field)
            absent = [name for name in wanted if name not in unit.columns.names]
            if absent:
                raise DataError(
                    f"{path.name} has no unit and no column called {absent[0]!r}; its columns are "
                    f"{', '.join(unit.columns.names)}"
                )
            return _table(path, unit, wanted)
        if unit.is_image and unit.header.get("NAXIS", 0) > 0:
            return _map(path, unit)
    raise DataError(f"{path.name} holds no image and no table")


def _map(path: Path, unit: Any) -> Contents:
    source, header = _image(path, unit), dict(unit.header)
    return Contents(
        source,
        column=lambda name: {name: np.array([header[name]])} if name in header else None,
        one_member=True if len(source.shape) == 2 else None,
        attributes={"units": (str(header["BUNIT"]),)} if "BUNIT" in header else {},
    )


def _unit(field: str) -> int | str:
    return int(field) if field.isdigit() else field


def _image(path: Path, unit: Any) -> Store:
    header = unit.header
    plain = not isinstance(unit, fits.CompImageHDU) and path.suffix.lower() not in (".gz", ".bz2", ".fz")
    if not plain or "BLANK" in header:
        return InMemory(np.asarray(unit.data).astype(np.float32), path.name)
    shape = tuple(int(header[f"NAXIS{axis}"]) for axis in range(header["NAXIS"], 0, -1))
    # astropy removes BSCALE and BZERO from the header when it reads the data, and keeps their original values.
    scale, zero = float(unit._orig_bscale), float(unit._orig_bzero)
    offset = unit.fileinfo()["datLoc"]
    return Positional(path, offset, np.dtype(_TYPES[unit._orig_bitpix]), shape, scale=scale, zero=zero)


def _values(unit: fits.BinTableHDU, column: fits.Column) -> np.ndarray:
    """Column with NaN where the table declares a value as missing (TNULL)."""
    values = np.asarray(unit.data[column.name])
    if column.null is None or values.dtype.kind not in "iu":
        return values
    return np.where(values == int(column.null), np.nan, values.astype(np.float64))


def _table(path: Path, unit: fits.BinTableHDU, wanted: tuple[str, ...] = ()) -> Contents:
    """Numeric columns of a table; or the ``wanted`` column of several numbers per row, or numeric ones."""
    columns = {column.name: _values(unit, column) for column in unit.columns}
    numeric = {name: values for name, values in columns.items() if values.ndim == 1 and values.dtype.kind in "fiub"}
    vectors = {name: values for name, values in columns.items() if values.ndim > 1 and values.dtype.kind in "fiub"}

    def column(name: str) -> dict[str, np.ndarray] | None:
        return {name: columns[name]} if name in columns else None

    if len(wanted) == 1 and wanted[0] in vectors:
        return Contents(
            InMemory(vectors[wanted[0]], f"{wanted[0]} of {path.name}"),
            column=column,
            one_member=False,
            left_out={name: name for name in columns if name not in wanted},
            how=f"{path.name}: other columns are left out: {{}}; --condition includes one",
        )
    if str(unit.header.get("PIXTYPE", "")).upper() == "HEALPIX" or "NSIDE" in unit.header:
        raise DataError(f"{path.name} holds {WHOLE_SKY}")
    shown = ", ".join(f"{name} {values.shape[1:]}" for name, values in vectors.items())
    numeric = {name: numeric[name] for name in wanted if name in numeric} if wanted else numeric
    if not numeric:
        raise DataError(
            f"the columns of the table in {path.name} hold several numbers per row ({shown}); name one with --field, "
            "whose rows are the members"
            if vectors
            else f"the table in {path.name} has no column of numbers; it has {', '.join(columns)}"
        )
    asked = (
        f"{path.name} has columns of several numbers per row ({shown}) and of one ({', '.join(numeric)}); "
        f"give --field {next(iter(vectors))} for members from the first, or --columns {next(iter(numeric))} for the "
        "second"
        if vectors and not wanted
        else None
    )
    return Contents(
        InMemory(np.stack(list(numeric.values()), axis=1), path.name),
        names=tuple(numeric),
        column=column,
        kind="vector",
        one_member=False,
        left_out={name: name for name in columns if name not in numeric},
        how=f"{path.name}: columns that are not plain numbers are left out: {{}}",
        question=asked,
        attributes={"units": {column.name: column.unit for column in unit.columns if column.unit}},
    )


def write_file(simulated: Simulated, path: Path) -> None:
    """Write vectors as a binary table with units, other members as one image; geometry and origin as keywords.

    Raises:
        UsageError: if the name of a coordinate is not ASCII, as FITS requires.
    """
    header = fits.Header()
    for key, value in attributes(simulated).items():
        if key in ("columns", "units"):
            continue
        header[key[:8].upper()] = " ".join(map(str, value)) if isinstance(value, tuple) else value
    if simulated.space.kind != "vector":
        if len(set(simulated.units)) == 1:
            header["BUNIT"] = simulated.units[0]
        fits.PrimaryHDU(simulated.x, header).writeto(path, overwrite=True)
        return
    names = coordinate_names(simulated.space)
    strange = [name for name in names if not name.isascii()]
    if strange:
        raise UsageError(f"FITS requires column names in ASCII, unlike {strange[0]!r}; write .csv, .h5 or .npz")
    kind = "D" if simulated.x.dtype == np.float64 else "E"
    units = simulated.units if len(simulated.units) == len(names) else ("",) * len(names)
    columns = [
        fits.Column(name, kind, unit=unit or None, array=values)
        for name, unit, values in zip(names, units, simulated.x.T, strict=True)
    ]
    fits.BinTableHDU.from_columns(columns, header).writeto(path, overwrite=True)
