"""Verdicts on statistics by two scales: whether a difference is significant, and whether it matters.

The floor of a statistic is its distribution for real data against other real data, in equally many samples; its median
and central 95 % range are quoted, and the p-value of the value follows from it.

- **at the floor**: the p-value is above `level_of` its kind, 0.025 where one direction is worse and 0.05 where both
  are. Real data would do no better. One statistic in forty (twenty) of a perfect model is beyond.
- **close**: a difference is significant, but no larger than the tolerance. The default tolerance is the larger of
  `CLOSE` times the floor's median and `MARGIN` times the upper end of its range; for a score, whose value for real data
  is not 0 (a coverage of 0.96), `CLOSE` times the half-width of its range.
- **off**: anything worse.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy import stats

from pushforward.statistics import p_value, smallest_noticeable
from pushforward.statistics.calibration import Alternative
from pushforward.validation.wording import number, plain, with_error, with_range, with_unit

__all__ = [
    "AT_FLOOR",
    "CLOSE",
    "MARGIN",
    "NEAR",
    "OFF",
    "SCORES",
    "STYLES",
    "UNJUDGED",
    "Kind",
    "Verdict",
    "alternative_of",
    "floor_p_value",
    "floor_range",
    "judge",
    "level_of",
    "natural_scale",
    "ruled",
    "verdict_beside",
]

AT_FLOOR, NEAR, OFF, UNJUDGED = "at the floor", "close", "off", "no floor known"
ENOUGH = 20
"""Smallest number of draws for a p-value."""
STYLES = {AT_FLOOR: "green", NEAR: "yellow", OFF: "red", UNJUDGED: "dim"}
"""Styles of the verdicts on a terminal."""
CLOSE = 3.0
"""Largest multiple of the floor that counts as close."""
MARGIN = 1.5
"""The same for the upper end of the floor's range: with one degree of freedom that end is at 3.3 medians."""

Kind = Literal["discrepancy", "score", "excess", "lack"]


SCORES: tuple[Kind, ...] = ("score", "lack")
"""Kinds whose value for real data is not 0, and is quoted with its range."""
_ALTERNATIVES: dict[Kind, Alternative] = {
    "discrepancy": "discrepancy",
    "score": "both",
    "excess": "larger",
    "lack": "discrepancy",
}
"""Alternative of each kind on its `natural_scale`."""


