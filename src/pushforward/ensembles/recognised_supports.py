"""Inference of the support of a channel from its values and from the names of columns.

The k values nearest to an end distinguish a cut-off from a gradual decline: with F(s) ~ s^b near an end a, the
distances s_j = |x_j - a| of the k nearest give

    1 / b = mean_j ln(s_k / s_j),

with b = 1 if the density is cut off, b < 1 if it diverges, and b > 1 if it falls to zero: 3 and more in the tail of a
normal distribution (Hill 1975, Annals of Statistics 3, 1163, for a known end).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from math import pi

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pushforward.ensembles.pointwise_selection import LONG_TAILED, SKEWED, choose, excess_kurtosis, skewness
from pushforward.ensembles.supports import Angle, Interval, Positive, Support, Supports, Within, Zeros
from pushforward.spaces import Field, Series, Space, Vector

__all__ = ["needed", "support_of"]

_FEWEST_ZEROS = 3
_EDGE = 0.02
"""Largest distance of the extreme values from either bound, as a fraction of the interval."""
_INTERVALS = ((0.0, 1.0), (-1.0, 1.0), (0.0, 100.0), (-90.0, 90.0), (0.0, 180.0))
_PERIODS = ((0.0, 360.0), (0.0, 2 * pi), (-180.0, 360.0), (-pi, 2 * pi))
_ANGLES = ("ra", "lon", "long", "longitude", "right_ascension", "phi", "azimuth", "az", "angle", "phase", "glon", "psi")
_NAMED = {
    ((-90.0, 90.0), (-pi / 2, pi / 2)): ("dec", "de", "decl", "declination", "lat", "latitude", "glat"),
    ((0.0, pi), (0.0, 180.0)): ("theta", "zenith", "polar", "inclination", "incl", "inc"),
    ((-1.0, 1.0),): ("costheta", "cos_theta", "costh", "cosine", "correlation"),
    ((0.0, 1.0),): ("probability", "prob", "fraction", "eccentricity", "ecc", "efficiency"),
}
"""Intervals of quantities by name; of several, the smallest that contains the values is used."""
_LONGEST_GAP = 8.0
"""Largest gap between the ends of an angle, in units of the mean distance between values."""
_CUT_OFF = 1.3
"""Largest exponent b for which a density counts as cut off at its end."""
_FAR = 2.5
"""Number of deviations below the median beyond which a tail is no longer known to be that of a normal distribution."""
_FEWEST_BELOW, _FEWEST_FAR_BELOW = 3.0, 30.0
"""Smallest number of values that a normal lower tail would have below zero, if none is evidence that none can be.

