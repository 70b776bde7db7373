"""Inference of the Space of members from the shape of an array."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import prod
from typing import Any

from pushforward.errors import DataError, UsageError
from pushforward.spaces import Field, Particles, Series, Space, Trajectory, Vector, space_from_dict

__all__ = ["Layout", "layout_of"]

_RULES = (
    "expected (members, dim), (members, height, width), (members, channels, height, width) or "
    "(members, channels, depth, height, width)"
)

_FEW = 4
"""Largest length of an axis of coordinates or channels, which is unlikely to be the side of a map."""


@dataclass(frozen=True)
class Layout:
    """Conversion of stored members to members of a Space.

    Attributes:
        space: space of the members.
        channels_last: whether the last axis of a stored member is its channel.
        notes: assumptions made.
    """

    space: Space
    channels_last: bool = False
    notes: tuple[str, ...] = ()


def layout_of(
    shape: tuple[int, ...],
    space: Space | str | dict[str, Any] | None = None,
    *,
    periodic: bool | None = None,
    isotropic: bool | None = None,
    box: float | None = None,
    names: tuple[str, ...] = (),
    times: tuple[float, ...] = (),
    centred: bool | None = None,
    species: tuple[str, ...] | None = None,
    label: str = "the array",
) -> Layout:
    """Layout of an array of shape ``shape = (members, ...)``.

    Arguments:
        shape: shape of the stored array.
        space: a Space, its kind, or its description in plain values; None infers it from the shape.
        periodic, isotropic, box: properties of a Field; None if unknown.
        names: names of the coordinates of a Vector, or of the numbers of a timed Series.
        times: times of the snapshots of a Trajectory.
        centred, species: properties of Particles; None if unknown.
        label: name of the array in messages.

    Raises:
        DataError: if no Space, or not the given one, has members of this shape.
        UsageError: if a property is given that the kind of sample does not have.
    """
    if isinstance(space, dict):
        space = space_from_dict(space)
    if len(shape) == 0 or 0 in shape:
        raise DataError(f"{label} has shape {shape}, which has no members; {_RULES}")
    if space is None or isinstance(space, str):
        layout = _told_by_shape(shape, space, names, times, label)
    else:
        layout = Layout(space)
        if shape[1:] not in (space.shape, _without_unit_axes(space)):
            raise DataError(f"{label} has members of shape {shape[1:]}, but the given space has {space.shape}")
    properties: dict[str, Any] = {
        "periodic": periodic, "isotropic": isotropic, "box": box, "centred": centred, "species": species,
    }  # fmt: skip
    given = {key: value for key, value in properties.items() if value is not None}
    if not given:
        return layout
    strange = given.keys() - {each.name for each in fields(layout.space)}
    if strange:
        hint = "; a box makes particles periodic (--box LENGTH)" if hasattr(layout.space, "box") else ""
        raise UsageError(
            f"members of {label} are {layout.space}, which has no {' and no '.join(sorted(strange))}{hint}"
        )
    return replace(layout, space=replace(layout.space, **given))


def _without_unit_axes(space: Space) -> tuple[int, ...]:
    """Shape in which a single channel or a single coordinate is often stored."""
    match space:
        case Field(channels=1):
            return space.grid
        case Vector(dim=1):
            return ()
        case Series(dim=1, timed=False):
            return (space.length,)
        case _:
            return space.shape


def _could_be_points(rows: int, columns: int) -> bool:
    """Whether an axis of an array is as short as one of coordinates or channels, so that it is unlikely to be a map."""
    return (columns <= _FEW and rows != columns) or (rows <= _FEW and columns >= 4 * rows)


def _told_by_shape(
    shape: tuple[int, ...], kind: str | None, names: tuple[str, ...], times: tuple[float, ...], label: str
) -> Layout:
    member = shape[1:]
    match (kind, len(member)):
        case (None | "vector", 0):
            return Layout(Vector(1, names))
        case (None | "vector", 1):
            return Layout(Vector(member[0], names))
        case ("vector", _):
            return Layout(Vector(prod(member)), notes=(f"members of shape {member} are taken as vectors, in C order",))
        case (None, 2) if _could_be_points(*member):
            raise UsageError(
                f"{label} has members of shape {member}, which could be {member[0]} particles of {member[1]} "
                f"coordinates, a series of {member[0]} times, or a picture; give --space particles, series or field"
            )
        case (None, 4) if member[0] > _FEW and member[0] in member[1:]:
            raise UsageError(
                f"{label} has members of shape {member}, which could be a lattice in four dimensions, but fields have "
                "up to three; give --space field to take the first axis as channels, or --space vector for numbers "
                "without a grid"
            )
        case (None | "field", 2):
            return Layout(Field(1, member))
        case (None | "field", 3) if len(set(member)) == 1 and member[0] >= 8:
            return Layout(Field(1, member), notes=(f"members of shape {member} are taken as cubes, not as channels",))
        case (None | "field", 3) if member[-1] <= 4 < member[0]:
            field = Field(member[-1], member[:-1])
            return Layout(field, True, (f"the last axis of {member} is taken as the channel",))
        case (None | "field", 3 | 4):
            return Layout(Field(member[0], member[1:]))
        case ("particles", 2):
            return Layout(Particles(member[0], member[1]))
        case ("series", 1):
            return Layout(Series(1, member[0]))
        case ("series", 2):
            return Layout(Series(member[1], member[0]))
        case ("timed-series", 2) if member[1] > 1:
            return Layout(Series(member[1] - 1, member[0], timed=True, names=names))
        case ("trajectory", 4) if member[1] == 2 and len(times) == member[0]:
            return Layout(Trajectory(member[2], member[3], times))
        case ("trajectory", _):
            raise DataError(
                f"{label} has shape {shape} and {len(times)} times; trajectories have shape (members, times, 2, count, "
                "dim), positions before momenta, and an attribute 'times' with one number per snapshot"
            )
        case (None | "field", 5):
            raise DataError(
                f"{label} has members of shape {member}, a lattice in four dimensions, but fields have up to three; "
                "give slices, or --space vector for numbers without a grid"
            )
        case (None | "field" | "particles" | "series" | "timed-series", _):
            what = f" of {kind} members" if kind else ""
            raise DataError(f"{label} has shape {shape}, which is none{what} that is known: {_RULES}")
        case _:
            raise UsageError(
                f"a space of kind {kind!r} is unknown; known are vector, field, particles, series, timed-series and "
                "trajectory"
            )
