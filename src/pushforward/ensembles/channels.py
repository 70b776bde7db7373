"""Channels of a sample by its kind: values that share a preprocessing, their axis, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

import numpy as np

from pushforward.ensembles import pointwise
from pushforward.ensembles.pointwise_selection import Choice, choose
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Field, Particles, Series, Space, Vector

__all__ = [
    "channel_axis",
    "channel_name",
    "channel_values",
    "shortened",
    "suited",
    "time_channels",
    "trailing_axes",
    "transforms_wanted",
]


@singledispatch
def channel_values(space: Space, x: np.ndarray) -> list[np.ndarray]:
    """Values of each channel of a batch, shape ``(members, values)``; without missing ones.

    Raises:
        DataError: if a channel was not observed in any member.
    """
    return [x[..., number].reshape(len(x), -1) for number in range(x.shape[-1])]


@channel_values.register
def _(space: Vector, x: np.ndarray) -> list[np.ndarray]:
    columns = [x[:, number] for number in range(space.dim)]
    return [
        _observed(values, channel_name(space, number))[:, None] if number in space.gaps else values[:, None]
        for number, values in enumerate(columns)
    ]


@channel_values.register
def _(space: Field, x: np.ndarray) -> list[np.ndarray]:
    return [x[:, channel].reshape(len(x), -1) for channel in range(space.channels)]


@channel_values.register
def _(space: Particles, x: np.ndarray) -> list[np.ndarray]:
    # All coordinates share one scale, so that rotations stay a symmetry in network units.
    return [x.reshape(len(x), -1)]


@channel_values.register
def _(space: Series, x: np.ndarray) -> list[np.ndarray]:
    return [_observed(x[..., number], channel_name(space, number)) for number in range(x.shape[-1])]


def _observed(values: np.ndarray, label: str) -> np.ndarray:
    found = values[~np.isnan(values)]
    if len(found) == 0:
        raise DataError(f"{label} was not observed in any of {len(values)} members; leave it out")
    return found


@singledispatch
def suited(space: Space, values: np.ndarray, wanted: str, label: str) -> Choice:
    """Pointwise function of a channel.

    Raises:
        DataError: if the values are constant, or outside the support of the requested function.
        UsageError: if the kind of sample does not allow it.
    """
    return choose(values, wanted, label)


@suited.register
def _(space: Particles, values: np.ndarray, wanted: str, label: str) -> Choice:
    if wanted == "none":
        return choose(values, wanted, label)
    if wanted not in ("auto", "standardise"):
        raise UsageError(f"transform={wanted} would break the symmetry of particles; use standardise or none")
    # About the origin, so that rotations stay rotations.
    scale = float(np.sqrt(np.square(values, dtype=np.float64).mean()))
    if scale == 0:
        raise DataError(f"{label} are 0 in every member: there is nothing to learn from constant data")
    return Choice("standardise", 0.0, scale, reason="one scale for all coordinates")


@singledispatch
def channel_axis(space: Space) -> int:
    """Channel axis of a batch."""
    return -1


@channel_axis.register
def _(space: Field) -> int:
    return 1


@singledispatch
def trailing_axes(space: Space) -> int:
    """Number of axes of a batch after the channel axis."""
    return 0


@trailing_axes.register
def _(space: Field) -> int:
    return len(space.grid)


@singledispatch
def time_channels(space: Space) -> int:
    """Number of leading channels that hold times, not values."""
    return 0


@time_channels.register
def _(space: Series) -> int:
    return int(space.timed)


@singledispatch
def channel_name(space: Space, number: int) -> str:
    """Name of a channel in messages."""
    return f"x{number + 1}"


@channel_name.register
def _(space: Vector, number: int) -> str:
    return space.names[number] if space.names else f"x{number + 1}"


@channel_name.register
def _(space: Field, number: int) -> str:
    return "the field" if space.channels == 1 else f"channel {number}"


@channel_name.register
def _(space: Particles, number: int) -> str:
    return "positions"


@channel_name.register
def _(space: Series, number: int) -> str:
    place = number - space.timed
    if place < 0:
        return "time"
    return space.names[place] if space.names else f"x{place + 1}"


@singledispatch
def _can_be_scored(space: Space) -> bool:
    """Whether each channel may be mapped by a function of its own."""
    return True


@_can_be_scored.register
def _(space: Particles) -> bool:
    return False


def transforms_wanted(transform: str | Sequence[str], space: Space, channels: int) -> tuple[list[str], list[int]]:
    """The pointwise function requested for each channel, and the channels to map to normal scores after it.

    Raises:
        UsageError: if a transform is unknown, or there are not as many as channels.
    """
    timed = time_channels(space)
    wanted = [transform] * channels if isinstance(transform, str) else ["none"] * timed + list(transform)
    known = ("auto", "gaussianise", *pointwise.KINDS)
    unknown = [kind for kind in wanted if kind not in known]
    if unknown:
        raise UsageError(f"there is no transform {unknown[0]!r}; there are {', '.join(known)}")
    if len(wanted) != channels:
        raise UsageError(f"{len(wanted)} transforms were given for {channels} channels; give one, or one per channel")
    if "gaussianise" in wanted and not _can_be_scored(space):
        raise UsageError("transform=gaussianise would break the symmetry of particles; use standardise or none")
    scored = [number for number, kind in enumerate(wanted) if kind == "gaussianise" and number >= timed]
    return ["auto" if kind == "gaussianise" else kind for kind in wanted], scored


def shortened(lines: list[str], most: int = 12) -> list[str]:
    """The first lines, and how many more there are."""
    return lines if len(lines) <= most else [*lines[: most - 1], f"... and {len(lines) - most + 1} more like these"]
