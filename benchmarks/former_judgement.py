"""The former judgement of fields: 19 statistics, at the floor if within its 95 % range.

Reports have since gained statistics, p-values and verdicts by significance and size. Counts of the former judgement
remain comparable with those stated before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["former_verdicts"]

DISCREPANCIES = (
    "power_spectrum",
    "power_scatter",
    "power_correlation",
    "one_point_pdf",
    "bispectrum",
    "peaks",
    "minkowski",
    "memorisation",
    "condition_range",
    "condition_response",
)
"""Statistics of which less is better; those of conditions are one for each parameter."""
SCORES = ("precision", "recall", "density", "coverage", "classifier", "condition_recovered")
"""Statistics that have a value of their own for real data."""
KNOWN = {*DISCREPANCIES, *SCORES}
CLOSE = 3.0
"""Multiple of the floor, or of the half-width of its range, that counted as close."""


def former_verdicts(verdicts: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """How many of the former statistics are ``at the floor``, ``close`` and ``off``.

    Arguments:
        verdicts: those of ``report.json``.
    """
    families = [(each, str(each["statistic"]).split("/")[0]) for each in verdicts]
    return Counter(_word(each, family) for each, family in families if family in KNOWN and each["floor"] is not None)


def _word(verdict: Mapping[str, Any], family: str) -> str:
    value, floor, low, high = (verdict[key] for key in ("value", "floor", "floor_low", "floor_high"))
    if value is None:
        return "off"
    if family in DISCREPANCIES:
        return "at the floor" if value <= high else "close" if value <= CLOSE * floor else "off"
    reach = max(high - floor, floor - low, 2 * verdict["error"])
    return "at the floor" if low <= value <= high else "close" if abs(value - floor) <= CLOSE * reach else "off"
