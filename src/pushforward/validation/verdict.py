"""A statistic's discrepancy, read against its floor.

The floor of a discrepancy is what it gives for real data against other real data, in as many samples: a distribution,
whose median and central 95 % range are quoted. A verdict is one of three words.

- **at the floor**: within the floor's 95 % range. Real data would do no better. One statistic in forty of a perfect
  model falls beyond its range by chance.
- **close**: beyond that range, but the discrepancy is at most `CLOSE` times the floor's median. For a score, which has
  a value of its own for real data (a coverage of 0.96, a classifier's 0.5), the distance to the floor's median is at
  most `CLOSE` times the half-width of its range.
- **off**: anything worse.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from pushforward.validation.wording import number, plain, with_error, with_unit

__all__ = ["AT_FLOOR", "CLOSE", "NEAR", "OFF", "STYLES", "UNJUDGED", "Kind", "Verdict", "floor_range", "judge"]

AT_FLOOR, NEAR, OFF, UNJUDGED = "at the floor", "close", "off", "no floor known"
STYLES = {AT_FLOOR: "green", NEAR: "yellow", OFF: "red", UNJUDGED: "dim"}
"""Of the verdicts on a terminal."""
CLOSE = 3.0
"""How many times the floor still counts as close."""

Kind = Literal["discrepancy", "score", "excess"]


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
            the floor (``excess``: more is worse, less is not a virtue).
        group: the section of the report that it belongs to.
        headline: whether it counts in the comparison of models.
        note: what a reader should make of it.
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

    @property
    def ratio(self) -> float:
        """How far from real data, where 1 is about as far as real data are from each other.

        For a discrepancy, in units of its floor; for a score, the distance to real data's score in units of the
        half-width of its range. NaN where that is not known, and for an excess, of which less is no virtue.
        """
        if self.kind == "discrepancy" and self.floor > 0:
            return self.value / self.floor
        reach = self.reach
        return abs(self.value - self.floor) / reach if self.kind == "score" and reach > 0 else math.nan

    @property
    def reach(self) -> float:
        """Half-width of the floor's range, or two standard errors of the value if that is more."""
        return float(np.nanmax([self.floor_high - self.floor, self.floor - self.floor_low, 2 * self.error, 0.0]))

    @property
    def value_text(self) -> str:
        return with_unit(with_error(self.value, self.error), self.unit)

    @property
    def floor_text(self) -> str:
        """The floor and its range, such as ``1.9 % (1.2 to 2.8)``."""
        if not math.isfinite(self.floor):
            return "–"
        digits = 4 if self.group == "density" else 3 if self.kind == "score" else 2
        middle = with_unit(number(self.floor, digits), self.unit)
        if not math.isfinite(self.floor_low + self.floor_high):
            return middle
        low, high = (number(bound, min(digits, 3)) for bound in (self.floor_low, self.floor_high))
        return f"{middle} ({low} to {high})"

    @property
    def sentence(self) -> str:
        """The verdict in words, with its numbers."""
        if self.verdict == UNJUDGED:
            return f"{self.label}: {self.quantity} is {self.value_text}."
        real = "real data give" if self.kind == "score" else "real data against real data give"
        return f"{self.label} {self.verdict}: {self.quantity} is {self.value_text}; {real} {self.floor_text}."

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


def judge(
    statistic: str,
    label: str,
    quantity: str,
    value: float,
    error: float,
    draws: np.ndarray,
    *,
    unit: str = "",
    kind: Kind = "discrepancy",
    group: str = "statistics",
    headline: bool = False,
    note: str = "",
) -> Verdict:
    """The verdict on ``value``, given draws of its floor.

    Arguments:
        draws: the same quantity for real data against real data, shape (repetitions,); empty if it cannot be had.
        (the others: see `Verdict`)
    """
    floor, low, high = floor_range(draws, kind)
    if not math.isfinite(floor):
        word = UNJUDGED
    elif not math.isfinite(value):
        word = OFF
    elif kind == "score":
        distance, reach = abs(value - floor), float(np.nanmax([high - floor, floor - low, 2 * error, 0.0]))
        word = AT_FLOOR if low <= value <= high else NEAR if distance <= CLOSE * reach else OFF
    else:
        word = AT_FLOOR if value <= high else NEAR if value <= CLOSE * floor else OFF
    return Verdict(statistic, label, quantity, unit, value, error, floor, low, high, word, kind, group, headline, note)
