r"""Judgement of samples conditional on a field, each compared with the truth of that field.

For a perfect emulator, the truth and several samples at one condition field are exchangeable. So a sample must be
correlated with the truth just as with another sample,

    r(k) = P_ab / sqrt(P_a P_b),      <r(sample, truth)> = <r(sample, another sample)>,

less if the emulator is overconfident (its samples agree with each other more than with the truth), more if it is
underconfident; and the transfer function T(k) = sqrt(P_sample / P_truth) must scatter about 1 as that of two samples
does. The floor of these statistics comes from exchanges: one of three samples per field, at random, plays the truth.

An emulator that ignores its field passes this test. It is detected by the correlation of samples with their field,
which is judged against that of real members like every other statistic.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any, Literal

import numpy as np
import torch

from pushforward import statistics
from pushforward.spaces import Field
from pushforward.validation.curves import Curve, Summary, ratio_of_means
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.floor import REPETITIONS, Floor
from pushforward.validation.statistic import Rows, Statistic
from pushforward.validation.summaries import summarise

__all__ = ["pair_curves", "pair_statistics"]


def pair_statistics(data: EvaluationData) -> list[Statistic]:
    """Correlation with the condition field and with the truth, and the transfer function."""
    if data.given is None or data.repeats is None:
        return []
    within = data.derived(with_field).within
    half = "up to half the Nyquist frequency"
    return [
        Statistic(
            "correlation_with_condition",
            "Correlation with the condition field",
            f"mean difference of r(k) between sample and condition field from that of real members, {half}",
            rows=lambda m: _both(m.derived(with_field)),
            distance=lambda a, b: float(np.nanmean(np.abs(a.mean(axis=0) - b.mean(axis=0))[:, within])),
            group="pairs",
            headline=True,
        ),
        Statistic(
            "correlation_with_truth",
            "Correlation with the truth",
            f"mean correlation coefficient r(k) of a sample with the truth, {half}",
            rows=_truth_rows,
            distance=lambda a, b: _level(a, within) - _level(b, within),
            level=lambda b: _level(b, within),
            floor=exchangeable,
            kind="score",
            group="pairs",
            headline=True,
            note="Its reference is the correlation of two samples of one field: as high, if the truth might be one",
        ),
        Statistic(
            "transfer_function",
            "Transfer function",
            f"mean of |T(k) - 1|, the amplitude of samples over that of their truths, {half}",
            rows=lambda m: _both(m.derived(with_truth)[1]),
            distance=lambda a, b: 100 * float(np.nanmean(np.abs(ratio_of_means(a, b)[:, within] - 1))),
            floor=exchangeable,
            unit="%",
            group="pairs",
            headline=True,
            note="Its floor is of samples against other samples of the same fields",
        ),
    ]


def pair_curves(data: EvaluationData) -> list[Curve]:
    """Curves of the same three."""
    if data.given is None or data.repeats is None:
        return []
    of_truth, transfer = data.derived(with_truth)
    of_field, exchange = data.derived(with_field), data.derived(exchangeable)
    channels, pairs = of_truth.real.shape[1], of_field.real.shape[1]
    names = tuple(f"channel {c + 1}" for c in range(channels)) if channels > 1 else ("",)
    of_pairs = tuple(f"pair {c + 1}" for c in range(pairs)) if pairs > 1 else ("",)
    curves = of_field.curves(data.floor, of_pairs)
    return curves + of_truth.curves(exchange, names) + transfer.curves(exchange, names)


def _both(summary: Summary) -> Rows:
    return summary.generated, summary.real


def _truth_rows(data: EvaluationData) -> Rows:
    """Correlations of a sample with the truth; and of two samples: the first pair, then all pairs that play its part.

    A perfect emulator's truth is one more sample, so that any two correlations that share a sample can be exchanged.
    """
    assert data.repeats is not None
    summary, count = data.derived(with_truth)[0], data.repeats.shape[1]
    truth, samples = summary.real[:count], summary.real[count:]
    return truth, np.concatenate([samples[:count], samples])


def _level(rows: np.ndarray, within: np.ndarray) -> float:
    return float(np.nanmean(rows.mean(axis=0)[:, within]))


def with_field(data: EvaluationData) -> Summary:
    """Correlation of every member with the field that it is given with."""
    return _summary(
        data.derived(summarise)["power_spectrum"],
        "correlation_with_condition",
        "Correlation with the condition field",
        "r(k)",
        _against_field(data, data.generated),
        _against_field(data, data.real),
        "effect",
        "Correlation of each sample with the field that it was given with, mode by mode, beside that of real members "
        "with theirs. Too low: the emulator does not use what the field tells.",
    )


def with_truth(data: EvaluationData) -> tuple[Summary, Summary]:
    """Correlation and power of samples of the same field. "Real" rows are of the truth first, then of samples alone."""
    assert data.repeats is not None
    spectrum = data.derived(summarise)["power_spectrum"]
    count = int(data.repeats.shape[1])
    truth, one = data.test[:count], data.generated[:count]
    two, three = data.repeats
    r = [_cross(data, *pair).correlation.numpy() for pair in ((one, two), (one, truth), (one, three), (two, three))]
    power = [np.sqrt(spectrum.generated[:count]), np.sqrt(spectrum.real[:count])]
    power += [np.sqrt(_power(data, sample)) for sample in (two, three)]
    of_truth = _summary(
        spectrum,
        "correlation_with_truth",
        "Correlation with the truth",
        "r(k)",
        r[0],
        np.concatenate([r[1], r[0], r[2], r[3]]),
        "effect",
        "Black: correlation of a sample with the truth that its field came with. Blue: with another sample of the same "
        "field. If samples are drawn as the truth was, the two agree. Blue above black: the emulator is too sure; "
        "below: not sure enough.",
    )
    transfer = _summary(
        spectrum,
        "transfer_function",
        "Transfer function",
        "square root of P(k)",
        power[0],
        np.concatenate([power[1], power[0], power[2], power[3]]),
        "ratio",
        "Amplitude of the modes of samples and of the truths that their fields came with. Below, their ratio T(k), "
        "with the band of samples against other samples of the same fields.",
        log_y=True,
    )
    return of_truth, transfer


def _summary(
    like: Summary,
    name: str,
    title: str,
    y_label: str,
    generated: np.ndarray,
    real: np.ndarray,
    versus: Literal["ratio", "effect"],
    caption: str,
    *,
    log_y: bool = False,
) -> Summary:
    return replace(
        like, name=name, title=title, y_label=y_label, generated=generated, real=real, versus=versus, caption=caption,
        log_y=log_y,
    )  # fmt: skip


def exchangeable(data: EvaluationData) -> Floor:
    """Repetitions in which one of three samples of each field plays the truth.

    Rows are as `with_truth` stacks them: ``count`` of the truth, then of samples 1 and 2, 1 and 3, 2 and 3 (or of
    sample 1, 2, 3).
    """
    assert data.repeats is not None
    count = int(data.repeats.shape[1])
    rng = np.random.default_rng(data.count)
    orders: np.ndarray = np.array(list(permutations((1, 2, 3))))
    fields: np.ndarray = np.arange(count)
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    resamplings: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(REPETITIONS):
        rows = rng.integers(count, size=count)
        order: np.ndarray = orders[rng.integers(len(orders), size=count)] * count + fields[:, None]
        pairs.append((order[:, 0], order[:, 1]))
        resamplings.append((rows, rows))
    return Floor(count, tuple(pairs), tuple(resamplings), ())


def _against_field(data: EvaluationData, x: np.ndarray) -> np.ndarray:
    """r(k) of every channel of members with every channel of their fields, shape (n, channels x channels, K)."""
    assert data.refined is not None
    given = data.refined[: len(x)]
    ours = np.repeat(x, given.shape[1], axis=1)
    return _cross(data, ours, np.tile(given, (1, x.shape[1], *[1] * (x.ndim - 2)))).correlation.numpy()


def _cross(data: EvaluationData[Field], a: np.ndarray, b: np.ndarray) -> statistics.CrossSpectrum:
    space = data.space
    return statistics.cross_power_spectrum(torch.from_numpy(a), torch.from_numpy(b), space.box, window=_window(space))


def _power(data: EvaluationData[Field], x: np.ndarray) -> Any:
    space = data.space
    return statistics.power_spectrum(torch.from_numpy(x), space.box, window=_window(space)).power.numpy()


def _window(space: Field) -> Literal["hann"] | None:
    return None if space.periodic else "hann"
