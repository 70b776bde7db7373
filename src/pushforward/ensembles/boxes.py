"""Side length of a box with its unit: ``25``, ``"25 Mpc/h"``."""

from __future__ import annotations

import re

from pushforward.errors import UsageError

__all__ = ["measured"]


def measured(box: float | str | None) -> tuple[float | None, str]:
    """Side length and unit of length; the unit is empty if none is given.

    >>> measured("25 Mpc/h"), measured(25.0), measured(None)
    ((25.0, 'Mpc/h'), (25.0, ''), (None, ''))

    Raises:
        UsageError: if the text does not begin with a positive number.
    """
    if not isinstance(box, str):
        return box, ""
    found = re.fullmatch(r"\s*(\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)\s*(.*?)\s*", box)
    if found is None or not float(found[1]) > 0:
        raise UsageError(f"box is {box!r}, but must be a positive length, with its unit if there is one: '25 Mpc/h'")
    return float(found[1]), found[2]
