"""Raw data, conditions and options of reading assembled to an `Ensemble`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.ensembles.centring import told_by_centres
from pushforward.ensembles.condition_fields import MembersWithFields, with_condition_fields, without_fields
from pushforward.ensembles.conditions import Conditions
from pushforward.ensembles.crops import Tiles
from pushforward.ensembles.ensemble import Ensemble
from pushforward.ensembles.formats import Contents
from pushforward.ensembles.members import Whole
from pushforward.ensembles.missing import Gaps
from pushforward.ensembles.paths import tables_beside, unused_in_paths
from pushforward.ensembles.raw_data import RawData
from pushforward.ensembles.series import TIMED
from pushforward.ensembles.shapes import Layout, layout_of
from pushforward.ensembles.stores import Store
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Field, Space

__all__ = ["assembled", "cropped", "given_fields"]


def assembled(
    raw: RawData,
    conditions: Conditions | None,
    space: Space | str | None,
    members: int | None,
    geometry: dict[str, Any],
    spec: dict[str, Any] | None,
    gaps: Gaps,
) -> Ensemble:
    """First ``members`` of the raw data, with their conditions and groups.

    Arguments:
        space, members: as in `read`.
        geometry: periodic, isotropic, box and centred, each None if not given.
        spec: arguments that read the ensemble again.
        gaps: treatment of missing values.

    Raises:
        DataError: if there are fewer members, or some lack values and no treatment is given.
        UsageError: if the shape does not fit the space.
    """
    contents = raw.contents[0] if raw.contents else None
    layout, centring_stated = _layout(raw, contents, space, geometry)
    count = raw.source.shape[0]
    if members is not None and members > count:
        raise DataError(f"{members} members were requested, but {raw.name} has {count}")
    first = np.arange(count if members is None else members)
    groups = _groups(raw, conditions)
    source, layout, first, of_gaps, learnt = gaps.mended(raw.source, layout, first, raw.name)
    if conditions is not None:
        first, more = gaps.with_conditions(conditions, first, raw.name)
        of_gaps += more
    whole = Whole(source, layout.space.shape, channels_last=layout.channels_last, rows=first).widened(layout.space)
    told, of_centres = told_by_centres(layout.space, whole, stated=centring_stated)
    return Ensemble(
        whole,
        told,
        conditions=None if conditions is None else conditions.values[first],
        parameters=() if conditions is None else conditions.parameters,
        groups=None if groups is None else groups[first],
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


def given_fields(whole: Ensemble, fields: Store) -> Ensemble:
    """The ensemble with condition fields, one per member.

    Raises:
        DataError: if they do not match the members.
    """
    assert isinstance(whole.members, Whole)
    members, field = with_condition_fields(whole.members, whole.space, fields, whole.name)
    coarser = "" if field.shape[1:] == whole.space.shape[1:] else f" on a grid of {field.grid}"
    return whole.replaced(
        members=members,
        condition_field=field,
        notes=(*whole.notes, f"each member is conditional on a field of {fields.label}{coarser}"),
    )


def cropped(whole: Ensemble, crop: int | Sequence[int]) -> Ensemble:
    """Crops of the members as members; each has the condition of the field that it is cut from.

    Raises:
        UsageError: if the members are not fields.
    """
    members = without_fields(whole.members)
    if not isinstance(whole.space, Field) or not isinstance(members, Whole):
        raise UsageError(f"crop needs fields, but members of {whole.name} are {whole.space}")
    tiles = Tiles.of(members, whole.space, crop, whole.name)
    cut, field = whole.members.cropped(tiles) if isinstance(whole.members, MembersWithFields) else (tiles, None)
    rows = np.searchsorted(members.rows, tiles.fields)
    return whole.replaced(
        members=cut,
        space=tiles.space,
        condition_field=field,
        conditions=None if whole.conditions is None else whole.conditions[rows],
        groups=tiles.places,
        notes=(*whole.notes, *tiles.notes()),
        # Exact properties are those of the uncropped field.
        exact=None,
    )


def _layout(
    raw: RawData, contents: Contents | None, space: Space | str | None, geometry: Mapping[str, Any]
) -> tuple[Layout, bool]:
    """Layout of the members by what the user gives, the files state and the shape tells; whether centring is stated."""
    stated: dict[str, Any] = {}
    if contents is not None:
        stated = {key: value for key, value in contents.attributes.items() if key in (*geometry, "species")}
    if raw.catalogue is not None:
        stated, space = raw.catalogue.geometry, space or raw.catalogue.space(raw.source.shape)
    if contents is not None and contents.kind == TIMED and not isinstance(space, Space):
        space = TIMED
    if isinstance(space, Space):
        stated = {key: value for key, value in stated.items() if key not in ("species", "centred")}
    known = stated | {key: value for key, value in geometry.items() if value is not None}
    layout = layout_of(
        raw.source.shape,
        space or (contents.kind if contents else None),
        names=(contents.names or contents.attributes.get("coordinates", ())) if contents else (),
        times=contents.attributes.get("times", ()) if contents else (),
        label=raw.name,
        **known,
    )
    return layout, isinstance(space, Space) or "centred" in known


def _groups(raw: RawData, conditions: Conditions | None) -> NDArray[Any] | None:
    """Groups of all members: from the names of CAMELS files, from the files, or from the conditions."""
    if raw.catalogue is not None:
        return np.asarray(raw.catalogue.groups(raw.counts))
    if raw.contents and "groups" in raw.contents[0].attributes:
        return np.concatenate([each.attributes["groups"] for each in raw.contents])
    return None if conditions is None or conditions.groups is None else np.asarray(conditions.groups)


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


def _geometry_note(space: Space) -> tuple[str, ...]:
    """Note on the assumed geometry of a field, which determines the symmetries of data augmentation."""
    if not isinstance(space, Field):
        return ()
    wraps = "periodic" if space.periodic else "not periodic"
    turns = "isotropic" if space.isotropic else "not isotropic"
    side = "lengths in cells" if space.box is None else f"box {space.box:g}"
    return (f"fields are taken as {wraps} and {turns}, {side}; periodic, isotropic and box change this",)
