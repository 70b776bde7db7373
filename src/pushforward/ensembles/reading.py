"""Options of reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pushforward.errors import UsageError
from pushforward.spaces import Space

__all__ = ["MISSING", "Reading", "listed"]

MISSING = ("drop", "fill", "mask", "keep")
"""Treatments of missing values: leave out such members; insert the median; learn them with the values; or use the
numbers unchanged."""


@dataclass(frozen=True)
class Reading:
    """Options of reading members.

    Attributes:
        space: space of a member, or its kind; None infers it from the shape.
        crop_axes: number of axes of a crop: 0 without a crop, -1 if unknown.
        field: name of the dataset, unit or columns to read.
        columns: columns of a table with the values of the members; all of numbers if empty.
        id: columns of a table that together name the series of each row.
        time: column of a table with the times.
        missing: one of `MISSING`; None refuses missing values.
        complex_parts: whether complex numbers are read as two channels.

    Raises:
        UsageError: if ``missing`` is unknown.
    """

    space: Space | str | None = None
    crop_axes: int = 0
    field: str | None = None
    columns: tuple[str, ...] = ()
    id: tuple[str, ...] = ()
    time: str | None = None
    missing: str | None = None
    complex_parts: bool = False

    def __post_init__(self) -> None:
        if self.missing is not None and self.missing not in MISSING:
            raise UsageError(f"--missing takes {', '.join(MISSING)}, not {self.missing!r}")

    @property
    def of_tables(self) -> str | None:
        """Name of a given option that only tables have, if any."""
        given = {"--columns": self.columns, "--id": self.id, "--time": self.time}
        return next((name for name, value in given.items() if value), None)


def listed(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Names from a string separated by commas, or from a sequence."""
    if names is None:
        return ()
    return tuple(name.strip() for name in (names.split(",") if isinstance(names, str) else names) if name.strip())
