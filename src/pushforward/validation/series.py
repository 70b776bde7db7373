r"""Judgement of time series: values over time, their variation, and distances between series.

Series with their own times are compared at even times, to which values are interpolated linearly, and by their
structure function

.. math:: S(\tau) = \tfrac12 \big\langle [x(t + \tau) - x(t)]^2 \big\rangle,

which needs no grid: the mean is over the pairs of observed values about :math:`\tau` apart (Simonetti, Cordes &
Heeschen 1985, ApJ 296, 46). Generated series have the times and the missing values of real ones, so that both sets are
treated equally.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from pushforward import statistics
from pushforward.spaces import Series
from pushforward.validation.curves import Curve, Summary
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.features import describe
from pushforward.validation.labels import labelled, power, series_units
from pushforward.validation.statistic import Rows, Statistic
from pushforward.validation.style import GENERATED, REAL, Picture, encode, styled
from pushforward.validation.vectors import root_energy_distance

__all__ = [
    "broken_series",
    "describe_series",
    "nearest_series",
    "series_classified",
    "series_curves",
    "series_pictures",
    "series_statistics",
]

TIMES = 24
"""Number of even times at which series are compared."""
LAGS = 12
"""Bins of the structure function, from a row's typical distance to half of the time that series last."""
PAIRED = 1500
SHOWN = 5


def series_statistics(data: EvaluationData) -> list[Statistic]:
    """Every statistic of a `Series`."""
    return [
        Statistic(
            "values_over_time",
            "Values over time",
            "Wasserstein-1 distance of the values at each time, in per cent of their standard deviation, averaged",
            rows=_values_over_time,
            distance=_marginals,
            unit="%",
            headline=True,
        ),
        Statistic(
            "structure_function",
            "Structure function",
            "mean relative error of S(τ)",
            rows=_structure_functions,
            distance=lambda a, b: 100 * float(np.mean(np.abs(a.mean(axis=0) / np.maximum(b.mean(axis=0), 1e-300) - 1))),
            unit="%",
            headline=True,
        ),
        Statistic(
            "time_correlations",
            "Correlations",
            "root mean square error of the correlation coefficients between times and coordinates",
            rows=_values_over_time,
            distance=_correlations,
            headline=True,
        ),
        Statistic(
            "energy_distance",
            "Energy distance",
            "square root of the energy distance of values at even times",
            rows=_standard_values,
            distance=root_energy_distance,
            unit="σ",
            set_distance=True,
            most=PAIRED,
            headline=True,
        ),
    ]


def series_curves(data: EvaluationData) -> list[Curve]:
    """Values over time and structure functions."""
    channels = _channels(data.space)
    return [curve for each in data.derived(_summaries) for curve in each.curves(data.floor, channels)]


def _values_over_time(data: EvaluationData) -> Rows:
    over_time, _ = data.derived(_summaries)
    return _flat(over_time.generated), _flat(over_time.real)


def _structure_functions(data: EvaluationData) -> Rows:
    _, structure = data.derived(_summaries)
    return _flat(structure.generated), _flat(structure.real)


def _standard_values(data: EvaluationData) -> Rows:
    generated, real = _values_over_time(data)
    scatter = _scatter(real)
    return generated / scatter, real / scatter


def nearest_series(samples: np.ndarray, members: np.ndarray, data: EvaluationData) -> statistics.NearestMembers:
    """The nearest member to each sample: the same values where both were observed."""
    filled = [np.nan_to_num(x.astype(float)).reshape(len(x), -1) for x in (samples, members, data.real)]
    scatter = filled.pop().std(axis=0)
    scatter = np.where(scatter > 0, scatter, 1.0)
    return statistics.nearest_members(*(torch.from_numpy(x / scatter) for x in filled))


