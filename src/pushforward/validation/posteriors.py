"""Calibration of the distributions of vectors at each condition, such as posteriors, by unseen members.

Samples that match the data in all statistics of one sample per condition may still be too narrow or shifted at
each condition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from pushforward.conditions import Condition
from pushforward.randomness import Purpose
from pushforward.statistics import PosteriorCalibration, posterior_calibration
from pushforward.validation.chosen_rows import some
from pushforward.validation.curves import Curve
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.judgeable import Judgeable
from pushforward.validation.vectors import coordinate_names
from pushforward.validation.verdict import Verdict, judge

__all__ = ["calibrated", "calibration_curves", "judge_calibration"]

MEMBERS, SAMPLES = 200, 99
"""Largest number of members, and number of samples at the condition of each."""
FEWEST = 20
RANK_BINS, MOST_RANKS = 10, 4
"""Bins of a histogram of ranks, and the largest number of coordinates whose histograms are drawn."""


def calibrated(data: EvaluationData[Any], emulator: Judgeable, seed: int = 0) -> PosteriorCalibration | None:
    """Calibration over test members with distinct conditions; None if there are too few of them.

    Members that share a condition are compared with the samples as sets.
    """
    if data.space.kind != "vector" or not data.conditioned or "sampler" not in emulator.abilities:
        return None
    rows = some(data.count, MEMBERS, np.random.default_rng([seed, Purpose.POSTERIORS]))
    given = data.given_to(rows)
    if given is None or len(rows) < FEWEST or not _distinct(given):
        return None
    repeated = given[torch.arange(len(rows)).repeat_interleave(SAMPLES)]
    with torch.no_grad():
        drawn = emulator.sample_at(repeated, seed=seed)
    samples = drawn.reshape(len(rows), SAMPLES, -1)
    return posterior_calibration(samples, data.test[rows], seed=seed)


def judge_calibration(calibration: PosteriorCalibration, data: EvaluationData[Any]) -> list[Verdict]:
    """Verdicts on bias, width, correlations and coverage; each names the parameters that are worst."""
    single, paired, names = calibration.single, calibration.paired, coordinate_names(data.space)
    pairs = [f"{names[i]} {'+-'[turn % 2]} {names[j]}" for turn, (i, j) in enumerate(calibration.pairs)]
    of = f"over {len(single.ranks):,} unseen members, {SAMPLES} samples at the condition of each"
    shift = (100 * single.bias.abs(), 100 * single.bias_null.abs())
    width = (100 * (single.spread - 1).abs(), 100 * (single.spread_null - 1).abs())
    found = [
        _worst("bias", f"difference of the mean rank from 50 %, of the worst coordinate, {of}", *shift, names,
               lambda k: "samples too low" if single.bias[k] > 0 else "samples too high"),
        _worst("width", f"difference of the spread of ranks from a uniform one, of the worst coordinate, {of}",
               *width, names, lambda k: _width(single.spread[k])),
    ]  # fmt: skip
    if pairs:
        joint = (100 * (paired.spread - 1).abs(), 100 * (paired.spread_null - 1).abs())
        found.append(
            _worst("correlations", f"the same of sums and differences of two coordinates, {of}",
                   *joint, pairs, lambda k: _width(paired.spread[k]))
        )  # fmt: skip
    apart, null = ((each - calibration.credibility).abs() for each in (calibration.coverage, calibration.coverage_null))
    quantity = f"largest difference of coverage and credibility of regions around random points, {of}"
    return [
        *found,
        _worst("coverage", quantity, 100 * apart.amax(-1, True), 100 * null.amax(-1, True)),
    ]


def _worst(
    name: str,
    quantity: str,
    values: Tensor,
    null: Tensor,
    names: Sequence[str] = (),
    direction: Callable[[int], str] | None = None,
) -> Verdict:
    """The verdict on the largest of several numbers, beside the largest of each draw of the null distribution."""
    worst, draws = int(values.argmax()), null.amax(1).numpy()
    note = "" if direction is None else f"The worst is {names[worst]}: {direction(worst)}."
    return judge(
        f"calibration_{name}",
        f"Calibration: {name}",
        quantity,
        float(values[worst]),
        float(null[:, worst].std()),
        draws,
        unit="%",
        group="calibration",
        headline=True,
        note=note,
    )


def _width(spread: Tensor) -> str:
    return "samples too narrow" if float(spread) > 1 else "samples too wide"


def calibration_curves(calibration: PosteriorCalibration, data: EvaluationData[Any]) -> list[Curve]:
    """Coverage as a function of credibility, and histograms of the ranks of the coordinates that are worst."""
    single, names = calibration.single, coordinate_names(data.space)
    worst = (single.spread - 1).abs().argsort(descending=True)[:MOST_RANKS].tolist()
    return [_coverage_curve(calibration), *(_ranks_curve(single.ranks[:, k].numpy(), names[k]) for k in worst)]


def _ranks_curve(ranks: np.ndarray, name: str) -> Curve:
    """Histogram of the ranks of true values relative to a uniform one, with the range of binomial counts."""
    edges = np.linspace(0, SAMPLES + 1, RANK_BINS + 1)
    counts, expected = np.histogram(ranks, edges)[0], len(ranks) / RANK_BINS
    low, high = stats.binom.ppf([0.025, 0.975], len(ranks), 1 / RANK_BINS) / expected
    one, nothing = np.ones(RANK_BINS), np.zeros(RANK_BINS)
    return Curve(
        name="ranks",
        channel=name,
        title="Ranks",
        x_label="rank of the true value among samples, of all",
        y_label="members, relative to equal shares",
        x=(edges[:-1] + edges[1:]) / 2 / (SAMPLES + 1),
        real=one,
        real_scatter=nothing,
        generated=counts / expected,
        generated_scatter=nothing,
        versus="ratio",
        compared=counts / expected,
        compared_error=np.sqrt(counts) / expected,
        floor_low=low * one,
        floor_high=high * one,
        caption="Where the true values of unseen members lie among the samples at their conditions (simulation-based "
        "calibration). Equal shares are right; more at both ends: samples too narrow; more in the middle: too wide; a "
        "slope: samples shifted.",
    )


def _coverage_curve(calibration: PosteriorCalibration) -> Curve:
    """Coverage as a function of credibility, with that of calibrated posteriors."""
    credibility, coverage = calibration.credibility.numpy(), calibration.coverage.numpy()
    low, high = np.quantile(calibration.coverage_null.numpy(), [0.025, 0.975], axis=0)
    error = np.sqrt(coverage * (1 - coverage) / len(calibration.single.ranks))
    nothing = np.zeros_like(credibility)
    return Curve(
        name="coverage",
        channel="",
        title="Coverage",
        x_label="credibility",
        y_label="coverage",
        x=credibility,
        real=credibility,
        real_scatter=nothing,
        generated=coverage,
        generated_scatter=nothing,
        versus="ratio",
        compared=coverage / credibility,
        compared_error=error / credibility,
        floor_low=low / credibility,
        floor_high=high / credibility,
        caption="Share of unseen members that lie within regions of a credibility around random points. Above the "
        "diagonal regions are too wide, below it too narrow; below, the ratio to the credibility, which should stay "
        "within the grey band.",
    )


def _distinct(given: Condition) -> bool:
    """Whether nearly every member has a distinct condition."""
    return len(torch.unique(given.flat().double(), dim=0)) > 0.9 * len(given)