@dataclass(frozen=True)
class Verdict:
    """One line of the judgement.

    Attributes:
        statistic: a stable key, such as ``power_spectrum``.
        label: its name for a reader.
        quantity: what ``value`` is, in words.
        unit: of ``value``, ``error`` and the floor.
        value, error: the discrepancy, and its standard error from the finite number of samples.
        floor, floor_low, floor_high: median and central 95 % range for real data against real data.
        verdict: `AT_FLOOR`, `NEAR`, `OFF`, or `UNJUDGED` where no floor can be had.
        kind: whether a perfect model has value 0 (``discrepancy``), the floor's value (``score``), or anything up to
            the floor (``excess``: more is worse, less is not a virtue) or from the floor to 1 (``lack``, of a
            share: less is worse).
        group: the section of the report that it belongs to.
        headline: whether it counts in the comparison of models.
        note: what a reader should make of it.
        p_value: probability that real data would be as far out; NaN where it cannot be had.
        smallest_noticeable: size of the defect that would be noticed with these data in 95 of 100 cases.
        tolerance: size of a difference that still counts as close.
        tolerance_set: whether the user or the statistic set it, not the floor.
        floor_error: of a density, the standard error of the known number that is its floor; 0 if that is exact.
    """

    statistic: str
    label: str
    quantity: str
    unit: str
    value: float
    error: float
    floor: float
    floor_low: float
    floor_high: float
    verdict: str
    kind: Kind = "discrepancy"
    group: str = "statistics"
    headline: bool = False
    note: str = ""
    p_value: float = math.nan
    smallest_noticeable: float = math.nan
    tolerance: float = math.nan
    tolerance_set: bool = False
    floor_error: float = 0.0

    @property
    def size(self) -> float:
        """Distance of the value from real data: the discrepancy itself, or a score's distance, excess or lack."""
        if self.kind == "discrepancy" or not math.isfinite(self.floor):
            return self.value
        difference = self.value - self.floor
        return abs(difference) if self.kind == "score" else max(0.0, -difference if self.kind == "lack" else difference)

    @property
    def ratio(self) -> float:
        """Distance from real data, in units in which real data are at about 1 from each other.

        For a discrepancy, in units of its floor; for a score or a lack, `size` in units of the half-width of the
        floor's range. NaN where that is not known, and for an excess.
        """
        if self.kind == "discrepancy" and self.floor > 0:
            return self.value / self.floor
        reach = self.reach
        return self.size / reach if self.kind in SCORES and reach > 0 else math.nan

    @property
    def reach(self) -> float:
        """Half-width of the floor's range; two standard errors of the value where all real sets agree."""
        return _reach(self.floor, self.floor_low, self.floor_high, self.error)

    @property
    def value_text(self) -> str:
        return with_unit(with_error(self.value, self.error), self.unit)

    @property
    def floor_text(self) -> str:
        """The floor and its range, such as ``1.9 % (1.2 to 2.8)``."""
        if not math.isfinite(self.floor):
            return "–"
        digits = 3 if self.kind in SCORES else 2
        digits = 4 if self.group == "density" else digits
        ranged = math.isfinite(self.floor_low + self.floor_high)
        middle, ends = number(self.floor, digits), ""
        if ranged:
            rounded, ends = with_range(self.floor, self.floor_low, self.floor_high, digits)
            middle = middle if self.group == "density" else rounded
        if self.floor_error > 0:
            middle = with_error(self.floor, self.floor_error)
        middle = with_unit(middle, self.unit)
        middle = f"{middle} {self.reference}" if self.group == "density" else middle
        return f"{middle} {ends}".rstrip()

    @property
    def reference(self) -> str:
        """Kind of the floor: an exact number, a measured one, or real data against real data."""
        if self.group != "density":
            return "real against real"
        return "measured" if self.floor_error > 0 else "exact"

    @property
    def p_text(self) -> str:
        """The p-value, such as ``0.31`` or ``< 1e-6``."""
        if not math.isfinite(self.p_value):
            return "–"
        return "< 1e-6" if self.p_value < 1e-6 else number(self.p_value, 2)

    @property
    def noticeable_text(self) -> str:
        """The smallest noticeable defect with its unit."""
        return with_unit(number(self.smallest_noticeable, 2), self.unit) if self.smallest_noticeable > 0 else "–"

    @property
    def sentence(self) -> str:
        """The verdict in words, with its numbers."""
        if self.verdict == UNJUDGED:
            return f"{self.label}: {self.quantity} is {self.value_text}."
        real = "real data against real data give" if self.kind == "discrepancy" else "real data give"
        real = "the known value is" if self.group == "density" else real
        text = f"{self.label} {self.verdict}: {self.quantity} is {self.value_text}; {real} {self.floor_text}."
        return f"{text} {self.reading}" if self.reading else text

    @property
    def reading(self) -> str:
        """Conclusion from the two scales: one sentence for each of the four combinations."""
        if not (math.isfinite(self.p_value) and math.isfinite(self.tolerance)):
            return ""
        small = not self.size > self.tolerance
        limit = with_unit(number(self.tolerance, 2), self.unit)
        if self.verdict == AT_FLOOR and small:
            hidden = f" A defect of {self.noticeable_text} would be noticed." if self.smallest_noticeable > 0 else ""
            return f"No difference is seen (p = {self.p_text}).{hidden}"
        if self.verdict == AT_FLOOR:
            return (
                f"No difference is seen (p = {self.p_text}), but these data could hide one beyond the tolerance of "
                f"{limit}."
            )
        if small:
            return f"A difference is there (p = {self.p_text}), within the tolerance of {limit}."
        return f"A difference is there (p = {self.p_text}), beyond the tolerance of {limit}."

    def to_dict(self) -> dict[str, Any]:
        """Plain values under stable keys; a number that is not finite is None."""
        return plain(asdict(self) | {"ratio": self.ratio, "sentence": self.sentence})  # type: ignore[return-value]


def floor_range(draws: np.ndarray, kind: Kind = "discrepancy") -> tuple[float, float, float]:
    """Median and central 95 % range of a floor known by a finite number of draws.

    From 40 draws on these are quantiles; from fewer they are Student's prediction interval for one more draw (of the
    logarithm, for a discrepancy, which is positive and skewed), so that costly statistics need no more than a handful.
    """
    draws = np.asarray(draws, dtype=float)
    draws = draws[np.isfinite(draws)]
    if len(draws) == 0:
        return math.nan, math.nan, math.nan
    middle = float(np.median(draws))
    if len(draws) >= 40:
        low, high = np.quantile(draws, [0.025, 0.975])
    elif len(draws) == 1:
        low = high = math.nan
    else:
        logarithmic = kind == "discrepancy" and bool((draws > 0).all())
        values = np.log(draws) if logarithmic else draws
        reach = stats.t.ppf(0.975, len(draws) - 1) * values.std(ddof=1) * math.sqrt(1 + 1 / len(draws))
        low, high = values.mean() - reach, values.mean() + reach
        if logarithmic:
            low, high = np.exp(low), np.exp(high)
    return middle, float(low), float(high)


def level_of(kind: Kind) -> float:
    """p-value below which a statistic is beyond its floor."""
    return 0.05 if kind == "score" else 0.025


def alternative_of(kind: Kind) -> Alternative:
    """Alternative of the test: the values on the `natural_scale` that count against the samples."""
    return _ALTERNATIVES[kind]


