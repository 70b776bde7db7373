"""Spaces: the kind, shape and geometry of one sample.

The geometry is what models and statistics need: whether a field is periodic, the size of its box, whether its
statistics are isotropic. A batch of samples has shape ``(batch, *space.shape)``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any, ClassVar

from pushforward.arguments import checked_fields
from pushforward.errors import UsageError

__all__ = [
    "Field",
    "Particles",
    "Series",
    "Space",
    "Trajectory",
    "Vector",
    "space_from_dict",
    "space_to_dict",
]


@checked_fields(dim=1)
@dataclass(frozen=True)
class Vector:
    """A point in R^dim: a catalogue row, a set of parameters. One sample has shape ``(dim,)``.

    Arguments:
        dim: numbers in a sample.
        names: of the numbers; empty if they have none.
        gaps: places of the numbers that may be missing (NaN), which is a value of theirs like any other.
    """

    kind: ClassVar[str] = "vector"
    grid: ClassVar[tuple[int, ...]] = ()
    timed: ClassVar[bool] = False

    dim: int
    names: tuple[str, ...] = ()
    gaps: tuple[int, ...] = field(default=(), repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dim,)

    @property
    def degrees(self) -> int:
        """Degrees of freedom of a sample."""
        return self.size

    @property
    def size(self) -> int:
        return self.dim


@checked_fields(channels=1, grid=1)
@dataclass(frozen=True)
class Field:
    """Values on a regular grid: a map or a cube. One sample has shape ``(channels, *grid)``.

    Arguments:
        channels: number of physical fields, such as density and temperature.
        grid: cells along each axis, ``(height, width)`` or ``(depth, height, width)``.
        periodic: whether the field is periodic along every axis.
        box: side length along the first axis, in the user's unit of length; None measures lengths in cells.
        isotropic: whether rotations and reflections of a sample are as likely as the sample.
    """

    kind: ClassVar[str] = "field"
    timed: ClassVar[bool] = False

    channels: int
    grid: tuple[int, ...]
    periodic: bool = False
    box: float | None = None
    isotropic: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.channels, *self.grid)

    @property
    def degrees(self) -> int:
        """Degrees of freedom of a sample."""
        return self.size

    @property
    def size(self) -> int:
        return prod(self.shape)


@checked_fields(count=1, dim=1)
@dataclass(frozen=True)
class Particles:
    """``count`` unordered particles in R^dim. One sample has shape ``(count, dim)``.

    Arguments:
        count: particles per sample; those of one species are indistinguishable.
        dim: of space.
        box: side length of the periodic cube, in the user's unit of length; None without periodic boundaries.
        species: of each particle, ``count`` names such as chemical symbols; empty if all are of one species.
        centred: whether the centre of mass of every sample is at the origin, so that densities are those of the
            ``(count - 1) * dim`` remaining coordinates.

    Raises:
        UsageError: if the species are not ``count`` names, or both a periodic box and ``centred`` are given.
    """

    kind: ClassVar[str] = "particles"
    grid: ClassVar[tuple[int, ...]] = ()
    timed: ClassVar[bool] = False

    count: int
    dim: int
    box: float | None = None
    species: tuple[str, ...] = ()
    centred: bool = False

    def __post_init__(self) -> None:
        if self.species and len(self.species) != self.count:
            raise UsageError(
                f"{len(self.species)} species were given for {self.count} particles; give one per particle"
            )
        if self.centred and self.box is not None:
            raise UsageError("particles in a periodic box have no centre of mass; leave out box or centred")

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.count, self.dim)

    @property
    def size(self) -> int:
        return self.count * self.dim

    @property
    def degrees(self) -> int:
        """Degrees of freedom of a sample: coordinates, without those of a fixed centre of mass."""
        return self.size - self.dim if self.centred else self.size


@checked_fields(dim=1, length=1)
@dataclass(frozen=True)
class Series:
    """A time series of ``length`` observations in R^dim, at regular or at its own times.

    At regular times one sample has shape ``(length, dim)``. With its own times (``timed``) it has shape ``(length, 1 +
    dim)``: column 0 is the time, which does not decrease along the rows. A value that was not observed is NaN; a series
    with fewer than ``length`` observations ends in rows that repeat the last time and hold NaN.

    Arguments:
        dim: numbers observed at each time.
        length: rows per sample.
        timed: whether column 0 of a sample holds the times.
        names: of the numbers observed; empty if they have none.
    """

    kind: ClassVar[str] = "series"
    grid: ClassVar[tuple[int, ...]] = ()

    dim: int
    length: int
    timed: bool = False
    names: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.length, self.timed + self.dim)

    @property
    def degrees(self) -> int:
        """Degrees of freedom of a sample."""
        return self.size

    @property
    def size(self) -> int:
        return self.length * (self.timed + self.dim)


@checked_fields(count=1, dim=1)
@dataclass(frozen=True)
class Trajectory:
    """Snapshots of moving particles. One sample has shape ``(len(times), 2, count, dim)``.

    The second axis holds positions, then momenta per unit of mass, usually velocities. A particle keeps its index along
    the third axis at all times.

    Arguments:
        count: number of particles.
        dim: of space.
        times: of the snapshots, ascending, in the user's unit; the first is that of the initial state.
        box: side length of the periodic cube, in the user's unit of length; None without periodic boundaries.
    """

    kind: ClassVar[str] = "trajectory"
    grid: ClassVar[tuple[int, ...]] = ()
    timed: ClassVar[bool] = False

    count: int
    dim: int
    times: tuple[float, ...]
    box: float | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.times), 2, self.count, self.dim)

    @property
    def degrees(self) -> int:
        """Degrees of freedom of a sample."""
        return self.size

    @property
    def size(self) -> int:
        return prod(self.shape)


Space = Vector | Field | Particles | Series | Trajectory
_KINDS: dict[str, Any] = {kind.__name__.lower(): kind for kind in (Vector, Field, Particles, Series, Trajectory)}


def space_to_dict(space: Space) -> dict[str, Any]:
    """A space as plain values, for `space_from_dict`."""
    values = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(space).items()}
    if not values.get("gaps"):
        values.pop("gaps", None)
    return {"kind": type(space).__name__.lower(), **values}


def space_from_dict(values: dict[str, Any]) -> Space:
    """The space of the plain values from `space_to_dict`.

    Raises:
        UsageError: if the kind is unknown.
    """
    values = dict(values)
    kind = values.pop("kind", None)
    if kind not in _KINDS:
        raise UsageError(f"a space of kind {kind!r} is unknown; known kinds are {', '.join(_KINDS)}")
    return _KINDS[kind](**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})
