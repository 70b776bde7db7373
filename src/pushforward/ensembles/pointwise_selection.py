"""Selection of a pointwise function for the values of a channel.

The criterion is the deviation of a quantile-quantile plot against the normal distribution from a straight line,

    d = 1 - corr(sorted values, normal quantiles)^2,

the fraction of the variance that a normal distribution does not explain (Shapiro & Francia 1972, JASA 67, 215). It is
independent of scale, and large for long tails. Values that are merely not normal (uniform, multimodal) are left
unchanged: a function of one variable would only distort them, and the model can learn them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri

from pushforward.ensembles import pointwise
from pushforward.errors import DataError

__all__ = ["Choice", "choose", "constants_of", "distance_from_normal", "excess_kurtosis", "skewness", "span_of"]

SKEWED = 1.0
LONG_TAILED = 3.0
"""Absolute skewness, and excess kurtosis, up to which values are only standardised."""

_GAIN = 2.0
"""Factor by which a function must reduce d to be used, and within which the logarithm is preferred."""
_NEGLIGIBLE = 1e-3
_LOOKED_AT = 20_000
_BLOCK = 2**20
_FEW_VALUES = 64


@dataclass(frozen=True)
class Choice:
    """Function for a channel, before its mean and deviation are known.

    Attributes:
        kind: one of `pointwise.KINDS`.
        location, unit, exponent: constants of the function.
        reason: reason of the choice, for the terminal.
    """

    kind: str
    location: float = 0.0
    unit: float = 1.0
    exponent: float = 1.0
    reason: str = ""

    @property
    def stays_positive(self) -> bool:
        """Whether all values mapped back from network units are positive."""
        return self.kind == "log" and self.location >= 0

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        u = torch.from_numpy((values - self.location) / self.unit)
        return pointwise.forward(self.kind, u, torch.tensor(self.exponent, dtype=u.dtype)).numpy()


def skewness(values: NDArray[np.float64]) -> float:
    """Third standardised moment: 0 for symmetric values."""
    return float(np.mean(((values - values.mean()) / values.std()) ** 3))


def excess_kurtosis(values: NDArray[np.float64]) -> float:
    """Fourth standardised moment minus 3, that of a normal distribution."""
    return float(np.mean(((values - values.mean()) / values.std()) ** 4)) - 3


def distance_from_normal(ordered: NDArray[np.float64]) -> float:
    """``d`` of values in ascending order: 0 for a normal distribution, near 1 for the longest tails."""
    count = len(ordered)
    quantiles = ndtri((np.arange(count) + 0.5) / count)
    spread = ordered - ordered.mean()
    size = float(np.abs(spread).max())
    if size == 0 or not np.isfinite(size):
        return 1.0
    spread = spread / size
    return float(1 - (spread @ quantiles) ** 2 / ((spread @ spread) * (quantiles @ quantiles)))


def choose(values: NDArray[np.float32], wanted: str, label: str) -> Choice:
    """Function for the values of one channel.

    Arguments:
        values: finite values, of any shape.
        wanted: ``"auto"``, or the kind requested by the user.
        label: name of the channel in messages.

    Raises:
        DataError: if the values are constant to the precision of float32, or the logarithm of negative values
            is requested.
    """
    low, high = float(values.min()), float(values.max())
    mean, deviation = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    if low == high:
        raise DataError(
            f"{label} is {low:g} in all {len(values)} training members inspected: it is constant or varies too rarely "
            "to be learned; leave it out (in a table, --columns selects the columns to read)"
        )
    if wanted == "none":
        return Choice("none", reason="unchanged, as requested")
    if deviation < 1e-6 * abs(mean):
        raise DataError(
            f"{label} varies by {deviation:.2g} about {mean:.8g}, which float32 cannot resolve: subtract the mean"
        )
    ordered = np.sort(_some(values).astype(np.float64))
    standard = Choice("standardise", mean, deviation)
    if wanted != "auto":
        found = {"standardise": standard, **{each.kind: each for each in _best_of_each(ordered, low)}}
        if wanted not in found:
            raise DataError(f"the logarithm of {label} was requested, but its values start at {low:g}")
        return _with_reason(found[wanted], "as requested")
    skew, excess = skewness(ordered), excess_kurtosis(ordered)
    seen = f"skewness {skew:.2g}, excess kurtosis {excess:.2g}"
    distinct = len(np.unique(ordered))
    if distinct <= _FEW_VALUES:
        return _with_reason(standard, f"only {distinct} distinct values")
    if abs(skew) <= SKEWED and excess <= LONG_TAILED:
        return _with_reason(standard, seen)
    before = distance_from_normal(ordered)
    candidates = [(each, distance_from_normal(each(ordered))) for each in _best_of_each(ordered, low)]
    bound = _GAIN * min(distance for _, distance in candidates) + _NEGLIGIBLE
    logarithms = [each for each in candidates if each[0].kind == "log" and each[1] <= bound]
    for candidate, distance in [*logarithms, min(candidates, key=lambda each: each[1])]:
        if distance * _GAIN <= before:
            return _with_reason(candidate, f"{seen}; distance from normal {before:.2g} before and {distance:.2g} after")
    return _with_reason(standard, f"{seen}, which no function of one variable improves")


def _best_of_each(ordered: NDArray[np.float64], low: float) -> Iterator[Choice]:
    """Best function of every kind."""

    def best(candidates: list[Choice]) -> Choice:
        return min(candidates, key=lambda each: distance_from_normal(each(ordered)))

    if low >= 0 and ordered[-1] > 0:
        typical = float(np.median(ordered[ordered > 0]))
        if low > 0:
            plain = Choice("log", 0.0, typical)
            offsets = [0.01, 0.1, 1.0]
            shifted = best([Choice("log", -each * typical, typical) for each in offsets])
            gain = distance_from_normal(plain(ordered)) > _GAIN * distance_from_normal(shifted(ordered)) + _NEGLIGIBLE
            yield shifted if gain else plain
        else:
            yield best([Choice("log", -each * typical, typical) for each in (0.001, 0.01, 0.1, 1.0)])
    below, median, above = np.quantile(ordered, [0.1587, 0.5, 0.8413]).tolist()
    mean, deviation = float(ordered.mean()), float(ordered.std())
    robust = (above - below) / 2 or deviation
    yield best([Choice("asinh", median, robust * factor) for factor in (1.0, 0.3)])
    yield best([_yeo_johnson(ordered, *frame) for frame in ((mean, deviation), (median, robust))])


def _yeo_johnson(ordered: NDArray[np.float64], location: float, unit: float) -> Choice:
    from scipy.optimize import minimize_scalar

    def distance(exponent: float) -> float:
        return distance_from_normal(Choice("yeo-johnson", location, unit, exponent)(ordered))

    found = minimize_scalar(distance, bounds=(0.0, 2.0), method="bounded", options={"xatol": 1e-3})
    return Choice("yeo-johnson", location, unit, float(found.x))


def _some(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Random subset of the values, reproducible, with the extremes."""
    flat = values.reshape(-1)
    if len(flat) <= _LOOKED_AT:
        return flat
    chosen = flat[np.random.default_rng(0).integers(0, len(flat), _LOOKED_AT)]
    chosen[:2] = flat.min(), flat.max()
    return chosen