def natural_scale(values: np.ndarray, kind: Kind) -> np.ndarray:
    """Values on the scale on which their draws are compared: sqrt(1 - value) of a lack, otherwise the values.

    The share of misses 1 - value is skewed near 0: Student's t would call the thin tail of a perfect set significant
    twice as often as stated. Its square root is treated as a discrepancy.
    """
    return np.sqrt(np.maximum(0.0, 1 - values)) if kind == "lack" else values


def floor_p_value(value: float, draws: np.ndarray, kind: Kind, error: float = math.nan) -> float:
    """P-value of a value given draws of its floor; NaN if there are fewer than two.

    From 20 draws on it is counted and extrapolated (`statistics.p_value`); from fewer it is that of Student's
    prediction interval for one more draw, of the logarithm for a discrepancy. Where all draws agree, it is that of a
    value with a Gaussian error, if that is known.
    """
    draws = np.asarray(draws, dtype=float)
    draws = draws[np.isfinite(draws)]
    if len(draws) < 2:
        return math.nan
    if not math.isfinite(value):
        return 0.0
    if np.ptp(draws) == 0 and error > 0:
        z = (value - draws[0]) / error
        return float(2 * stats.norm.sf(abs(z)) if kind == "score" else stats.norm.sf(-z if kind == "lack" else z))
    value, draws = float(natural_scale(np.asarray(value), kind)), natural_scale(draws, kind)
    if len(draws) >= ENOUGH or np.ptp(draws) == 0:
        return float(p_value(np.asarray(value), draws, alternative_of(kind)))
    if alternative_of(kind) == "discrepancy" and value > 0 and (draws > 0).all():
        value, draws = math.log(value), np.log(draws)
    z = (value - draws.mean()) / (draws.std(ddof=1) * math.sqrt(1 + 1 / len(draws)))
    beyond = stats.t.sf(abs(z) if kind == "score" else z, len(draws) - 1)
    return float(2 * beyond if kind == "score" else beyond)


def judge(
    statistic: str,
    label: str,
    quantity: str,
    value: float,
    error: float,
    draws: np.ndarray,
    *,
    tolerance: float | None = None,
    kind: Kind = "discrepancy",
    **more: Any,
) -> Verdict:
    """The verdict on ``value``, given draws of its floor.

    Arguments:
        draws: the same quantity for real data against real data, shape (repetitions,); empty if it cannot be had.
        tolerance: a size that does not matter, in the value's unit; None leaves it to the floor.
        (the others: see `Verdict`)
    """
    draws = np.asarray(draws, dtype=float)
    draws = draws[np.isfinite(draws)]
    floor, low, high = floor_range(draws, kind)
    p = floor_p_value(value, draws, kind, error)
    return ruled(
        Verdict(statistic, label, quantity, "", value, error, floor, low, high, UNJUDGED, kind, p_value=p,
                smallest_noticeable=_noticeable(draws, kind)),
        tolerance,
        **more,
    )  # fmt: skip


def _noticeable(draws: np.ndarray, kind: Kind) -> float:
    """`smallest_noticeable` in the unit of the values; of a lack, a share of misses beyond that of real data.

    Defects add in quadrature on the `natural_scale`, hence shares of misses add. NaN for fewer than three draws.
    """
    if len(draws) < 3:
        return math.nan
    size = float(smallest_noticeable(natural_scale(draws, kind), alternative_of(kind), level=level_of(kind)))
    return size**2 if kind == "lack" else size


def ruled(verdict: Verdict, tolerance: float | None = None, **more: Any) -> Verdict:
    """A verdict with its word, by the p-value and the tolerance; ``more`` are further fields."""
    set_by_hand = tolerance is not None
    if tolerance is None:
        tolerance = _tolerance_of_floor(verdict)
    filled = replace(verdict, tolerance=tolerance, tolerance_set=set_by_hand, **more)
    if not math.isfinite(filled.p_value):
        word = UNJUDGED
    elif filled.p_value >= level_of(filled.kind):
        word = AT_FLOOR
    else:
        word = NEAR if filled.size <= tolerance else OFF
    return replace(filled, verdict=word)


def _tolerance_of_floor(verdict: Verdict) -> float:
    floor, low, high = verdict.floor, verdict.floor_low, verdict.floor_high
    if not math.isfinite(floor):
        return math.nan
    if verdict.kind == "discrepancy":
        return float(np.nanmax([CLOSE * floor, MARGIN * high]))
    if verdict.kind in SCORES:
        return CLOSE * _reach(floor, low, high, verdict.error)
    return CLOSE * max(0.0, high - floor)


def verdict_beside(value: float, floor: float, most: float) -> str:
    """Verdict on a distance by its floor alone, whose largest value is ``most``; without a p-value or a tolerance."""
    if not math.isfinite(floor):
        return UNJUDGED
    if value <= most:
        return AT_FLOOR
    return NEAR if value <= CLOSE * floor else OFF


def _reach(floor: float, low: float, high: float, error: float) -> float:
    half = float(np.nanmax([high - floor, floor - low, 0.0]))
    return half if half > 0 else float(np.nanmax([2 * error, 0.0]))
