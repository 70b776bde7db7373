r"""The judgement of samples that are given with a field: each beside the truth that the field came with.

Given its field, a perfect emulator draws the truth as often as any of its samples: the truth and several samples of one
field can be exchanged. So a sample must be correlated with the truth just as with another sample,

    r(k) = P_ab / sqrt(P_a P_b),      <r(sample, truth)> = <r(sample, another sample)>,

less if the emulator is too sure (its samples agree with each other more than with the truth), more if it is not sure
enough; and the transfer function T(k) = sqrt(P_sample / P_truth) must scatter about 1 as that of two samples does. The
floor is what exchanging makes of the same figures: of three samples of each field, one at random plays the truth.

That leaves an emulator that takes no notice of the field: exchangeable, and useless. It is seen in the correlation of
samples with their field, which is judged against that of real members as every other statistic is.
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
from pushforward.validation.floor import REPETITIONS, Floor
from pushforward.validation.material import Material
from pushforward.validation.verdict import Verdict, judge

__all__ = ["judge_pairs"]


def judge_pairs(material: Material, spectrum: Summary) -> tuple[list[Verdict], list[Curve]]:
    """Correlation with the truth and with the condition field, and the transfer function; a verdict and curves of each.

    Arguments:
        spectrum: whose axis and range of k are taken.
    """
    if material.given is None or material.repeats is None:
        return [], []
    with_field = _summary(
        spectrum,
        "correlation_with_condition",
        "Correlation with the condition field",
        "r(k)",
        _against_field(material, material.generated),
        _against_field(material, material.real),
        "effect",
        "Correlation of each sample with the field that it was given with, mode by mode, beside that of real members "
        "with theirs. Too low: the emulator does not use what the field tells.",
    )
    exchange = _exchangeable(material.repeats.shape[1], np.random.default_rng(material.count))
    with_truth, transfer = _with_truth(material, spectrum)
    verdicts = [_condition(with_field, material.floor), _truth(with_truth, exchange), _transfer(transfer, exchange)]
    names = (
        tuple(f"channel {c + 1}" for c in range(with_truth.real.shape[1])) if with_truth.real.shape[1] > 1 else ("",)
    )
    pairs = with_field.real.shape[1]
    of_pairs = tuple(f"pair {c + 1}" for c in range(pairs)) if pairs > 1 else ("",)
    curves = with_field.curves(material.floor, of_pairs)
    return verdicts, curves + with_truth.curves(exchange, names) + transfer.curves(exchange, names)


def _with_truth(material: Material, spectrum: Summary) -> tuple[Summary, Summary]:
    """Correlation and power of samples of the same field. "Real" rows are of the truth first, then of samples alone."""
    assert material.repeats is not None
    count = material.repeats.shape[1]
    truth, one = material.test[:count], material.generated[:count]
    two, three = material.repeats
    r = [_cross(material, *pair).correlation.numpy() for pair in ((one, two), (one, truth), (one, three), (two, three))]
    power = [np.sqrt(spectrum.generated[:count]), np.sqrt(spectrum.real[:count])]
    power += [np.sqrt(_power(material, sample)) for sample in (two, three)]
    with_truth = _summary(
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
    return with_truth, transfer


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


def _exchangeable(count: int, rng: np.random.Generator) -> Floor:
    """Repetitions in which one of three samples of each field plays the truth.

    Rows are as `_with_truth` stacks them: ``count`` of the truth, then of samples 1 and 2, 1 and 3, 2 and 3 (or of
    sample 1, 2, 3).
    """
    orders = np.array(list(permutations((1, 2, 3))))
    fields = np.arange(count)
    pairs, resamplings = [], []
    for _ in range(REPETITIONS):
        rows = rng.integers(count, size=count)
        order = orders[rng.integers(len(orders), size=count)]
        pairs.append((order[:, 0] * count + fields, order[:, 1] * count + fields))
        resamplings.append((rows, rows))
    return Floor(count, tuple(pairs), tuple(resamplings), ())


def _condition(summary: Summary, floor: Floor) -> Verdict:
    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.nanmean(np.abs(a.mean(axis=0) - b.mean(axis=0))[:, summary.within]))

    found = floor.measure(distance, summary.generated, summary.real)
    return judge(
        summary.name,
        summary.title,
        "mean difference of r(k) between sample and condition field from that of real members, up to half the Nyquist "
        "frequency",
        found.value,
        found.error,
        found.floor,
        group="pairs",
        headline=True,
    )


def _truth(summary: Summary, exchange: Floor) -> Verdict:
    def level(a: np.ndarray, _: np.ndarray) -> float:
        return float(np.nanmean(a.mean(axis=0)[:, summary.within]))

    truth, samples = summary.real[: exchange.count], summary.real[exchange.count :]
    value = level(truth, truth)
    error = float(np.std([level(truth[rows], truth) for rows, _ in exchange.resamplings], ddof=1))
    rng = np.random.default_rng(exchange.count)
    draws = [
        level(samples[rng.integers(3, size=exchange.count) * exchange.count + rows], samples)
        for rows, _ in exchange.resamplings
    ]
    return judge(
        summary.name,
        summary.title,
        "mean correlation coefficient r(k) of a sample with the truth, up to half the Nyquist frequency",
        value,
        error,
        np.array(draws),
        kind="score",
        group="pairs",
        headline=True,
        note="Its reference is the correlation of two samples of the same field: as high, if the truth might be one",
    )


def _transfer(summary: Summary, exchange: Floor) -> Verdict:
    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return 100 * float(np.nanmean(np.abs(ratio_of_means(a, b)[:, summary.within] - 1)))

    found = exchange.measure(distance, summary.generated, summary.real)
    return judge(
        summary.name,
        summary.title,
        "mean of |T(k) - 1|, the amplitude of samples over that of their truths, up to half the Nyquist frequency",
        found.value,
        found.error,
        found.floor,
        unit="%",
        group="pairs",
        headline=True,
        note="Its floor is of samples against other samples of the same fields",
    )


def _against_field(material: Material, x: np.ndarray) -> np.ndarray:
    """r(k) of every channel of members with every channel of their fields, shape (n, channels x channels, K)."""
    assert material.refined is not None
    given = material.refined[: len(x)]
    ours = np.repeat(x, given.shape[1], axis=1)
    return _cross(material, ours, np.tile(given, (1, x.shape[1], *[1] * (x.ndim - 2)))).correlation.numpy()


def _cross(material: Material, a: np.ndarray, b: np.ndarray) -> statistics.CrossSpectrum:
    space = material.space
    assert isinstance(space, Field)
    return statistics.cross_power_spectrum(torch.from_numpy(a), torch.from_numpy(b), space.box, window=_window(space))


def _power(material: Material, x: np.ndarray) -> Any:
    space = material.space
    assert isinstance(space, Field)
    return statistics.power_spectrum(torch.from_numpy(x), space.box, window=_window(space)).power.numpy()


def _window(space: Field) -> Literal["hann"] | None:
    return None if space.periodic else "hann"
