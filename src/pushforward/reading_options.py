"""Command-line options for reading data, declared once for all commands."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from pushforward.existing import check_beside

__all__ = ["READING", "reads_data"]

_OPTIONS: dict[str, tuple[Any, Any]] = {
    "condition": (
        list[str] | None,
        typer.Option(
            help="File of parameters or labels, one row per member or simulation, or of one field per member; or none."
        ),
    ),
    "space": (
        str | None,
        typer.Option(metavar="KIND", help="Kind of a member: vector, field, particles, series, timed-series."),
    ),
    "crop": (int | None, typer.Option(help="Train on random square crops of this many cells.", min=1)),
    "members": (int | None, typer.Option(help="Number of members to use, or to make for a built-in set.")),
    "columns": (str | None, typer.Option(metavar="A,B,...", help="Columns of a table with the members' values.")),
    "id": (str | None, typer.Option(metavar="COLUMN", help="Column of a table with the series of each row.")),
    "time": (str | None, typer.Option(metavar="COLUMN", help="Column of a table with the times.")),
    "missing": (
        str | None,
        typer.Option(metavar="drop|fill|mask|keep", help="Treatment of members with missing values."),
    ),
    "mask": (str | None, typer.Option(metavar="FILE", help="Array, non-zero where a value is missing.")),
    "field": (str | None, typer.Option("--field", help="Array to read from a file with several.")),
    "box": (
        str | None,
        typer.Option(metavar="LENGTH", help="Side length of a field, with its unit if you like: 25, '25 Mpc/h'."),
    ),
    "periodic": (bool | None, typer.Option("--periodic/--no-periodic", help="Whether fields are periodic.")),
    "isotropic": (bool | None, typer.Option("--isotropic/--no-isotropic", help="Whether statistics are isotropic.")),
    "complex_parts": (
        bool | None,
        typer.Option("--complex-parts", help="Read complex numbers as two channels, the real and the imaginary part."),
    ),
}
READING = tuple(_OPTIONS)


def reads_data(command: Callable[..., None]) -> Callable[..., None]:
    """Decorate a command with the reading options; it receives those given as the dictionary ``reading``."""
    signature = inspect.signature(command, eval_str=True)
    own = [each for each in signature.parameters.values() if each.name != "reading"]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option])
        for name, (kind, option) in _OPTIONS.items()
    ]

    @functools.wraps(command)
    def reading_command(**arguments: Any) -> None:
        reading = {name: arguments.pop(name) for name in READING}
        check_beside([*(reading["condition"] or ()), *([reading["mask"]] if reading["mask"] else [])])
        command(**arguments, reading={name: value for name, value in reading.items() if value is not None})

    own = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
    combined = signature.replace(parameters=[*own, *shared])
    reading_command.__dict__["__signature__"] = combined
    reading_command.__annotations__ = {each.name: each.annotation for each in combined.parameters.values()}
    return reading_command
