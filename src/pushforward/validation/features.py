"""A description of every sample by a few numbers, in which distances between samples mean something.

Two maps of the same universe differ in every cell once one of them is shifted, so distances between maps are taken
between what does not change when a periodic field is moved, turned or mirrored: ln P(k), the one-point PDF, peak counts
and Minkowski functionals. Where places matter (small pictures, fields that do not wrap around) the leading principal
components of the cells join them. Vectors are their own description; series are told by
their values at even times and by their structure function.
"""

from __future__ import annotations

import numpy as np

from pushforward.spaces import Field, Series
from pushforward.validation.curves import Summary
from pushforward.validation.material import Material
from pushforward.validation.series import describe_series

__all__ = ["describe"]

COMPONENTS = 32
FITTED = 2000


def describe(material: Material, summaries: dict[str, Summary] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Features of the generated samples (n, F) and of the real members (n + m, F).

    Every statistic is standardised by the real members and has the same total weight, however many bins it has.
    """
    if isinstance(material.space, Series):
        return describe_series(material)
    if not isinstance(material.space, Field):
        return _standard(_flat(material.generated), _flat(material.real))
    summaries = summaries or {}
    blocks = [
        _standard(_level(name, summary.generated), _level(name, summary.real))
        for name, summary in summaries.items()
        # The bispectrum of single samples is too noisy to tell them apart by.
        if not name.startswith("bispectrum")
    ]
    if not (material.space.periodic and material.space.isotropic):
        blocks.append(_principal(_flat(material.generated), _flat(material.real)))
    generated, real = (
        np.concatenate([block[side] / np.sqrt(max(1, block[side].shape[1])) for block in blocks], axis=1)
        for side in (0, 1)
    )
    return generated, real


def _level(name: str, values: np.ndarray) -> np.ndarray:
    """A row for each sample, in a scale in which its scatter is near to normal."""
    rows = _flat(values)
    if name == "power_spectrum":
        return np.log(np.maximum(rows, 1e-12 * rows.mean() if rows.mean() > 0 else 1e-300))
    return np.sqrt(rows) if name == "one_point_pdf" else rows


def _standard(generated: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centre, scatter = real.mean(axis=0), real.std(axis=0)
    alive = scatter > 1e-6 * scatter.max(initial=0.0)
    if not alive.any():
        return generated[:, :1] * 0.0, real[:, :1] * 0.0
    centre, scatter = centre[alive], scatter[alive]
    return (generated[:, alive] - centre) / scatter, (real[:, alive] - centre) / scatter


def _principal(generated: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leading principal components of the cells, all in units of the scatter of the first."""
    from sklearn.decomposition import PCA

    some = real[:: max(1, len(real) // FITTED)]
    analysis = PCA(min(COMPONENTS, len(some) - 1, some.shape[1]), svd_solver="randomized", random_state=0).fit(some)
    scale = np.sqrt(analysis.explained_variance_.mean())
    scale = scale if scale > 0 else 1.0
    return analysis.transform(generated) / scale, analysis.transform(real) / scale


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1).astype(float)
