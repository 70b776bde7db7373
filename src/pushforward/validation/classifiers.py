"""Test by the best of three classifiers of generated against real samples, with its most useful features.

Each classifier, linear, boosted trees and a small network, has its own floor: real samples against real ones, with few
repetitions for slow classifiers. Its p-value is that of Student's prediction interval. The smallest p-value is
reported, multiplied by three (Bonferroni).
"""

from __future__ import annotations

import numpy as np

from pushforward import statistics
from pushforward.statistics import TwoSampleClassifiers
from pushforward.validation.evaluation_data import Material
from pushforward.validation.features import classified
from pushforward.validation.statistic import SingleTest, TestResult
from pushforward.validation.verdict import floor_p_value, floor_range, level_of
from pushforward.validation.wording import listing

__all__ = ["CLASSIFIER"]

DRAWS = {"linear": 19, "trees": 8, "network": 5}
"""Repetitions of the floor."""
MOST = {"linear": 1000, "trees": 1000, "network": 500}
"""Samples of each set."""
FOLDS = 3
FEWEST = 4 * FOLDS
USEFUL = 3
SUREST = 5


def _compare(
    material: Material,
    name: str,
    sides: tuple[np.ndarray, np.ndarray],
    rows: tuple[np.ndarray, np.ndarray],
    names: tuple[str, ...],
    paired: bool,
    importance: bool = False,
) -> TwoSampleClassifiers:
    """Compare rows of two arrays by one classifier; conditions and groups are those of the real members."""
    conditions = material.conditions
    given = [None if conditions is None else conditions[r].astype(float) for r in rows]
    groups = [None if material.own_groups is None else material.groups[r] for r in rows]
    return statistics.two_sample_classifiers(
        sides[0][rows[0]],
        sides[1][rows[1]],
        conditions=given[0],
        real_conditions=given[1],
        groups=groups[0],
        real_groups=groups[1],
        paired=paired,
        classifiers=[name],
        names=(*names, *(p.name for p in material.parameters)) if conditions is not None else names,
        folds=FOLDS,
        importance=importance,
    )


def _classify(material: Material) -> TestResult | None:
    (generated, real), names = classified(material)
    n, pairs = material.count, material.floor.pairs
    if n < FEWEST or not pairs:
        return None
    paired = material.conditions is not None
    rng = np.random.default_rng(n)
    found = []
    for name, most in MOST.items():
        size = min([n, most, *(len(a) for a, _ in pairs)])
        own = np.sort(rng.permutation(n)[:size])
        result = _compare(material, name, (generated, real), (own, own), names, paired)
        draws = []
        for index in np.unique(np.linspace(0, len(pairs) - 1, DRAWS[name]).round().astype(int)):
            a, b = pairs[index]
            keep = np.sort(rng.permutation(len(a))[:size])
            draws.append(float(_compare(material, name, (real, real), (a[keep], b[keep]), names, paired).auc))
        floor = np.array(draws)
        found.append((floor_p_value(float(result.auc), floor, "excess"), name, own, float(result.auc), floor))
    p, name, own, area, floor = min(found, key=lambda each: each[0])
    last = _compare(material, name, (generated, real), (own, own), names, paired, importance=True)
    middle, low, high = floor_range(floor, "score")
    useful = [feature for feature, loss in list(last.importance.items())[:USEFUL] if loss > 0]
    surest = own[last.surest_generated.numpy()[:SUREST]]
    note = f"The worst of three classifiers, {_SAID[name]}. 0.5: it cannot tell them apart; 1: it always can."
    if 3 * p < level_of("score"):
        note += f" It tells them apart by {listing(useful)}." if useful else ""
        note += f" It is surest of samples {listing([str(row) for row in surest])}."
    spread = max(float(floor.std(ddof=1)), 1e-12)
    return TestResult(area, float(last.error), min(1.0, 3 * p), middle, low, high, 3.6 * spread, note)


_SAID = {"linear": "a linear one", "trees": "boosted trees", "network": "a small network"}

CLASSIFIER = SingleTest(
    "classifier",
    "Classifier test",
    "area under the ROC curve of the worst of three classifiers of generated against real samples",
    _classify,
    kind="score",
    headline=True,
)
