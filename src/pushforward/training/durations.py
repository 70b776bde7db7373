"""Durations as people write them: ``90s``, ``10m``, ``1h30m``, or a number of seconds."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from pushforward.errors import UsageError

__all__ = ["Duration", "parse_duration", "say_duration"]

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([dhms])\s*")


def parse_duration(text: str | float) -> float:
    """Duration in seconds.

    >>> parse_duration("1h30m"), parse_duration("90s"), parse_duration(2)
    (5400.0, 90.0, 2.0)

    Raises:
        UsageError: if the text is not a duration.
    """
    seconds = _seconds(str(text).strip().lower())
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        raise UsageError(f"{text!r} is not a length of time; write it like 90s, 10m, 1h30m, or as a number of seconds")
    return seconds


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        parts = _PART.findall(text)
        return sum(float(n) * _UNITS[u] for n, u in parts) if parts and not _PART.sub("", text) else None


def say_duration(seconds: float) -> str:
    """Format a duration for people.

    >>> say_duration(5430.2), say_duration(9.5)
    ('1 h 30 min', '9.5 s')
    """
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _validate(value: Any) -> Any:
    return value if value is None else parse_duration(value)


Duration = Annotated[float, BeforeValidator(_validate)]
