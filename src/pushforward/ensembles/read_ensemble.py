"""`read`: from a file, a glob, a folder, an array or a built-in name to an `Ensemble`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pushforward.arguments import checked
from pushforward.ensembles.assembly import assembled, cropped, given_fields
from pushforward.ensembles.boxes import side_and_unit
from pushforward.ensembles.builtin import find_near, is_built_in, read_built_in
from pushforward.ensembles.condition_sources import conditions_of, separate
from pushforward.ensembles.ensemble import Ensemble
from pushforward.ensembles.missing import Gaps
from pushforward.ensembles.raw_data import RawData, find, found_array
from pushforward.ensembles.reading import Reading, listed
from pushforward.ensembles.specs import absolute, plain_arguments, spec_of
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Space, space_from_dict

__all__ = ["read"]


@checked(members=1)
def read(
    data: Any,
    condition: Any = None,
    *,
    space: Space | str | Mapping[str, Any] | None = None,
    crop: int | Sequence[int] | None = None,
    members: int | None = None,
    periodic: bool | None = None,
    isotropic: bool | None = None,
    box: float | str | None = None,
    centred: bool | None = None,
    field: str | None = None,
    columns: str | Sequence[str] | None = None,
    id: str | Sequence[str] | None = None,
    time: str | None = None,
    missing: str | Mapping[str, Any] | None = None,
    mask: Any = None,
    complex_parts: bool = False,
    names: Sequence[str] | None = None,
    labels: str | Sequence[str] = (),
    seed: int = 0,
    **options: Any,
) -> Ensemble:
    """Read an ensemble lazily.

    >>> read("maps.npy", condition="params.txt")  # doctest: +SKIP
    >>> read("convergence_*.fits", condition="redshifts.csv", crop=64)  # doctest: +SKIP
    >>> read("two-moons", members=1000, seed=1)  # doctest: +SKIP

    Arguments:
        data: a file, a glob, a folder, a list of files, an array, or the name of a built-in ensemble, which takes
            precedence over a folder of that name (``./dw4`` is the folder). Several files that each hold one
            array of two axes are one member each.
        condition: a table (.csv, .txt, .parquet) or array (.npy) with one row per member or per ``k`` consecutive
            members, or with a column of file names; names, separated by commas, of datasets, columns, attributes or
            header keywords of the data files; an array, a frame, or a mapping of names to columns; ``"path"`` for the
            numbers in the names of files and folders (``kappa_0.25/configs.npy``). None uses the conditions in the
            data files, and numbers in paths unless they are whole; False ignores both. Or condition fields, one per
            member: files of any format, an array, or the name of a dataset, on the members' grid or one coarser by a
            whole number. A list may hold fields and a table.
        space: a Space, or its kind if the shape is ambiguous: ``"vector"``, ``"field"``, ``"particles"``,
            ``"series"``, ``"timed-series"`` (an array whose column 0 is the time). With ``"series"``, a table whose
            rows are observations is read by its columns of names, times and values.
        crop: side in cells, or one per axis: members are crops of the fields. A region of every field, the same in
            all, is held out for validation and test.
        members: number of members to read from the start of a file, or to simulate for a built-in ensemble.
        periodic: whether fields have periodic boundaries.
        isotropic: whether rotations and reflections of a field are as likely as the field.
        box: side length of a field along its first axis, in the user's unit of length, with the unit if reports should
            show it (``"25 Mpc/h"``); for a built-in simulation with such an option, the simulated box.
        centred: whether to move the centres of mass of particles to the origin, if they are not there; None infers it
            from the file and from some members.
        field: name of the dataset (.h5, .npz, .zarr), the header-data unit (.fits), or the columns (tables, separated
            by commas) that hold the members.
        columns: columns of a table with the values of the members or of a series, separated by commas.
        id: column of a table (or several, separated by commas) that names the series of a row.
        time: column of a table with the times of series.
        missing: treatment of members that lack values: ``"drop"`` leaves them out, ``"fill"`` inserts the median,
            ``"mask"`` learns gaps: as a value (NaN) of columns, or, in fields, by a channel that is 1 where the median
            was inserted (series keep their gaps), ``"keep"`` uses numbers such as -99 as values. For further data of
            a run, its attribute ``missing``: what is inserted, and where gaps may be, are those of its training data.
        mask: array, or a file with one, that is not 0 where a value is missing; for all members, for one, or for
            a grid.
        complex_parts: whether complex numbers are read as two channels, real and imaginary part.
        names: names of the columns of conditions, if their file has none.
        labels: names of columns of conditions that are labels though they hold numbers.
        seed: seed of a built-in simulation.
        options: options of a built-in simulation.

    Raises:
        DataError: if files cannot be found or read, or do not match.
        UsageError: if an argument is invalid.
    """
    if isinstance(data, Ensemble):
        return data
    if isinstance(space, Mapping):
        space = space_from_dict(dict(space))
    labels, gaps = listed(labels), Gaps.of(missing, mask)
    side, box_unit = side_and_unit(box)
    geometry = {"periodic": periodic, "isotropic": isotropic, "box": side, "centred": centred}
    reading = Reading(
        space,
        crop_axes=_crop_axes(crop),
        field=field,
        columns=listed(columns),
        id=listed(id),
        time=time,
        missing=gaps.missing,
        complex_parts=bool(complex_parts),
    )
    arguments = plain_arguments(
        {
            "condition": condition,
            "space": space,
            "crop": crop if crop is None or isinstance(crop, int) else tuple(crop),
            "members": members,
            **geometry | {"box": box if box_unit else side},
            "field": field,
            "columns": reading.columns,
            "id": reading.id,
            "time": time,
            "missing": gaps.missing,
            "mask": absolute(mask) if isinstance(mask, str | Path) else mask,
            "complex_parts": complex_parts or None,
            "names": None if names is None else tuple(names),
            "labels": labels,
        }
    )
    if is_built_in(data):
        return read_built_in(
            data, condition, space, crop, members, geometry, seed=seed, options=options, arguments=arguments
        )
    if options:
        raise UsageError(f"read has no argument {next(iter(options))!r}, unless it is an option of a built-in ensemble")
    raw, spec = _found(data, reading, arguments)
    condition, fields = separate(condition, raw)
    conditions = conditions_of(raw, condition, names, labels)
    raw = _without_conditions(raw, listed(condition) if isinstance(condition, str) else ())
    whole = assembled(raw, conditions, space, members, geometry, spec, gaps)
    if box_unit:
        whole = whole.replaced(box_unit=box_unit)
    if fields is not None:
        whole = given_fields(whole, fields)
    return whole if crop is None else cropped(whole, crop)


def _crop_axes(crop: int | Sequence[int] | None) -> int:
    """Number of axes of a crop, -1 if it is known only with the fields."""
    if crop is None:
        return 0
    return -1 if isinstance(crop, int) else len(crop)


def _found(data: Any, reading: Reading, arguments: Mapping[str, Any]) -> tuple[RawData, dict[str, Any] | None]:
    """Raw data of files or of an array, and the arguments that read them again; None for an array."""
    if isinstance(data, str | Path) or _is_list_of_paths(data):
        return _in_files(data, reading), spec_of(data, arguments)
    return found_array(data, reading), None


def _in_files(data: Any, reading: Reading) -> RawData:
    """Raw data of files; the error, if there are none, names a built-in ensemble of a similar name."""
    try:
        return find(data, reading)
    except DataError as error:
        near = find_near(data) if isinstance(data, str) and not Path(data).suffix else None
        if near is not None and not Path(data).exists():
            raise DataError(f"{error}; did you mean the built-in ensemble {near!r}?") from None
        raise


def _without_conditions(raw: RawData, taken: Sequence[str]) -> RawData:
    """Raw data without the columns that are taken as conditions, and with notes on what else is left out."""
    if raw.contents:
        for column in taken:
            raw = raw.without_column(column)
    return replace(raw, notes=(*raw.notes, *raw.unused(taken)))


def _is_list_of_paths(data: Any) -> bool:
    return isinstance(data, list | tuple) and all(isinstance(each, str | Path) for each in data)
