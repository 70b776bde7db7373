"""Spectra of single samples for regressions: logarithms in wide bins, at fixed condition."""

from __future__ import annotations

import numpy as np

from pushforward.errors import UsageError
from pushforward.validation.curves import Summary
from pushforward.validation.evaluation_data import EvaluationData

__all__ = [
    "correlation",
    "design_of",
    "log_spectra",
    "power_matrices",
    "remove_trend",
    "require_variation",
    "varies",
    "with_design",
]

COARSE_BINS = 12
"""Number of bins of k in the correlation matrix: far fewer than samples, so that it is well determined."""


def varies(real: np.ndarray) -> bool:
    """Whether any sample varies over its cells, beyond rounding; shape (samples, channels, *grid)."""
    cells = real.reshape(*real.shape[:2], -1)
    return bool((np.ptp(cells, axis=2) > 1e-5 * np.abs(cells).max(axis=2)).any())


def require_variation(real: np.ndarray) -> None:
    """Raise if every sample is constant: there is no structure to compare."""
    if not varies(real):
        raise UsageError("each real sample is constant, so it has no structure to compare")


def log_spectra(summary: Summary) -> tuple[np.ndarray, np.ndarray]:
    """ln P of generated and real samples in at most `COARSE_BINS` wide bins of k, shapes (n, F) and (n + m, F).

    A spectrum without power (a constant sample) counts as 1e-12 of the mean power.
    """
    inside = np.flatnonzero(summary.within)
    blocks = np.array_split(inside, min(COARSE_BINS, len(inside)))
    least = 1e-12 * summary.real.mean()

    def coarse(values: np.ndarray) -> np.ndarray:
        bins = np.stack([values[..., block].mean(axis=-1) for block in blocks], axis=-1)
        return np.log(np.maximum(bins, least)).reshape(len(values), -1)

    return coarse(summary.generated), coarse(summary.real)


def remove_trend(values: np.ndarray, design: np.ndarray) -> np.ndarray:
    """``values`` (N, K) less their least-squares fit on ``design`` (N, P) and a constant."""
    design = np.column_stack([np.ones(len(values)), design])
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]


def correlation(values: np.ndarray) -> np.ndarray:
    """Correlation matrix of the columns; a column that does not vary is uncorrelated with all others."""
    centred = values - values.mean(axis=0)
    spread = np.sqrt((centred**2).mean(axis=0))
    centred = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    matrix = centred.T @ centred / len(values)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def design_of(data: EvaluationData) -> np.ndarray:
    """Regressors of the real members: each parameter and its square, or an indicator of each class but the first."""
    assert data.conditions is not None
    columns = []
    for index, parameter in enumerate(data.parameters):
        values = data.conditions[:, index].astype(float)
        if parameter.classes:
            columns += [(values == label).astype(float) for label in range(1, len(parameter.classes))]
        elif values.std() > 0:
            standard = (values - values.mean()) / values.std()
            columns += [standard, standard**2]
    return np.stack(columns, axis=1) if columns else np.zeros((len(data.conditions), 0))


def with_design(values: tuple[np.ndarray, np.ndarray], data: EvaluationData) -> tuple[np.ndarray, np.ndarray]:
    """Rows of regressors and values side by side, so that resampled rows keep their conditions."""
    generated, real = values
    if data.conditions is None:
        return generated, real
    design = design_of(data)
    return np.hstack([design[: len(generated)], generated]), np.hstack([design, real])


def power_matrices(summary: Summary, data: EvaluationData) -> dict[str, np.ndarray]:
    """Correlation matrices of ln P(k) at given conditions, shape (bins, bins); empty for constant fields.

    Returns:
        ``real``, ``generated``, their ``difference``, and the mean wavenumbers ``k`` of the bins, shape (bins,).
    """
    if not varies(data.real):
        return {}
    generated, real = log_spectra(summary)
    bins = min(COARSE_BINS, int(summary.within.sum()))
    if data.conditions is not None:
        design = design_of(data)
        generated = remove_trend(generated, design[: len(generated)])
        real = remove_trend(real[: data.count], design[: data.count])
    found = {"real": correlation(real[: data.count, :bins]), "generated": correlation(generated[:, :bins])}
    blocks = np.array_split(summary.x[summary.within], bins)
    return found | {
        "difference": found["generated"] - found["real"],
        "k": np.array([block.mean() for block in blocks]),
    }
