"""The judgement of vectors: marginals, correlations, distances between distributions, and the density."""

from __future__ import annotations

import math

import numpy as np
import torch

from pushforward import statistics
from pushforward.spaces import Vector
from pushforward.validation.coordinate_axes import CoordinateAxis
from pushforward.validation.curves import Curve, Summary
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.features import standardised
from pushforward.validation.labels import column_units, common_unit, labelled, power
from pushforward.validation.spectra import correlation
from pushforward.validation.statistic import Rows, Statistic

__all__ = [
    "coordinate_names",
    "nearest_vectors",
    "root_energy_distance",
    "vector_classified",
    "vector_curves",
    "vector_features",
    "vector_statistics",
    "worst_columns",
]

ALIKE = 3.0
"""Coordinates whose scatters differ by more than this factor are measured in standard deviations."""
TRANSPORTED, SLICED, PAIRED = 1000, 2000, 1500
"""Points of each set for optimal transport, which costs about their number cubed, and for other distances."""
FEWEST_BINS, MARGINAL_BINS = 12, 40
DRAWN = 6
"""Coordinates whose marginals are drawn."""


def coordinate_names(space: Vector) -> tuple[str, ...]:
    """The coordinates' own names, or x1, x2, ..."""
    return space.names or tuple(f"x{i + 1}" for i in range(space.dim))


def vector_statistics(data: EvaluationData) -> list[Statistic]:
    """Every statistic of a `Vector`."""
    dim = data.real.shape[1]
    unit = data.derived(_scaled)[1]
    declared = [
        Statistic(
            "marginals",
            "Marginals",
            "Wasserstein-1 distance of each coordinate, in per cent of its standard deviation, averaged",
            rows=scaled_rows,
            distance=_marginal_distance,
            unit="%",
            headline=True,
        ),
        Statistic(
            "correlations",
            "Correlations",
            "root mean square error of the correlation coefficients",
            rows=scaled_rows,
            distance=_correlations,
            headline=True,
        ),
    ]
    for name, label, quantity, distance, most in (
        ("sliced_wasserstein", "Sliced Wasserstein", "sliced 2-Wasserstein distance", _sliced, SLICED),
        ("wasserstein2", "Wasserstein", "exact 2-Wasserstein distance", _transport, TRANSPORTED),
        ("energy_distance", "Energy distance", "square root of the energy distance", root_energy_distance, PAIRED),
    ):
        declared.append(
            Statistic(
                name,
                label,
                quantity,
                rows=scaled_rows,
                distance=distance,
                unit=unit,
                set_distance=True,
                most=most,
                headline=True,
            )
        )
    one = {"correlations", "sliced_wasserstein"} if dim == 1 else set()
    return [each for each in declared if each.name not in one]


def scaled_rows(data: EvaluationData) -> Rows:
    """The samples, in standard deviations where their coordinates have unlike scales."""
    return data.derived(_scaled)[0]


def _scaled(data: EvaluationData) -> tuple[Rows, str]:
    scatter = data.test.std(axis=0)
    scatter = np.where(scatter > 0, scatter, 1.0)
    alike = scatter.max() <= ALIKE * scatter.min()
    generated, real = data.generated.astype(float), data.real.astype(float)
    if alike:
        return (generated, real), common_unit(data)
    return (generated / scatter, real / scatter), "σ"


def vector_curves(data: EvaluationData) -> list[Curve]:
    """The marginals of the worst coordinates."""
    shown = worst_columns(data, DRAWN)
    names = coordinate_names(data.space)
    return [curve for i in shown for curve in _marginal(data, i).curves(data.floor, (names[i],))]


def worst_columns(data: EvaluationData, most: int) -> list[int]:
    """Coordinates whose marginals differ most, at most so many, in their own order."""
    generated, real = scaled_rows(data)
    if real.shape[1] <= most:
        return list(range(real.shape[1]))
    a, b = np.sort(generated, axis=0), np.sort(real[: data.count], axis=0)
    distance = np.abs(a - b).mean(axis=0) / np.maximum(b.std(axis=0), 1e-300)
    return sorted(np.argsort(-distance)[:most].tolist())