def _with_reason(choice: Choice, reason: str) -> Choice:
    return Choice(choice.kind, choice.location, choice.unit, choice.exponent, reason)


def constants_of(choice: Choice, values: np.ndarray) -> list[float]:
    """Constants of a function: location, unit and exponent; mean and deviation of its values; knots and least slope."""
    if choice.kind in ("none", "standardise"):
        return [choice.location, choice.unit, 1.0, 0.0, 1.0, -np.inf, np.inf, 0.0]
    blocks = [
        choice(block.astype(np.float64)) for block in np.array_split(values.reshape(-1), values.size // _BLOCK + 1)
    ]
    mean = sum(float(block.sum()) for block in blocks) / values.size
    variance = sum(float(((block - mean) ** 2).sum()) for block in blocks) / values.size
    knots = [(float(end) - choice.location) / choice.unit for end in (values.min(), values.max())]
    least = variance**0.5 / (knots[1] - knots[0])
    return [choice.location, choice.unit, choice.exponent, mean, variance**0.5, *knots, least]


def span_of(times: np.ndarray) -> Choice:
    """Map of the times of all members to [0, 1]."""
    first, last = float(times.min()), float(times.max())
    if first == last:
        raise DataError(f"every time is {first:g}: a series needs values at several times")
    return Choice("standardise", first, last - first, reason="from 0 to 1 over the data")
