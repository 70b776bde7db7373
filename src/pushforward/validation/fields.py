"""Judgement of maps and cubes: values, power spectrum and its covariance, directions, channels, positions, shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
import torch

from pushforward import statistics
from pushforward.spaces import Field
from pushforward.statistics.power_spectrum import PowerSpectrum, Window
from pushforward.validation.curves import Curve, Summary, ratio_of_means
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.floor import match
from pushforward.validation.spectra import (
    correlation,
    design_of,
    log_spectra,
    remove_trend,
    require_variation,
    varies,
    with_design,
)
from pushforward.validation.statistic import Rows, Statistic
from pushforward.validation.summaries import summarise

__all__ = ["field_curves", "field_statistics", "summary_of", "window_of"]

MOST_CHANNELS = 4
"""Largest number of channels with a separate line for the amplitude of their spectrum."""
WEIGHING = 500
"""Largest number of pairs of spectra for the weights of a fit."""
RARE = 0.2
"""Smallest scatter of a bin, relative to the largest of a curve."""
BANDS = 6
"""Bands of k in which the correlation of channels is compared."""


def window_of(space: Field) -> Window:
    """Window of spectra: none for periodic fields."""
    return None if space.periodic else "hann"


def summary_of(name: str) -> Callable[[EvaluationData], Summary]:
    """One of the `Summary`s of the fields, computed once for all statistics."""
    return lambda data: data.derived(summarise)[name]


def _rows(name: str) -> Callable[[EvaluationData], Rows]:
    def rows(data: EvaluationData) -> Rows:
        if name != "one_point_pdf":
            require_variation(data.real)
        summary = summary_of(name)(data)
        return summary.generated, summary.real

    return rows


def field_statistics(data: EvaluationData[Field]) -> list[Statistic]:
    """Every statistic of a `Field`."""
    space, summaries = data.space, data.derived(summarise)
    fixed = " at fixed condition" if data.conditions is not None else ""
    declared = [
        Statistic(
            "power_spectrum",
            "Power spectrum",
            "mean relative error of P(k) from the fundamental to half the Nyquist frequency",
            rows=_rows("power_spectrum"),
            distance=_power(summaries["power_spectrum"].within),
            unit="%",
            headline=True,
        ),
        *_amplitudes(space),
        Statistic(
            "power_scatter",
            "Scatter of P(k)",
            f"mean relative error of the standard deviation of ln P(k) between samples{fixed}",
            rows=_spectra_and_design,
            distance=_scatter(data),
            unit="%",
            headline=True,
        ),
        Statistic(
            "power_correlation",
            "Correlation of P(k)",
            f"root mean square error of the correlation coefficients between bins of ln P(k){fixed}",
            rows=_spectra_and_design,
            distance=_correlations(data),
            headline=True,
        ),
        Statistic(
            "one_point_pdf",
            "One-point PDF",
            "Wasserstein-1 distance of the values, in per cent of their standard deviation",
            rows=_rows("one_point_pdf"),
            distance=_pdf,
            unit="%",
            headline=True,
        ),
    ]
    if log_spectra(summaries["power_spectrum"])[1].shape[1] < 2:
        declared = [each for each in declared if each.name != "power_correlation"]
    for names, label in (
        (("bispectrum_equilateral", "bispectrum_squeezed"), "Bispectrum"),
        (("peaks",), "Peak counts"),
        (("minkowski_0", "minkowski_1", "minkowski_2", "minkowski_3"), "Minkowski functionals"),
    ):
        present = [name for name in names if name in summaries]
        if present:
            declared.append(_effect(present[0].split("_")[0], label, [summaries[name] for name in present]))
    return declared + _directions_channels_places(space)


def field_curves(data: EvaluationData[Field]) -> list[Curve]:
    """Every summary of the fields, a curve per channel."""
    channels = data.space.channels
    names = tuple(f"channel {c + 1}" for c in range(channels)) if channels > 1 else ("",)
    summaries = list(data.derived(summarise).values())
    if not varies(data.real):
        summaries = [each for each in summaries if each.name == "one_point_pdf"]
    return [curve for summary in summaries for curve in summary.curves(data.floor, names)]


def _power(within: np.ndarray) -> Callable[[np.ndarray, np.ndarray], float]:
    return lambda a, b: 100 * float(np.nanmean(np.abs(ratio_of_means(a, b)[:, within] - 1)))


def _amplitudes(space: Field) -> list[Statistic]:
    """Signed amplitude, slope and white noise of P(k), over all of k: a fit weighted by the scatter of the spectra."""
    meanings = {
        "amplitude": ("Amplitude of P(k)", "mean of ln P(k) relative to real samples, over all k, weighted", "%", True),
        "slope": (
            "Slope of P(k)",
            "logarithmic slope of P(k) less that of real samples, over all k, weighted",
            "",
            False,
        ),
        "noise": (
            "White noise in P(k)",
            "variance of white noise in samples, of the variance of real ones",
            "%",
            False,
        ),
    }
    declared = []
    for channel in range(space.channels if space.channels <= MOST_CHANNELS else 1):
        suffix = f"/channel {channel + 1}" if space.channels > 1 else ""
        for name, (label, quantity, unit, headline) in meanings.items():
            declared.append(
                Statistic(
                    f"power_{name}{suffix}",
                    f"{label}, channel {channel + 1}" if suffix else label,
                    quantity,
                    rows=_all_spectra,
                    distance=_fitted,
                    part=f"{name} {channel}",
                    unit=unit,
                    kind="score",
                    headline=headline,
                )
            )
    return declared


def _all_spectra(data: EvaluationData[Field]) -> Rows:
    """Spectra with every scale of the grid, and the weights of the fit in one more row each, which all rows share."""
    require_variation(data.real)
    space = data.space
    a, b = (
        statistics.power_spectrum(torch.from_numpy(x), space.box, bins="all", window=window_of(space))
        for x in (data.generated, data.real)
    )
    weights = statistics.spectrum_weights(*_weighing(data, b))
    packed = np.concatenate([weights.power[:, None].numpy(), weights.rows.numpy()], axis=1)[None]
    return tuple(  # type: ignore[return-value]
        np.concatenate(
            [x.power[:, :, None].numpy(), np.broadcast_to(packed, (len(x.power), *packed.shape[1:]))], axis=2
        )
        for x in (a, b)
    )


def _weighing(data: EvaluationData, real: PowerSpectrum) -> tuple[PowerSpectrum, PowerSpectrum | None]:
    """Spectra whose scatter sets the weights, in pairs at like conditions where there are some.

    They are not of test members, if others are enough: weights make the scatter of the spectra that they were taken
    from too small.
    """
    rows, n = np.arange(len(real.power)), data.count
    rows = rows[n:] if len(rows) >= 2 * n else rows
    rng = np.random.default_rng(n)
    if data.conditions is None:
        return PowerSpectrum(real.k, real.power[rows], real.modes), None
    groups = data.groups[rows]
    names, member = np.unique(groups if np.ptp(groups) > 0 else rows, return_inverse=True)
    first = rng.permutation(len(names))[member] < len(names) // 2
    one, other = (rng.permutation(part)[:WEIGHING] for part in (rows[first], rows[~first]))
    beside, chosen = match(data.conditions[one], data.conditions[other], data.labels)
    parts = (PowerSpectrum(real.k, real.power[r], real.modes) for r in (one[beside], other[chosen]))
    return next(parts), next(parts)


def _fitted(a: np.ndarray, b: np.ndarray) -> Mapping[str, float]:
    power, rows = torch.from_numpy(b[0, :, 1].copy()), torch.from_numpy(b[0, :, 2:].copy())
    weights = statistics.SpectrumWeights(power[0], power[:, 0], power, rows)
    ours, theirs = (torch.from_numpy(x[:, :, 0].mean(axis=0)) for x in (a, b))
    if not float(ours.sum()) > 0:
        fitted = torch.full((len(ours), 3), torch.nan)
    else:
        fitted = weights.apply(ours, theirs)
    found: dict[str, float] = {}
    for channel, (amplitude, slope, noise) in enumerate(fitted.tolist()):
        found |= {f"amplitude {channel}": 100 * amplitude, f"slope {channel}": slope, f"noise {channel}": 100 * noise}
    return found


def _spectra_and_design(data: EvaluationData) -> Rows:
    """ln P(k) in wide bins behind the regressors of the condition, so that resampled rows keep both."""
    require_variation(data.real)
    return with_design(log_spectra(summary_of("power_spectrum")(data)), data)


def _residuals(data: EvaluationData) -> Callable[[np.ndarray], np.ndarray]:
    columns = 0 if data.conditions is None else design_of(data).shape[1]
    return lambda rows: remove_trend(rows[:, columns:], rows[:, :columns])


def _scatter(data: EvaluationData) -> Callable[[np.ndarray, np.ndarray], float]:
    residuals = _residuals(data)
    return lambda a, b: 100 * float(np.mean(np.abs(residuals(a).std(axis=0) / residuals(b).std(axis=0) - 1)))


def _correlations(data: EvaluationData) -> Callable[[np.ndarray, np.ndarray], float]:
    residuals = _residuals(data)

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        difference = correlation(residuals(a)) - correlation(residuals(b))
        return float(np.sqrt(np.mean(difference[~np.eye(len(difference), dtype=bool)] ** 2)))

    return distance


def _pdf(a: np.ndarray, b: np.ndarray) -> float:
    # The bins are equally wide in the summary's scale: the distance is the area between the cumulative curves.
    cumulative = np.cumsum(a.mean(axis=0) - b.mean(axis=0), axis=-1)
    share = b.mean(axis=0) / b.mean(axis=0).sum(axis=-1, keepdims=True)
    bins = np.arange(share.shape[-1])
    mean = (share * bins).sum(axis=-1, keepdims=True)
    spread = np.sqrt((share * (bins - mean) ** 2).sum(axis=-1))
    return 100 * float(np.mean(np.abs(cumulative).sum(axis=-1) / b.mean(axis=0).sum(axis=-1) / spread))


def _effect(name: str, label: str, summaries: list[Summary]) -> Statistic:
    """A statistic whose mean may vanish, judged in units of the scatter of single samples."""

    def flat(which: str) -> np.ndarray:
        values = [getattr(summary, which)[..., summary.within] for summary in summaries]
        return np.concatenate([value.reshape(len(value), -1) for value in values], axis=1)

    edges = np.cumsum([0] + [summary.generated.shape[1] * int(summary.within.sum()) for summary in summaries])
    parts = list(pairwise(edges))
    spread = flat("real").std(axis=0)
    for i, j in parts:
        # A bin that few samples have anything in must not outweigh all others.
        spread[i:j] = np.maximum(spread[i:j], RARE * spread[i:j].max(initial=0.0))
    spread = np.where(spread > 0, spread, 1.0)

    def rows(data: EvaluationData) -> Rows:
        require_variation(data.real)
        return flat("generated"), flat("real")

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        found = np.abs(a.mean(axis=0) - b.mean(axis=0)) / spread
        return float(np.mean([found[i:j].mean() for i, j in parts]))

    return Statistic(
        name,
        label,
        "mean difference, in standard deviations of a single sample",
        rows=rows,
        distance=distance,
        unit="σ",
        headline=True,
    )


def _directions_channels_places(space: Field) -> list[Statistic]:
    """Statistics of the dependence on direction, between channels, and on position."""
    declared: list[Statistic] = []
    if len(space.grid) in (2, 3) and min(space.grid) > 4:
        declared.append(
            Statistic(
                "quadrupole",
                "Direction",
                "root mean square difference of the quadrupole of P(k), relative to P(k)",
                rows=lambda m: _both(
                    m, lambda x: statistics.quadrupole(x, space.box, window=window_of(space)).strength.flatten(1)
                ),
                distance=_root_mean_square,
                unit="%",
            )
        )
    if space.channels > 1:
        declared.append(
            Statistic(
                "cross_spectra",
                "Correlation of channels",
                f"root mean square difference of r(k) between channels, in {BANDS} bands of k",
                rows=lambda m: _both(m, lambda x: _channel_correlations(x, space)),
                distance=lambda a, b: _root_mean_square(a, b) / 100,
            )
        )
    if min(space.grid) >= 4:
        declared.append(
            Statistic(
                "position",
                "Border",
                "root mean square difference of mean and variance in rings along the border, relative to the scatter "
                "of cells",
                rows=_rings,
                distance=_root_mean_square,
                unit="%",
            )
        )
    return declared


def _channel_correlations(x: torch.Tensor, space: Field) -> torch.Tensor:
    cross = statistics.cross_spectra(x, space.box, window=window_of(space))
    bands = torch.arange(len(cross.k)).tensor_split(min(BANDS, len(cross.k)))
    r = cross.correlation.nan_to_num(0.0)
    means = [(r[..., band] * cross.modes[band]).sum(-1) / cross.modes[band].sum() for band in bands]
    return torch.stack(means, -1).flatten(1)


def _rings(data: EvaluationData[Field]) -> Rows:
    space = data.space
    profiles = [statistics.border_profile(torch.from_numpy(x), space.box) for x in (data.generated, data.real)]
    axes = tuple(range(2, data.real.ndim))
    scatter = data.test.std(axis=(0, *axes)).astype(float)[:, None]
    scatter = np.where(scatter > 0, scatter, 1.0)
    a, b = (
        np.concatenate([p.mean.numpy() / scatter, p.variance.numpy() / scatter**2], axis=2).reshape(len(p.mean), -1)
        for p in profiles
    )
    return a, b


def _both(data: EvaluationData, function: Callable[[torch.Tensor], torch.Tensor]) -> Rows:
    require_variation(data.real)
    a, b = (function(torch.from_numpy(x)).numpy() for x in (data.generated, data.real))
    return a, b


def _root_mean_square(a: np.ndarray, b: np.ndarray) -> float:
    return 100 * float(np.sqrt(np.mean((a.mean(axis=0) - b.mean(axis=0)) ** 2)))
