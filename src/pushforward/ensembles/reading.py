"""What a user says of how data are to be read, beside the files themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pushforward.errors import UsageError
from pushforward.spaces import Space

__all__ = ["MISSING", "Reading", "listed"]

MISSING = ("drop", "fill", "mask", "keep")
"""What can be done with missing values: leave out such members, put the median in their place, do this and add a
channel that says where they were missing (of series: leave them missing), or take them as they are."""


@dataclass(frozen=True)
class Reading:
    """How members are read.

    Attributes:
        space: what a member is; None tells by the shape.
        crop_axes: axes that a crop has: 0 if there is none, -1 if it does not say.
        field: name of the dataset, unit or columns to read.
        columns: of a table, that hold the members' values; all of numbers if empty.
        id: columns of a table that together name the series of each row.
        time: column of a table that holds the times.
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
        """An option that only tables have, if one was given."""
        given = {"--columns": self.columns, "--id": self.id, "--time": self.time}
        return next((name for name, value in given.items() if value), None)


def listed(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Names as they are given: separated by commas, or several."""
    if names is None:
        return ()
    return tuple(name.strip() for name in (names.split(",") if isinstance(names, str) else names) if name.strip())