def vector_features(data: EvaluationData) -> Rows:
    """The coordinates, standardised."""
    return standardised(data.generated.astype(float), data.real.astype(float))


def vector_classified(data: EvaluationData) -> tuple[Rows, tuple[str, ...]]:
    """The coordinates as they are: what makes a value possible is seen only there."""
    return (data.generated.astype(float), data.real.astype(float)), coordinate_names(data.space)


def nearest_vectors(samples: np.ndarray, members: np.ndarray, data: EvaluationData) -> statistics.NearestMembers:
    """The nearest member to each sample, with coordinates measured in their scatter."""
    scatter = data.real.std(axis=0)
    scatter = np.where(scatter > 0, scatter, 1.0).astype(float)
    return statistics.nearest_members(*(torch.from_numpy(x.astype(float) / scatter) for x in (samples, members)))


def _marginal_distance(a: np.ndarray, b: np.ndarray) -> float:
    size = min(len(a), len(b))
    difference = np.abs(_quantiles(a, size) - _quantiles(b, size)).mean(axis=0)
    return 100 * float(np.mean(difference / np.maximum(b.std(axis=0), 1e-300)))


def _quantiles(values: np.ndarray, size: int) -> np.ndarray:
    """Order statistics of each column, thinned evenly to ``size``."""
    ordered = np.sort(values, axis=0)
    return ordered if len(ordered) == size else np.quantile(ordered, (np.arange(size) + 0.5) / size, axis=0)


def _correlations(a: np.ndarray, b: np.ndarray) -> float:
    difference = correlation(a) - correlation(b)
    return float(np.sqrt(np.mean(difference[~np.eye(len(difference), dtype=bool)] ** 2)))


def _sliced(a: np.ndarray, b: np.ndarray) -> float:
    return float(statistics.sliced_wasserstein(torch.from_numpy(a), torch.from_numpy(b), directions=128).distance)


def _transport(a: np.ndarray, b: np.ndarray) -> float:
    return float(statistics.wasserstein2(torch.from_numpy(a), torch.from_numpy(b)).distance)


def root_energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """With every pair counted, a sample's with itself too: never negative, so that it can be set against a floor."""
    found = statistics.energy_distance(torch.from_numpy(a), torch.from_numpy(b))
    within = float(found.within_x) * (1 - 1 / len(a)) + float(found.within_y) * (1 - 1 / len(b))
    return math.sqrt(max(0.0, 2 * float(found.between) - within))


def _marginal(data: EvaluationData, column: int) -> Summary:
    """Each sample's bin along one coordinate, logarithmic over decades."""
    unit = column_units(data)[column]
    name = coordinate_names(data.space)[column]
    axis = CoordinateAxis.of(data.test[:, column], labelled(name, unit), 0.04, MARGINAL_BINS)
    edges = axis.edges(int(np.clip(data.count**0.5, FEWEST_BINS, MARGINAL_BINS)))
    measure = np.log(edges) if axis.logarithmic else edges
    width = np.ones(len(edges) - 1) if axis.levels else np.diff(measure)

    def bins(x: np.ndarray) -> np.ndarray:
        index = np.clip(np.digitize(x[:, column], edges) - 1, 0, len(width) - 1)
        return (np.eye(len(width), dtype=np.float32)[index] / width)[:, None]

    if axis.levels:
        density = "share of the samples"
    elif axis.logarithmic:
        density = f"density of ln({name})"
    else:
        density = labelled("probability density", power(unit, -1))
    middle = np.sqrt(edges[1:] * edges[:-1]) if axis.logarithmic else (edges[1:] + edges[:-1]) / 2
    return Summary(
        name="marginals",
        title="Marginal",
        x_label=axis.label,
        y_label=density,
        x=np.array(axis.levels) if axis.levels else middle,
        generated=bins(data.generated),
        real=bins(data.real),
        versus="ratio",
        caption="One coordinate on its own. Below, the ratio of generated to real density with its standard error: it "
        "should stay within the grey band. Values beyond the ends of the axis are counted in the last bins"
        + (", zeros in the first." if axis.logarithmic else "."),
        log_x=axis.logarithmic,
    )