The second is for a zero that lies far out.
"""
_FEWEST = 500
"""Smallest number of values from which ends are inferred."""
_NEAREST = (30, 500)
"""Limits of the number of values used near an end, a twentieth of all."""


@singledispatch
def support_of(space: Space, values: NDArray[np.float32], number: int) -> Support | None:
    """Support of channel ``number``, inferred from its values; None if it is the real line."""
    return None


@support_of.register
def _(space: Vector, values: NDArray[np.float32], number: int) -> Support | None:
    seen = values.reshape(-1)
    name = space.names[number].lower() if space.names else ""
    known = _zeros(seen) or _angle(seen, name) or _named(seen, name) or _interval(seen)
    return known or _cut_off(seen) or _positive(seen) or _of_one_sign(seen)


@support_of.register
def _(space: Field, values: NDArray[np.float32], number: int) -> Support | None:
    seen = values.reshape(-1)
    return _zeros(seen) or _angle(seen) or _cut_off(seen) or _of_one_sign(seen)


@support_of.register
def _(space: Series, values: NDArray[np.float32], number: int) -> Support | None:
    if number < int(space.timed):
        return None
    seen = values[np.isfinite(values)]
    return _cut_off(seen) or _of_one_sign(seen)


def _zeros(values: NDArray[np.float32]) -> Zeros | None:
    zeros = values == 0
    if values.min() < 0 or zeros.sum() < _FEWEST_ZEROS:
        return None
    positive = values[~zeros].astype(np.float64)
    if len(positive) < 2 or positive.min() == positive.max():
        return None
    tailed = abs(skewness(positive)) > SKEWED or excess_kurtosis(positive) > LONG_TAILED
    unit = float(positive.min() if tailed else positive.std())
    y = np.log(positive / unit) if tailed else positive / unit
    width = float(y.std())
    deviation = float(np.concatenate([y, np.full(zeros.sum(), -0.75 * width)]).std())
    most = float(positive.max()) if _ends(positive, positive.max()) is not None else None
    if not tailed:
        return Zeros(unit, width, most=most)
    return Zeros(unit, width, float(positive.max()), max(1.0, deviation), most)


def _angle(values: NDArray[np.float32], name: str = "") -> Angle | None:
    low, high = float(values.min()), float(values.max())
    for start, period in _PERIODS:
        named = name in _ANGLES and high - low > period / 2
        within = low >= start - 1e-6 * period and high <= start + period * (1 + 1e-6)
        if within and (named or _goes_around(values, start, period)):
            ordered = np.sort(values.astype(np.float64))
            between = np.diff(ordered, append=ordered[0] + period)
            widest = int(np.argmax(between))
            cut = start + (ordered[widest] + between[widest] / 2 - start) % period
            return Angle(start, period, float(cut))
    return None


def _goes_around(values: NDArray[np.float32], start: float, period: float) -> bool:
    """Whether values are as frequent at both ends as those of an angle, not only the extremes of a tail."""
    place = (values - start) / period
    gaps = float(place.min()), float(1 - place.max())
    inner, outer = (min(np.sum(place < reach), np.sum(place > 1 - reach)) for reach in (_EDGE / 2, 2.5 * _EDGE))
    if max(gaps) < _EDGE / 2:
        return bool(inner >= 3 or outer >= len(values) / 100)
    # Few values leave wider gaps: the sum of both, times the number of values, has the density t exp(-t).
    widest = min(_LONGEST_GAP / len(values), 2 * _EDGE)
    return bool(sum(gaps) < widest and outer >= max(3, len(values) / 50))


def _interval(values: NDArray[np.float32]) -> Interval | None:
    low, high = float(values.min()), float(values.max())
    for start, end in _INTERVALS:
        reach = _EDGE * (end - start)
        near = (np.mean(values < start + reach), np.mean(values > end - reach))
        # A tail may come near a bound by chance; require a cut-off at the bound.
        if start <= low and high <= end and min(near) > _EDGE / 10:
            return Interval(start, end)
    return None


def _positive(values: NDArray[np.float32]) -> Positive | Within | None:
    if values.min() <= 0:
        return None
    lower, median = np.quantile(values, [stats.norm.cdf(-1), 0.5]).tolist()
    deviations = median / (median - lower) if median > lower else 0.0
    fewest = _FEWEST_FAR_BELOW if deviations > _FAR else _FEWEST_BELOW
    # Zero may lie so far out in the tail that none of so many values is below it by chance.
    if len(values) * stats.norm.cdf(-deviations) < fewest:
        return Within(low=0.0, possible=True)
    return Positive(median / 8)


def _named(values: NDArray[np.float32], name: str) -> Interval | None:
    low, high = float(values.min()), float(values.max())
    for intervals, names in _NAMED.items():
        for start, end in intervals if name in names else ():
            if start < low and high < end and high - low > (end - start) / 4:
                return Interval(start, end)
    return None


def _of_one_sign(values: NDArray[np.float32]) -> Within | None:
    if len(values) == 0 or values.min() < 0 < values.max():
        return None
    return Within(low=0.0) if values.min() >= 0 else Within(high=0.0)


def _cut_off(values: NDArray[np.float32]) -> Within | None:
    """Ends at which the values are cut off.

    For positive values that reach down to a small fraction of their median, the lower end is zero.
    """
    if len(values) < _FEWEST:
        return None
    low, high = float(values.min()), float(values.max())
    at_low, at_high = _ends(values, low), _ends(values, high)
    small = 0 <= low < 0.05 * float(np.median(values))
    if at_high is None and (at_low is None or small):
        return None
    if at_low is not None and not small:
        start: float | None = low
    else:
        start = 0.0 if low >= 0 else None
    piles = (*((start,) if at_low and start is not None else ()), *((high,) if at_high else ()))
    return Within(start, None if at_high is None else high, piled=bool(at_low) or bool(at_high), piles=piles)


def _ends(values: NDArray[np.floating], end: float) -> bool | None:
    """Whether values pile up at their end; None if they decline towards it."""
    count = len(values)
    if count < _FEWEST:
        return None
    nearest = int(np.clip(count // 20, *_NEAREST))
    distances = np.sort(np.partition(np.abs(values.astype(np.float64) - end), nearest)[: nearest + 1])
    if distances[_FEWEST_ZEROS - 1] == 0:
        return True
    within = distances[1:] / distances[-1]
    return False if _CUT_OFF * np.mean(-np.log(within[within > 0])) >= 1 else None


def needed(supports: Supports, channels: Sequence[np.ndarray], wanted: Sequence[str], names: Sequence[str]) -> Supports:
    """Supports without those of positive values whose logarithm is used, which keeps them positive."""
    kept = [
        None if isinstance(each, Positive) and choose(values, kind, name).stays_positive else each
        for each, values, kind, name in zip(supports.supports, channels, wanted, names, strict=True)
    ]
    return Supports(kept, supports.axis)
