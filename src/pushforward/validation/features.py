"""Features of samples: a few numbers each, in which distances between samples are meaningful.

A map and its translation differ in every cell, so distances between maps are computed from features that are invariant
under translations, rotations and reflections of a periodic field: ln P(k), the one-point PDF, peak counts and Minkowski
functionals. If positions matter (small pictures, fields that are not periodic), the leading principal components of the
cells are added. Vectors are their own features; series have their values at even times and their structure function,
particles their distances.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pushforward import statistics
from pushforward.spaces import Field
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.fields import window_of
from pushforward.validation.kinds import kind_of
from pushforward.validation.statistic import Rows
from pushforward.validation.summaries import summarise

__all__ = ["classified", "describe", "field_classified", "field_clustered", "field_features", "standardised"]

COMPONENTS = 32
CLUSTERED = 8
FITTED = 2000


def describe(data: EvaluationData) -> Rows:
    """Features of the generated samples (n, F) and of the real members (n + m, F), computed once."""
    return data.derived(_features)


def classified(data: EvaluationData) -> tuple[Rows, tuple[str, ...]]:
    """Features that classifiers see, with their names, computed once."""
    return data.derived(_classified)


def _features(data: EvaluationData[Field]) -> Rows:
    return kind_of(data.space).features(data)


def _classified(data: EvaluationData[Field]) -> tuple[Rows, tuple[str, ...]]:
    return kind_of(data.space).classified(data)


def field_features(data: EvaluationData) -> Rows:
    """Features of fields; every statistic is standardised and has the same total weight, however many bins it has."""
    blocks = [
        standardised(_level(name, summary.generated), _level(name, summary.real))
        for name, summary in data.derived(summarise).items()
        # The bispectrum of single samples is too noisy to distinguish them.
        if not name.startswith("bispectrum")
    ]
    blocks += _components(data)
    generated, real = (
        np.concatenate([block[side] / np.sqrt(max(1, block[side].shape[1])) for block in blocks], axis=1)
        for side in (0, 1)
    )
    return generated, real


def field_classified(data: EvaluationData[Field]) -> tuple[Rows, tuple[str, ...]]:
    """Scales, values, channels, directions, places (`statistics.summary_features`), and peaks and shapes."""
    space = data.space
    options: Any = {"box": space.box, "window": window_of(space)}
    sides = [torch.from_numpy(np.ascontiguousarray(x, np.float32)) for x in (data.rounded, data.real)]
    blocks = [tuple(statistics.summary_features(x, **options).numpy() for x in sides)]
    names = list(statistics.summary_names(sides[1][:1], **options))
    for name, summary in data.derived(summarise).items():
        if name.startswith(("peaks", "minkowski")):
            step = max(1, len(summary.x) // 5)
            blocks.append((_flat(summary.generated[..., ::step]), _flat(summary.real[..., ::step])))
            at = [f"{summary.title} at {x:.2g}" for x in summary.x[::step]]
            channels = summary.generated.shape[1]
            names += [f"{each}, channel {c + 1}" if channels > 1 else each for c in range(channels) for each in at]
    for block in _components(data):
        blocks.append(block)
        names += [f"principal component {i + 1}" for i in range(block[0].shape[1])]
    a, b = (np.nan_to_num(np.concatenate([block[side] for block in blocks], axis=1)) for side in (0, 1))
    return (a, b), tuple(names)


def field_clustered(data: EvaluationData[Field]) -> Rows:
    """Leading principal components of the cells where places matter, which tell one digit from another."""
    found = _components(data)
    if not found:
        return describe(data)
    generated, real = found[0]
    return generated[:, :CLUSTERED], real[:, :CLUSTERED]


def standardised(generated: np.ndarray, real: np.ndarray) -> Rows:
    """Columns in units of the real members' scatter about their mean; those that do not vary are left out."""
    centre, scatter = real.mean(axis=0), real.std(axis=0)
    alive = scatter > 1e-6 * scatter.max(initial=0.0)
    if not alive.any():
        return generated[:, :1] * 0.0, real[:, :1] * 0.0
    centre, scatter = centre[alive], scatter[alive]
    return (generated[:, alive] - centre) / scatter, (real[:, alive] - centre) / scatter


def _components(data: EvaluationData[Field]) -> list[Rows]:
    space = data.space
    if space.periodic and space.isotropic:
        return []
    return [data.derived(_principal)]


def _level(name: str, values: np.ndarray) -> np.ndarray:
    """A row for each sample, in a scale in which its scatter is near to normal."""
    rows = _flat(values)
    if name == "power_spectrum":
        return np.log(np.maximum(rows, 1e-12 * rows.mean() if rows.mean() > 0 else 1e-300))
    return np.sqrt(rows) if name == "one_point_pdf" else rows


def _principal(data: EvaluationData) -> Rows:
    """Leading principal components of the cells, all in units of the scatter of the first.

    They are fitted to generated and real members together: components are larger for samples that were used in their
    fit than for others.
    """
    from sklearn.decomposition import PCA

    generated, real = _flat(data.generated), _flat(data.real)
    some = np.concatenate([x[:: max(1, len(x) // FITTED)] for x in (generated, real)])
    analysis = PCA(min(COMPONENTS, len(some) - 1, some.shape[1]), svd_solver="randomized", random_state=0).fit(some)
    scale = np.sqrt(analysis.explained_variance_.mean())
    scale = scale if scale > 0 else 1.0
    return analysis.transform(generated) / scale, analysis.transform(real) / scale


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1).astype(float)
