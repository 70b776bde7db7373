"""The judgement of maps and cubes: one-point PDF, power spectrum and its covariance, bispectrum, peaks, morphology."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from pushforward.validation.curves import Curve, Summary, effect, ratio_of_means
from pushforward.validation.floor import Floor
from pushforward.validation.material import Material
from pushforward.validation.summaries import summarise
from pushforward.validation.verdict import Verdict, judge

__all__ = ["FieldJudgement", "correlation", "judge_fields", "log_spectra", "remove_trend"]

COARSE_BINS = 12
"""Bins of k for the correlation matrix: fewer than samples by far, so that it is known."""


@dataclass(frozen=True)
class FieldJudgement:
    """What was found about fields: lines, curves, and the correlation matrices of ln P(k).

    Attributes:
        matrices: by "real", "generated", "difference", shape (K, K), of the first channel, at the wavenumbers ``k``.
    """

    verdicts: list[Verdict]
    curves: list[Curve]
    summaries: dict[str, Summary]
    matrices: dict[str, np.ndarray] = field(default_factory=dict)


def judge_fields(material: Material) -> FieldJudgement:
    """Every statistic of a `Field`, each beside its floor."""
    summaries = summarise(material)
    floor = material.floor
    verdicts = [
        _power(summaries["power_spectrum"], floor),
        *_power_scatter(summaries["power_spectrum"], material),
        _pdf(summaries["one_point_pdf"], floor),
    ]
    for names, label in (
        (("bispectrum_equilateral", "bispectrum_squeezed"), "Bispectrum"),
        (("peaks",), "Peak counts"),
        (("minkowski_0", "minkowski_1", "minkowski_2", "minkowski_3"), "Minkowski functionals"),
    ):
        found = [summaries[name] for name in names if name in summaries]
        if found:
            verdicts.append(_effect(names[0].split("_")[0], label, found, floor))
    space = material.space
    channels = tuple(f"channel {c + 1}" for c in range(space.channels)) if space.channels > 1 else ("",)  # type: ignore[union-attr]
    curves = [curve for summary in summaries.values() for curve in summary.curves(floor, channels)]
    return FieldJudgement(verdicts, curves, summaries, _matrices(summaries["power_spectrum"], material))


def _power(summary: Summary, floor: Floor) -> Verdict:
    within = summary.within

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return 100 * float(np.nanmean(np.abs(ratio_of_means(a, b)[:, within] - 1)))

    found = floor.measure(distance, summary.generated, summary.real)
    return judge(
        "power_spectrum",
        "Power spectrum",
        "mean relative error of P(k) from the fundamental to half the Nyquist frequency",
        found.value,
        found.error,
        found.floor,
        unit="%",
        headline=True,
    )


def _power_scatter(summary: Summary, material: Material) -> list[Verdict]:
    """Scatter of ln P(k) between samples, and the correlation of its bins, both at fixed condition."""
    floor, columns = material.floor, 0 if material.conditions is None else _design(material).shape[1]

    def residuals(rows: np.ndarray) -> np.ndarray:
        return remove_trend(rows[:, columns:], rows[:, :columns])

    def scatter(a: np.ndarray, b: np.ndarray) -> float:
        return 100 * float(np.mean(np.abs(residuals(a).std(axis=0) / residuals(b).std(axis=0) - 1)))

    def correlations(a: np.ndarray, b: np.ndarray) -> float:
        difference = correlation(residuals(a)) - correlation(residuals(b))
        return float(np.sqrt(np.mean(difference[~np.eye(len(difference), dtype=bool)] ** 2)))

    generated, real = _with_design(log_spectra(summary), material)
    fixed = " at fixed condition" if columns else ""
    found = floor.measure(scatter, generated, real)
    verdicts = [
        judge(
            "power_scatter",
            "Scatter of P(k)",
            f"mean relative error of the standard deviation of ln P(k) between samples{fixed}",
            found.value,
            found.error,
            found.floor,
            unit="%",
            headline=True,
        )
    ]
    if real.shape[1] - columns > 1:
        found = floor.measure(correlations, generated, real)
        verdicts.append(
            judge(
                "power_correlation",
                "Correlation of P(k)",
                f"root mean square error of the correlation coefficients between bins of ln P(k){fixed}",
                found.value,
                found.error,
                found.floor,
                headline=True,
            )
        )
    return verdicts


def _pdf(summary: Summary, floor: Floor) -> Verdict:
    def distance(a: np.ndarray, b: np.ndarray) -> float:
        # The bins are equally wide in the summary's scale: the distance is the area between the cumulative curves.
        cumulative = np.cumsum(a.mean(axis=0) - b.mean(axis=0), axis=-1)
        share = b.mean(axis=0) / b.mean(axis=0).sum(axis=-1, keepdims=True)
        bins = np.arange(share.shape[-1])
        mean = (share * bins).sum(axis=-1, keepdims=True)
        spread = np.sqrt((share * (bins - mean) ** 2).sum(axis=-1))
        return 100 * float(np.mean(np.abs(cumulative).sum(axis=-1) / b.mean(axis=0).sum(axis=-1) / spread))

    found = floor.measure(distance, summary.generated, summary.real)
    return judge(
        "one_point_pdf",
        "One-point PDF",
        "Wasserstein-1 distance of the values, in per cent of their standard deviation",
        found.value,
        found.error,
        found.floor,
        unit="%",
        headline=True,
    )


def _effect(key: str, label: str, summaries: list[Summary], floor: Floor) -> Verdict:
    """A statistic whose mean may vanish, judged in units of the scatter of single samples."""

    def flat(which: str) -> np.ndarray:
        values = [getattr(summary, which)[..., summary.within] for summary in summaries]
        return np.concatenate([value.reshape(len(value), -1) for value in values], axis=1)

    edges = np.cumsum([0] + [summary.generated.shape[1] * int(summary.within.sum()) for summary in summaries])

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        parts = [np.mean(np.abs(effect(a[:, i:j], b[:, i:j]))) for i, j in pairwise(edges)]
        return float(np.mean(parts))

    found = floor.measure(distance, flat("generated"), flat("real"))
    return judge(
        key,
        label,
        "mean difference, in standard deviations of a single sample",
        found.value,
        found.error,
        found.floor,
        unit="σ",
        headline=True,
    )


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


def _design(material: Material) -> np.ndarray:
    """Regressors of the real members: each parameter and its square, or an indicator of each class but the first."""
    assert material.conditions is not None
    columns = []
    for index, parameter in enumerate(material.parameters):
        values = material.conditions[:, index].astype(float)
        if parameter.classes:
            columns += [(values == label).astype(float) for label in range(1, len(parameter.classes))]
        elif values.std() > 0:
            standard = (values - values.mean()) / values.std()
            columns += [standard, standard**2]
    return np.stack(columns, axis=1) if columns else np.zeros((len(material.conditions), 0))


def _with_design(values: tuple[np.ndarray, np.ndarray], material: Material) -> tuple[np.ndarray, np.ndarray]:
    """Rows of regressors and values side by side, so that resampled rows keep their conditions."""
    generated, real = values
    if material.conditions is None:
        return generated, real
    design = _design(material)
    return np.hstack([design[: len(generated)], generated]), np.hstack([design, real])


def _matrices(summary: Summary, material: Material) -> dict[str, np.ndarray]:
    generated, real = log_spectra(summary)
    bins = min(COARSE_BINS, int(summary.within.sum()))
    if material.conditions is not None:
        design = _design(material)
        generated = remove_trend(generated, design[: len(generated)])
        real = remove_trend(real[: material.count], design[: material.count])
    found = {"real": correlation(real[: material.count, :bins]), "generated": correlation(generated[:, :bins])}
    blocks = np.array_split(summary.x[summary.within], bins)
    return found | {
        "difference": found["generated"] - found["real"],
        "k": np.array([block.mean() for block in blocks]),
    }
