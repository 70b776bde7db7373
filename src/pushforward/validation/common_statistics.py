"""Statistics of samples of any kind: fidelity and diversity, clusters, supports, copies of training members."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from scipy import stats

from pushforward import statistics
from pushforward.statistics import Memorisation, ModeCounts, NearestMembers
from pushforward.validation.classifiers import CLASSIFIER
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.features import describe
from pushforward.validation.kinds import kind_of
from pushforward.validation.statistic import SingleTest, Statistic, TestResult
from pushforward.validation.wording import listing, number

__all__ = ["COMMON_STATISTICS", "COMMON_TESTS", "Neighbours", "nearest_training"]

NEIGHBOURS = 5
MOST = 1500
"""Largest number of points per set for statistics of neighbours, whose cost is quadratic."""
QUANTILE = 0.05
"""A sample nearer to a training member than this share of samples and test members together counts as near."""
BLOCK = 2**27
"""Bytes of training members searched at a time."""
TWINS = 8
"""Number of generated samples shown with their nearest training member."""
NAMED = 4
"""Largest number of modes or properties named in a note."""
CLIPPED_SCATTER = 0.58
"""Standard deviation of a standard normal number with negative values set to zero: sqrt(1/2 - 1/(2 pi))."""
WORST_DRAWS = 9999
"""Number of draws of the most significant of several properties."""
MOST_CELLS = 4096
"""Largest number of cells of a sample used to classify it."""

_MEANINGS = {
    "precision": (
        "share of generated samples that lie where real ones do",
        "Low: samples that no simulation would give.",
    ),
    "recall": (
        "share of real samples that lie where generated ones do",
        "Low: kinds of samples that are never generated.",
    ),
    "density": (
        "generated samples around each real one, relative to real ones",
        "High: samples crowd where data are most common.",
    ),
    "coverage": (
        "share of real samples with a generated one in their neighbourhood",
        "Low: parts of the data are missed.",
    ),
}


def _fidelity_and_variety(a: np.ndarray, b: np.ndarray) -> Mapping[str, float]:
    k = min(NEIGHBOURS, len(a) - 1, len(b) - 1)
    found = statistics.precision_recall_density_coverage(torch.from_numpy(a), torch.from_numpy(b), k=k)
    return {name: float(getattr(found, name)) for name in _MEANINGS}


COMMON_STATISTICS = tuple(
    Statistic(
        name,
        name.capitalize(),
        meaning,
        rows=describe,
        distance=_fidelity_and_variety,
        part=name,
        kind="score" if name == "density" else "lack",
        set_distance=True,
        most=MOST,
        group="sets",
        headline=True,
        note=note,
    )
    for name, (meaning, note) in _MEANINGS.items()
)


@dataclass(frozen=True)
class Neighbours:
    """Nearest training member of each generated sample and of each test member.

    Attributes:
        rows: generated samples that are nearest to a training member, the nearest first. twins: these members.
        generated, test: distances, in the features of `describe` or, for fields, of their large scales, shapes (n,).
        memorisation: excess of copies, and its p-value.
    """

    rows: np.ndarray
    twins: np.ndarray
    generated: np.ndarray
    test: np.ndarray
    memorisation: Memorisation


def nearest_training(data: EvaluationData) -> Neighbours | None:
    """The nearest training members among all, searched a block at a time; None if they are not at hand."""
    train = data.train
    if train is None or len(train) == 0:
        return None
    search = kind_of(data.space).nearest
    size = max(1, BLOCK // (4 * data.space.size))
    found = []
    for start in range(0, len(train), size):
        members = train.take(np.arange(start, min(start + size, len(train))))
        found.append([search(samples, members, data).shifted(start) for samples in (data.generated, data.test)])
    generated, test = (reduce(NearestMembers.joined, blocks) for blocks in zip(*found, strict=True))
    groups = data.own_groups
    memorisation = statistics.excess_of_copies(
        generated,
        test,
        search(data.generated, data.test, data),
        members=len(train),
        quantile=QUANTILE,
        groups=groups,
        test_groups=groups,
    )
    distance = generated.distance.numpy()
    rows = np.argsort(distance, kind="stable")[:TWINS]
    twins = train.take(generated.index.numpy()[rows])
    return Neighbours(rows, twins, distance, test.distance.numpy(), memorisation)


def _memorised(data: EvaluationData) -> TestResult | None:
    neighbours = data.derived(nearest_training)
    if neighbours is None:
        return None
    memorisation, n = neighbours.memorisation, len(neighbours.test)
    excess = float(memorisation.excess)
    # Two shares of n samples at the threshold: what they differ by when nothing was copied.
    spread = math.sqrt(2 * QUANTILE * (1 - QUANTILE) / n)
    # An excess cannot be negative: where nothing was copied it scatters by less.
    error = math.sqrt(
        (spread**2 * (CLIPPED_SCATTER**2 * spread**2 + excess**2) / (spread**2 + excess**2)) + excess * (1 - excess) / n
    )
    note = "100 %: every sample is a copy of a training member."
    if float(memorisation.copied) > 0 or float(memorisation.test_copied) > 0:
        note += (
            f" {100 * float(memorisation.copied):.3g} % of the samples equal a training member, "
            f"{100 * float(memorisation.test_copied):.3g} % of the unseen real ones do."
        )
    if float(memorisation.nearness) < 0.05 <= float(memorisation.p_value):
        note += (
            " The samples are nearer to training members than unseen real ones are, but nearer to the unseen as well: "
            "they are narrower than the data, not copied."
        )
    return TestResult(
        100 * excess,
        100 * error,
        float(memorisation.p_value),
        0.0,
        0.0,
        100 * stats.norm.isf(0.025) * spread,
        100 * (stats.norm.isf(0.025) + stats.norm.isf(0.05)) * spread,
        note,
    )


def _clusters(data: EvaluationData) -> TestResult | None:
    generated, real = (kind_of(data.space).clustered or describe)(data)
    n, groups = data.count, data.own_groups
    training = real[n:] if len(real) - n >= n else None
    found = statistics.cluster_counts(
        torch.from_numpy(generated), torch.from_numpy(real[:n]),
        None if training is None else torch.from_numpy(training), groups=groups, real_groups=groups,
        paired=data.conditioned,
    )  # fmt: skip
    return _result_of_counts(found, f"{len(found.names)} clusters of the real samples.")


def _classes(data: EvaluationData) -> TestResult | None:
    """Classes of the data among samples that were not asked for one."""
    if data.of_class is None:
        return None
    generated, real = (
        torch.from_numpy(x.reshape(len(x), -1)[:, :MOST_CELLS].astype(float)) for x in (data.generated, data.real)
    )
    n, of_class = data.count, data.of_class
    enough = len(real) >= 2 * n
    found = statistics.class_counts(
        generated, real[:n], of_class[:n], data.classes, training=(real[n:], of_class[n:]) if enough else None
    )
    return _result_of_counts(
        found, f"{len(found.names)} classes of the data, assigned by a classifier trained on real samples."
    )


def _result_of_counts(counts: ModeCounts, note: str) -> TestResult:
    first, second = (np.asarray(x, dtype=float) for x in (counts.generated, counts.real))

    def moved(generated: np.ndarray) -> np.ndarray:
        real = first + second - generated
        shares = generated / generated.sum(-1, keepdims=True) - real / real.sum(-1, keepdims=True)
        return np.asarray(50 * np.abs(shares).sum(axis=-1))

    value, draws = float(moved(first)), moved(counts.tables.numpy())
    low, high = np.quantile(draws, [0.025, 0.975])
    absent = f" Absent: {listing([str(name) for name in counts.absent][:NAMED])}." if counts.absent else ""
    return TestResult(
        value,
        float(draws.std()),
        float(counts.p_value),
        float(np.median(draws)),
        float(low),
        float(high),
        float(statistics.smallest_noticeable(draws, "discrepancy", level=0.025)),
        note + absent,
    )


def _values(data: EvaluationData) -> TestResult | None:
    """Property of the values with the most significant difference."""
    names = data.column_names
    groups = data.own_groups
    properties = statistics.value_support(
        torch.from_numpy(data.generated), torch.from_numpy(data.test), names=names, groups=groups,
        real_groups=groups,
    )  # fmt: skip
    if not properties:
        return None
    # A value that all samples of both sets have, or none, says nothing.
    properties = [each for each in properties if each.p_value < 1 or each.error > 0] or properties[:1]
    p_values = [each.p_value for each in properties]
    worst = properties[int(np.argmin(p_values))]
    beyond = [each.name for each in properties if each.p_value < 0.025 / len(properties)]
    value = 100 * abs(worst.generated - worst.real)
    note = (
        f"{worst.name}: {number(100 * worst.generated)} % of the samples, {number(100 * worst.real)} % of real ones. "
        f"{len(properties)} properties were compared"
    )
    note += f"; beyond: {listing(beyond[:NAMED])}." if beyond else "."
    least, draws = _of_like_sets(properties)
    null, low, high = float(draws.std()), *(float(q) for q in np.quantile(draws, [0.025, 0.975]))
    p = float((1 + np.sum(least <= min(p_values) * (1 + 1e-9))) / (1 + len(least)))
    # The number of values beyond a bound has a long tail: its size alone does not tell it from the floor.
    apart = value - float(draws.mean())
    return TestResult(
        value,
        null if p >= 0.05 else float(statistics.blended_error(apart, null, 100 * worst.error)),
        p,
        float(np.median(draws)),
        low,
        high,
        high + float(stats.norm.isf(0.05)) * null,
        note,
    )


def _of_like_sets(differences: list[statistics.SupportDifference]) -> tuple[np.ndarray, np.ndarray]:
    """Least p-value of several properties of two sets of one distribution, and the difference there in per cent."""
    rng = np.random.default_rng(0)
    drawn = [each.of_like_sets(WORST_DRAWS, rng) for each in differences]
    p, size = (np.stack(columns, axis=1) for columns in zip(*drawn, strict=True))
    rows, worst = np.arange(WORST_DRAWS), p.argmin(axis=1)
    return p[rows, worst], 100 * size[rows, worst]


COMMON_TESTS = (
    CLASSIFIER,
    SingleTest(
        "clusters",
        "Clusters",
        "share of samples that would have to change their cluster",
        _clusters,
        unit="%",
        kind="discrepancy",
    ),
    SingleTest(
        "classes",
        "Classes",
        "share of samples that would have to change their class",
        _classes,
        unit="%",
        kind="discrepancy",
    ),
    SingleTest(
        "value_support",
        "Possible values",
        "difference in zeros, allowed and repeated values, bounds, missing values: the property that differs most",
        _values,
        unit="%",
        kind="discrepancy",
        tolerance=0.0,
    ),
    SingleTest(
        "memorisation",
        "Memorisation",
        "samples that are copies of training members, beyond what unseen real samples would give",
        _memorised,
        unit="%",
        tolerance=0.0,
    ),
)