def broken_series(x: np.ndarray, space: Series) -> np.ndarray:
    """Series that hold an infinite value, a missing time, or nothing at all."""
    times, values = _parts(x, space)
    nothing = np.isnan(values).reshape(len(x), -1).all(axis=1)
    return np.asarray(nothing | np.isinf(x).reshape(len(x), -1).any(axis=1) | ~np.isfinite(times).all(axis=1))


def series_classified(data: EvaluationData) -> tuple[Rows, tuple[str, ...]]:
    """Features of series, with their names."""
    rows = describe(data)
    over_time, structure = data.derived(_summaries)
    names = [
        f"{summary.title} at {x:.3g}, {channel}".rstrip(", ")
        for summary in (over_time, structure)
        for channel in _channels(data.space)
        for x in summary.x
    ]
    return rows, tuple(names)


def describe_series(data: EvaluationData) -> tuple[np.ndarray, np.ndarray]:
    """Features of the generated (n, F) and of the real series (n + m, F), in which distances mean something.

    Values at even times and logarithms of the structure function, standardised, with equal total weights.
    """
    over_time, structure = data.derived(_summaries)
    blocks = []
    for summary, logarithm in ((over_time, False), (structure, True)):
        generated, real = (_flat(x) for x in (summary.generated, summary.real))
        if logarithm:
            least = 1e-6 * float(real.mean()) or 1e-300
            generated, real = (np.log(np.maximum(x, least)) for x in (generated, real))
        centre, scatter = real.mean(axis=0), _scatter(real) * math.sqrt(real.shape[1])
        blocks.append(((generated - centre) / scatter, (real - centre) / scatter))
    return np.concatenate([g for g, _ in blocks], axis=1), np.concatenate([r for _, r in blocks], axis=1)


def series_pictures(data: EvaluationData[Series]) -> list[Picture]:
    """Some real and some generated series, one panel for each coordinate."""
    from matplotlib.figure import Figure

    space = data.space
    of_time, of_values = series_units(data)
    with styled():
        figure = Figure(figsize=(8.6, 1.0 + 2.1 * space.dim))
        panels = figure.subplots(space.dim, 2, sharex=True, sharey="row", squeeze=False)
        for column, (x, colour, title) in enumerate(
            ((data.test, REAL, "Real"), (data.generated, GENERATED, "Generated"))
        ):
            times, values = _parts(x[:SHOWN], space)
            for row, name in enumerate(_channels(space)):
                for each in range(len(times)):
                    seen = ~np.isnan(values[each, :, row])
                    panels[row, column].plot(
                        times[each, seen], values[each, seen, row], "o-", color=colour, ms=2.5, lw=0.7,
                        alpha=1 - 0.75 * each / SHOWN,
                    )  # fmt: skip
                panels[row, 0].set_ylabel(labelled(name or "value", of_values[row]))
            panels[0, column].set_title(title)
            panels[-1, column].set_xlabel(labelled("time", of_time))
        return [
            Picture(
                "Samples beside data",
                encode(figure),
                "Real series and generated ones, picked at random; lines only join what belongs to one series. Look "
                "for periods, amplitudes and decays that real series do not have.",
                "Real and generated series over time",
                wide=True,
            )
        ]


def _channels(space: Series) -> tuple[str, ...]:
    """Names of the values; an empty text for the only one of series without names."""
    if space.names or space.dim == 1:
        return space.names or ("",)
    return tuple(f"coordinate {number}" for number in range(space.dim))


def _parts(x: np.ndarray, space: Series) -> tuple[np.ndarray, np.ndarray]:
    """Times (n, length) and values (n, length, dim), NaN where missing."""
    if space.timed:
        return x[..., 0].astype(float), x[..., 1:].astype(float)
    return np.broadcast_to(np.arange(space.length, dtype=float), x.shape[:2]), x.astype(float)


