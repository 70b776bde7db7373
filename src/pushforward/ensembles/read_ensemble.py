"""`read`: from a file, a glob, a folder, an array or a built-in name to an `Ensemble`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.arguments import checked
from pushforward.ensembles import builtin
from pushforward.ensembles.boxes import side_and_unit
from pushforward.ensembles.centring import told_by_centres
from pushforward.ensembles.condition_fields import MembersWithFields, with_condition_fields, without_fields
from pushforward.ensembles.condition_sources import conditions_of, separate
from pushforward.ensembles.conditions import Conditions
from pushforward.ensembles.crops import Tiles
from pushforward.ensembles.ensemble import Ensemble
from pushforward.ensembles.formats import Contents
from pushforward.ensembles.members import Whole
from pushforward.ensembles.missing import Gaps
from pushforward.ensembles.paths import tables_beside, unused_in_paths
from pushforward.ensembles.raw_data import RawData, find, found_array
from pushforward.ensembles.reading import Reading, listed
from pushforward.ensembles.series import TIMED
from pushforward.ensembles.shapes import layout_of
from pushforward.ensembles.stores import Store
from pushforward.errors import DataError, UsageError
from pushforward.simulate import option_names
from pushforward.simulate.registry import registered
from pushforward.spaces import Field, Space, space_from_dict, space_to_dict

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
    missing = gaps.missing
    side, box_unit = side_and_unit(box)
    geometry = {"periodic": periodic, "isotropic": isotropic, "box": side, "centred": centred}
    arguments = {
        "condition": condition,
        "space": space_to_dict(space) if space is not None and not isinstance(space, str) else space,
        "crop": crop if crop is None or isinstance(crop, int) else list(crop),
        "members": members,
        **geometry | {"box": box if box_unit else side},
        "field": field,
        "columns": list(listed(columns)) or None,
        "id": list(listed(id)) or None,
        "time": time,
        "missing": missing,
        "mask": _absolute(mask) if isinstance(mask, str | Path) else mask,
        "complex_parts": complex_parts or None,
        "names": None if names is None else list(names),
        "labels": list(labels) or None,
    }
    if _is_built_in(data):
        strange = [
            key for key in ("columns", "id", "time", "missing", "mask", "complex_parts") if arguments[key] is not None
        ]
        if strange:
            raise UsageError(f"{data} is built in and has no option {strange[0]}; leave out --{strange[0]}")
        # A box that the simulator accepts is simulated, not assigned to members of another box.
        own = {name: value for name, value in geometry.items() if value is not None and name in option_names(data)}
        ensemble = builtin.simulate(data, members, seed, **options, **own)
        geometry = {name: None if name in own else value for name, value in geometry.items()}
        made = {"data": data, "seed": seed, **options, **_without_none(arguments)}
        return _from_built_in(ensemble, condition, space, crop, geometry, made)
    if options:
        raise UsageError(f"read has no argument {next(iter(options))!r}, unless it is an option of a built-in ensemble")
    reading = Reading(
        space,
        crop_axes=0 if crop is None else -1 if isinstance(crop, int) else len(crop),
        field=field,
        columns=listed(columns),
        id=listed(id),
        time=time,
        missing=missing,
        complex_parts=bool(complex_parts),
    )
    if isinstance(data, str | Path) or _is_list_of_paths(data):
        raw = _find(data, reading)
        spec = _spec(data, condition, _without_none(arguments))
    else:
        raw, spec = found_array(data, reading), None
    condition, fields = separate(condition, raw)
    conditions = conditions_of(raw, condition, names, labels)
    if isinstance(condition, str) and raw.contents:
        for column in listed(condition):
            raw = raw.without_column(column)
    taken = listed(condition) if isinstance(condition, str) else ()
    raw = replace(raw, notes=(*raw.notes, *raw.unused(taken)))
    whole = _whole(raw, conditions, space, members, geometry, spec, gaps)
    if box_unit:
        whole = whole.replaced(box_unit=box_unit)
    if fields is not None:
        whole = _given(whole, fields)
    return whole if crop is None else _cropped(whole, crop)


def _given(whole: Ensemble, fields: Store) -> Ensemble:
    """Members with condition fields, one per member."""
    assert isinstance(whole.members, Whole)
    members, field = with_condition_fields(whole.members, whole.space, fields, whole.name)
    coarser = "" if field.shape[1:] == whole.space.shape[1:] else f" on a grid of {field.grid}"
    return Ensemble(
        members,
        whole.space,
        condition_field=field,
        conditions=whole.conditions,
        parameters=whole.parameters,
        groups=whole.groups,
        name=whole.name,
        notes=(*whole.notes, f"each member is conditional on a field of {fields.label}{coarser}"),
        spec=whole.spec,
        missing=whole.missing,
        units=whole.units,
        box_unit=whole.box_unit,
    )


def _whole(
    raw: RawData,
    conditions: Conditions | None,
    space: Space | str | None,
    members: int | None,
    geometry: dict[str, Any],
    spec: dict[str, Any] | None,
    gaps: Gaps,
) -> Ensemble:
    """First ``members`` of the raw data, with their conditions and groups."""
    contents = raw.contents[0] if raw.contents else None
    stated = (
        {key: value for key, value in contents.attributes.items() if key in (*geometry, "species")} if contents else {}
    )
    if raw.catalogue is not None:
        stated, space = raw.catalogue.geometry, space or raw.catalogue.space(raw.source.shape)
    if contents is not None and contents.kind == TIMED and not isinstance(space, Space):
        space = TIMED
    given = {key: value for key, value in geometry.items() if value is not None}
    if isinstance(space, Space):
        stated = {key: value for key, value in stated.items() if key not in ("species", "centred")}
    layout = layout_of(
        raw.source.shape,
        space or (contents.kind if contents else None),
        names=(contents.names or contents.attributes.get("coordinates", ())) if contents else (),
        times=contents.attributes.get("times", ()) if contents else (),
        label=raw.name,
        **stated | given,
    )
    count = raw.source.shape[0]
    if members is not None and members > count:
        raise DataError(f"{members} members were requested, but {raw.name} has {count}")
    first = np.arange(count if members is None else members)
    groups = conditions.groups if conditions is not None else None
    if contents is not None and "groups" in contents.attributes:
        groups = np.concatenate([each.attributes["groups"] for each in raw.contents])
    if raw.catalogue is not None:
        groups = raw.catalogue.groups(raw.counts)
    source, layout, first, of_gaps, learnt = gaps.mended(raw.source, layout, first, raw.name)
    if conditions is not None:
        first, more = gaps.with_conditions(conditions, first, raw.name)
        of_gaps += more
    whole = Whole(source, layout.space.shape, channels_last=layout.channels_last, rows=first).widened(layout.space)
    told, of_centres = told_by_centres(
        layout.space, whole, stated=isinstance(space, Space) or "centred" in stated | given
    )
    return Ensemble(
        whole,
        told,
        conditions=None if conditions is None else conditions.values[first],
        parameters=() if conditions is None else conditions.parameters,
        groups=None if groups is None else np.asarray(groups)[first],
        name=raw.name,
        notes=(
            *raw.notes,
            *(_possible_conditions(raw, count) if conditions is None and raw.catalogue is None else ()),
            *layout.notes,
            *of_gaps,
            *of_centres,
            *_geometry_note(layout.space),
            *(conditions.notes if conditions is not None else ()),
        ),
        spec=spec,
        missing=None if learnt is None else learnt.to_dict(),
        units=_units(contents, layout.space),
        box_unit=str(contents.attributes.get("box_unit", "")) if contents is not None else "",
    )


def _units(contents: Contents | None, space: Space) -> tuple[str, ...]:
    """Units stated by the files: of the channels, of each column, or one for all."""
    stated = contents.attributes.get("units", ()) if contents is not None else ()
    if isinstance(stated, Mapping):
        names = getattr(space, "names", ())
        return tuple(stated.get(name, "") for name in names) if any(name in stated for name in names) else ()
    return tuple(np.atleast_1d(np.asarray(stated, dtype=object)).astype(str).tolist())


def _possible_conditions(raw: RawData, count: int) -> list[str]:
    """Notes on possible conditions, which are used only on request."""
    return [*tables_beside(raw.files, count), *(unused_in_paths(raw.files) if len(raw.files) > 1 else ())]


def _from_built_in(
    ensemble: Ensemble,
    condition: Any,
    space: Space | str | None,
    crop: int | Sequence[int] | None,
    geometry: dict[str, Any],
    spec: dict[str, Any],
) -> Ensemble:
    if condition is not None and condition is not False:
        raise UsageError(f"{ensemble.name} has its own conditions; condition=False leaves them out")
    if space is not None:
        raise UsageError(f"{ensemble.name} is a built-in ensemble of {ensemble.space}; space cannot be given")
    layout = layout_of((len(ensemble), *ensemble.space.shape), ensemble.space, label=ensemble.name, **geometry)
    whole = Ensemble(
        without_fields(ensemble.members) if condition is False else ensemble.members,
        layout.space,
        condition_field=None if condition is False else ensemble.condition_field,
        conditions=None if condition is False else ensemble.conditions,
        parameters=() if condition is False else ensemble.parameters,
        groups=ensemble.groups,
        name=ensemble.name,
        notes=(*_notes_on_name(ensemble.name), *ensemble.notes),
        spec=spec,
        exact=ensemble.exact,
    )
    return whole if crop is None else _cropped(whole, crop)


def _cropped(whole: Ensemble, crop: int | Sequence[int]) -> Ensemble:
    """Crops of the members as members; each has the condition of the field that it is cut from."""
    members = without_fields(whole.members)
    if not isinstance(whole.space, Field) or not isinstance(members, Whole):
        raise UsageError(f"crop needs fields, but members of {whole.name} are {whole.space}")
    tiles = Tiles.of(members, whole.space, crop, whole.name)
    cut, field = whole.members.cropped(tiles) if isinstance(whole.members, MembersWithFields) else (tiles, None)
    return Ensemble(
        cut,
        tiles.space,
        condition_field=field,
        conditions=None if whole.conditions is None else whole.conditions[np.searchsorted(members.rows, tiles.fields)],
        parameters=whole.parameters,
        groups=tiles.places,
        name=whole.name,
        notes=(*whole.notes, *tiles.notes()),
        spec=whole.spec,
        missing=whole.missing,
        units=whole.units,
        box_unit=whole.box_unit,
    )


def _geometry_note(space: Space) -> tuple[str, ...]:
    """Note on the assumed geometry of a field, which determines the symmetries of data augmentation."""
    if not isinstance(space, Field):
        return ()
    wraps = "periodic" if space.periodic else "not periodic"
    turns = "isotropic" if space.isotropic else "not isotropic"
    side = "lengths in cells" if space.box is None else f"box {space.box:g}"
    return (f"fields are taken as {wraps} and {turns}, {side}; periodic, isotropic and box change this",)


def _is_built_in(data: Any) -> bool:
    """Whether a built-in ensemble is meant: by its bare name, whatever lies in the current folder."""
    return isinstance(data, str) and re.fullmatch(r"[a-z0-9-]+", data) is not None and data in registered()


def _notes_on_name(name: str) -> tuple[str, ...]:
    """A note where a file or a folder is called like the built-in ensemble that is read."""
    path = Path(name)
    if not path.exists():
        return ()
    return (f"{name} is the built-in ensemble; the {'folder' if path.is_dir() else 'file'} of that name is ./{name}",)


def _is_of_files(condition: str | Path) -> bool:
    """Whether a condition means files, not a name inside the data files."""
    return Path(condition).expanduser().exists() or any(letter in str(condition) for letter in "*?[")


def _is_list_of_paths(data: Any) -> bool:
    return isinstance(data, list | tuple) and all(isinstance(each, str | Path) for each in data)


def _find(data: Any, reading: Reading) -> RawData:
    try:
        return find(data, reading)
    except DataError as error:
        near = builtin.find_near(data) if isinstance(data, str) and not Path(data).suffix else None
        if near is not None and not Path(data).exists():
            raise DataError(f"{error}; did you mean the built-in ensemble {near!r}?") from None
        raise


def _without_none(arguments: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in arguments.items() if value is not None}


def _spec(data: Any, condition: Any, arguments: dict[str, Any]) -> dict[str, Any] | None:
    """Arguments that reread the same files from any folder; None if conditions or a mask are arrays in memory."""
    each = list(condition) if isinstance(condition, list | tuple) else [condition]
    if "mask" in arguments and not isinstance(arguments["mask"], str):
        return None
    if any(part is not None and part is not False and not isinstance(part, str | Path) for part in each):
        return None
    paths = [_absolute(part) if isinstance(part, str | Path) and _is_of_files(part) else part for part in each]
    if condition is not None:
        arguments["condition"] = paths if isinstance(condition, list | tuple) else paths[0]
    return {
        "data": _absolute(data) if isinstance(data, str | Path) else [_absolute(path) for path in data],
        **arguments,
    }


def _absolute(path: str | Path) -> str:
    return str(Path(path).expanduser().absolute())
