"""Numbers as a reader wants them: as many digits as are known, a unit, and no more."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["duration", "listing", "number", "plain", "with_error", "with_range", "with_unit"]


def number(value: float | None, digits: int = 3) -> str:
    """A value with ``digits`` significant digits, without trailing noise: 0.0312, 12.4, 1,530, 3.1e-05."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if -4 <= magnitude < 6:
        return f"{value:,.{max(0, digits - 1 - magnitude)}f}"
    return f"{value:.{digits - 1}e}"


def with_error(value: float, error: float) -> str:
    """A value and its error to the same decimal place, such as 3.1 ± 0.4 or 12.1 ± 1.5.

    The error has two significant digits while they are at most 35, and one beyond, as the Particle Data Group rounds.
    """
    if not math.isfinite(value) or not math.isfinite(error) or error <= 0:
        return number(value)
    if max(abs(value), error) >= 1e6 or max(abs(value), error) < 1e-4:
        return f"{value:.1e} ± {error:.0e}"
    magnitude = math.floor(math.log10(error))
    decimals = -magnitude + (1 if error / 10.0**magnitude < 3.55 else 0)
    decimals = min(max(0, decimals), 6)
    return f"{_fixed(value, decimals)} ± {error:,.{decimals}f}"


def with_range(middle: float, low: float, high: float, digits: int = 3) -> tuple[str, str]:
    """A middle value, to no more decimal places than the ends of its range, and the range: 0.26, (-9.44 to 8.29)."""
    ends = [number(bound, min(digits, 3)) for bound in (low, high)]
    text, known = number(middle, digits), max(_decimals(end) for end in ends)
    if "e" not in "".join(ends) and ("e" in text or _decimals(text) > known):
        text = _fixed(middle, known)
    return text, f"({ends[0]} to {ends[1]})"


def _fixed(value: float, decimals: int) -> str:
    """``value`` with so many decimals, without the sign of a zero."""
    text = f"{value:,.{decimals}f}"
    return text.removeprefix("-") if not text.strip("-0.,") else text


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


def with_unit(text: str, unit: str) -> str:
    """``text`` followed by its unit, if it has one; a number that is not known has none."""
    return f"{text} {unit}" if unit and text != "–" else text


def duration(seconds: float) -> str:
    """A time span in the largest unit that suits it: 850 ms, 12.3 s, 4 min 10 s, 2 h 5 min."""
    if seconds < 1:
        return f"{number(1000 * seconds)} ms"
    if seconds < 60:
        return f"{number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def listing(items: list[str]) -> str:
    """Items as a sentence lists them: a, b and c."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def plain(value: object) -> object:
    """The same value out of JSON's own types; what is not finite becomes None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        # Seven digits hold a float32; more would only make two equal reports differ.
        return float(f"{float(value):.7g}") if math.isfinite(value) else None
    return value if value is None or isinstance(value, str) else str(value)
