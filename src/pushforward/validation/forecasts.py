r"""Judgement of forecasts: the second half of each unseen series, compared with the forecast from its first half.

For a calibrated forecast the expectation is known exactly: the central band of 90 % contains 90 % of the observations
(slightly less, 90 (n - 1) / (n + 1) %, if its ends are quantiles of n draws), and the errors of its mean are as large
as predicted,

.. math:: \Big( \sum (y - \bar y)^2 \Big/ \sum \sigma^2 \Big)^{1/2} = 1.

Neither measures the sharpness of the forecast. For that, its error is compared with that of persistence, which predicts
the last observed value.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from pushforward.spaces import Series
from pushforward.validation.chosen_rows import some
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.verdict import UNJUDGED, Verdict, ruled
from pushforward.validation.wording import number, with_unit

__all__ = ["judge_forecasts"]

SERIES, DRAWS, LEVEL = 200, 100, 0.9
"""Largest number of forecast series, draws of each, and the probability of the band."""
FEWEST = 8


def judge_forecasts(data: EvaluationData[Series], forecaster: Any) -> list[Verdict]:
    """Verdicts on the forecasts of test series from their first halves; none if the second halves are too short.

    Arguments:
        forecaster: with the method `Emulator.forecast`.
    """
    rows = some(data.count, SERIES, np.random.default_rng(0))
    x, space = data.test[rows], data.space
    half = space.length // 2
    values = x[:, half:, 1:].astype(float) if space.timed else x[:, half:].astype(float)
    times = x[:, half:, 0] if space.timed else np.arange(half, space.length, dtype=float)
    found = np.isfinite(values).reshape(len(x), -1).any(axis=1)
    if half == 0 or found.sum() < FEWEST:
        return []
    with torch.no_grad():
        forecast = forecaster.forecast(x[:, :half], times, data.given_to(rows), draws=DRAWS, level=LEVEL)
    mean, low, high = (np.asarray(each, dtype=float)[found] for each in (forecast.mean, forecast.low, forecast.high))
    scatter = np.asarray(forecast.observed, dtype=float).std(axis=0, ddof=1)[found]
    values, before = values[found], _last_seen(x[found, :half, space.timed :].astype(float))
    seen = np.isfinite(values)
    error = np.where(seen, values - mean, 0.0)

    inside = np.where(seen, (values >= low) & (values <= high), 0)
    coverage, coverage_error = _ratio(_sums(inside), _sums(seen))
    spread, spread_error = _root(_ratio(_sums(error**2), _sums(np.where(seen, scatter**2, 0.0))))
    known = seen & np.isfinite(before)
    persistence = np.where(known, values - before, 0.0)
    skill, skill_error = _root(_ratio(_sums(np.where(known, error, 0.0) ** 2), _sums(persistence**2)))
    of = f"over the second halves of {len(values):,} unseen series"
    band = f"share of observations in the band of {100 * LEVEL:g} % {of}"
    said = f"errors in units of the predicted standard deviation, {of}"
    beside = "rms error of the mean over that of persistence (the last observed value)"
    known_coverage, known_spread = LEVEL * (DRAWS - 1) / (DRAWS + 1), math.sqrt(1 + 1 / DRAWS)
    inside_band = (100 * coverage, 100 * coverage_error, 100 * known_coverage)
    return [
        _score("forecast_coverage", "Coverage of forecasts", band, "%", *inside_band, 5.0),
        _score("forecast_spread", "Uncertainty of forecasts", said, "", spread, spread_error, known_spread, 0.1),
        Verdict(
            "forecast_error", "Error of forecasts", beside, "", skill, skill_error, math.nan, math.nan, math.nan,
            UNJUDGED, kind="excess", group="forecasts",
        ),
    ]  # fmt: skip


def _last_seen(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The last value of each coordinate that was observed, NaN if there is none; shape (n, 1, dim)."""
    known = np.isfinite(values)
    last = values.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    return np.take_along_axis(values, last[:, None], axis=1)


def _sums(values: NDArray[Any]) -> NDArray[np.float64]:
    return values.reshape(len(values), -1).sum(axis=1).astype(float)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> tuple[float, float]:
    """Ratio of two sums over independent series, and its standard error to first order."""
    ratio = above.sum() / below.sum() if below.sum() > 0 else math.nan
    residual = above - ratio * below
    return float(ratio), float(
        np.sqrt(len(above) * residual.var(ddof=1)) / below.sum()
    ) if below.sum() > 0 else math.nan


def _root(square: tuple[float, float]) -> tuple[float, float]:
    root = math.sqrt(square[0]) if square[0] >= 0 else math.nan
    return root, square[1] / (2 * root) if root > 0 else math.nan


def _score(
    statistic: str, label: str, quantity: str, unit: str, value: float, error: float, perfect: float, tolerance: float
) -> Verdict:
    """Verdict on a number whose value for a perfect forecast is known."""
    p = float(2 * stats.norm.sf(abs(value - perfect) / error)) if error > 0 else float(value == perfect)
    note = f"A calibrated forecast has {with_unit(number(perfect, 3), unit)}."
    reach = 1.96 * error
    bare = Verdict(
        statistic, label, quantity, unit, value, error, perfect, perfect - reach, perfect + reach, UNJUDGED,
        kind="score", group="forecasts", note=note,
    )  # fmt: skip
    return ruled(bare, tolerance, p_value=p, smallest_noticeable=3.6 * error)
