"""Side length of a box with its unit: ``25``, ``"25 Mpc/h"``."""

from __future__ import annotations

import re

from pushforward.errors import UsageError

__all__ = ["side_and_unit"]


def side_and_unit(box: float | str | None) -> tuple[float | None, str]:
    """Side length of a box, None if there is none, and its unit of length, empty if none is given.

    >>> side_and_unit("25 Mpc/h"), side_and_unit(25.0), side_and_unit(None)
    ((25.0, 'Mpc/h'), (25.0, ''), (None, ''))

    Raises:
        UsageError: if a text does not begin with a positive number.
    """
    if box is None:
        return None, ""
    if not isinstance(box, str):
        box = repr(float(box))
    found = re.fullmatch(r"\s*(\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)\s*(.*?)\s*", box)
    if found is None or not float(found[1]) > 0:
        raise UsageError(
            f"box={box!r} was given; give a positive length, with its unit if it has one, such as '25 Mpc/h'"
        )
    return float(found[1]), found[2]