def _summaries(data: EvaluationData[Series]) -> tuple[Summary, Summary]:
    """Values at even times, and the structure function, of every sample."""
    space = data.space
    of_time, of_values = series_units(data)
    real_times, _ = _parts(data.real, space)
    first, last = float(real_times.min()), float(real_times.max())
    at = first + (last - first) * (np.arange(TIMES) + 0.5) / TIMES
    edges = np.geomspace((last - first) / space.length, (last - first) / 2, LAGS + 1)

    def both(function: Any) -> tuple[np.ndarray, np.ndarray]:
        generated, real = (np.asarray(function(*_parts(x, space))) for x in (data.generated, data.real))
        return generated, real

    generated, real = both(lambda t, x: _resampled(t, x, at))
    over_time = Summary(
        name="values_over_time",
        title="Value over time",
        x_label=labelled("time", of_time),
        y_label=tuple(labelled(name or "value", unit) for name, unit in zip(_channels(space), of_values, strict=True)),
        x=at,
        generated=generated,
        real=real,
        versus="effect",
        caption="Means and scatter of the series at even times. The difference of the means is in units of the scatter "
        "of single series.",
    )
    generated, real = both(lambda t, x: _structure(t, x, edges))
    structure = Summary(
        name="structure_function",
        title="Structure function",
        x_label=labelled("τ", of_time),
        y_label=tuple(labelled("S(τ)", power(unit, 2)) for unit in of_values),
        x=np.sqrt(edges[1:] * edges[:-1]),
        generated=generated,
        real=real,
        versus="ratio",
        caption="Half the mean squared difference of values τ apart: the noise at short τ, the variance at long ones, "
        "and a dip at every period.",
        log_x=True,
        log_y=True,
    )
    return over_time, structure


def _resampled(times: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Values at the times ``at``, interpolated linearly between those observed, shape (n, dim, K)."""
    found = np.zeros((len(values), values.shape[2], len(at)))
    for sample in range(len(values)):
        for channel in range(values.shape[2]):
            seen = ~np.isnan(values[sample, :, channel])
            if seen.any():
                found[sample, channel] = np.interp(at, times[sample, seen], values[sample, seen, channel])
    return found


def _structure(times: np.ndarray, values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The structure function of every sample, shape (n, dim, K); a bin without pairs takes from its neighbours."""
    before, after = np.triu_indices(times.shape[1], 1)
    count = len(edges) - 1
    middle = np.arange(count)
    found = np.zeros((len(values), values.shape[2], count))
    for sample in range(len(values)):
        lag = np.digitize(times[sample, after] - times[sample, before], edges) - 1
        for channel in range(values.shape[2]):
            squares = 0.5 * (values[sample, after, channel] - values[sample, before, channel]) ** 2
            use = (lag >= 0) & (lag < count) & ~np.isnan(squares)
            pairs = np.bincount(lag[use], minlength=count)
            total = np.bincount(lag[use], weights=squares[use], minlength=count)
            if use.any():
                known = pairs > 0
                found[sample, channel] = np.interp(middle, middle[known], total[known] / pairs[known])
    return found


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1)


def _scatter(values: np.ndarray) -> np.ndarray:
    scatter = values.std(axis=0)
    return np.where(scatter > 1e-9 * scatter.max(initial=0.0), scatter, 1.0)


def _marginals(a: np.ndarray, b: np.ndarray) -> float:
    size = min(len(a), len(b))
    ranks = (np.arange(size) + 0.5) / size
    a, b = (np.sort(x, axis=0) if len(x) == size else np.quantile(x, ranks, axis=0) for x in (a, b))
    return 100 * float(np.mean(np.abs(a - b).mean(axis=0) / _scatter(b)))


def _correlations(a: np.ndarray, b: np.ndarray) -> float:
    standard = [(x - x.mean(axis=0)) / _scatter(x) for x in (a, b)]
    first, second = (x.T @ x / len(x) for x in standard)
    return float(np.sqrt(np.mean((first - second)[~np.eye(len(first), dtype=bool)] ** 2)))
