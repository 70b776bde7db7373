"""Worst of three classifiers between generated and real samples, with its most useful features.

A linear classifier, boosted trees and a small network are trained on half of both sets. Their AUC on the other half is
compared with its permutations, which is exact and needs no second training (`held_out_classifiers`).
"""

from __future__ import annotations

import numpy as np

from pushforward import statistics
from pushforward.statistics import blended_error, smallest_noticeable
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.features import classified
from pushforward.validation.statistic import SingleTest, TestResult
from pushforward.validation.verdict import MARGIN, level_of
from pushforward.validation.wording import listing

__all__ = ["CLASSIFIER"]

MOST = 2000
"""Samples of each set."""
FEWEST = 12
FEWEST_GROUPS = 10
"""Smallest number of groups that are kept together: five to train and five to test."""
NEGLIGIBLE = 0.05
"""Difference of the area that does not matter, however well it is known."""
USEFUL = 3
SUREST = 5


def _classify(data: EvaluationData) -> TestResult | None:
    (generated, real), names = classified(data)
    n = data.count
    if n < FEWEST:
        return None
    keep = np.sort(np.random.default_rng(n).permutation(n)[:MOST])
    conditions = None if data.conditions is None else data.conditions[keep].astype(float)
    groups = data.groups[keep]
    torn = not FEWEST_GROUPS <= len(np.unique(groups)) < len(keep)
    test = statistics.held_out_classifiers(
        generated[keep],
        real[keep],
        conditions=conditions,
        real_conditions=conditions,
        groups=None if torn or not data.conditioned else groups,
        real_groups=None if torn else groups,
        paired=data.conditioned,
        names=(*names, *(p.name for p in data.parameters)) if conditions is not None else names,
    )
    draws = test.draws.numpy()
    low, high = np.quantile(draws, [0.025, 0.975])
    p = float(test.p_value)
    note = f"The worst is {_DESCRIBED[test.worst]}. 0.5: it cannot tell them apart; 1: it always can."
    if p < level_of("score"):
        useful = [feature for feature, loss in list(test.importance.items())[:USEFUL] if loss > 0]
        note += f" It tells them apart by {listing(useful)}." if useful else ""
        note += f" It is surest of samples {listing([str(keep[row]) for row in test.surest_generated[:SUREST]])}."
    value, null = test.auc[test.worst], float(draws.std())
    return TestResult(
        value,
        float(blended_error(value - float(draws.mean()), null, test.error[test.worst])),
        p,
        float(np.median(draws)),
        float(low),
        float(high),
        float(smallest_noticeable(draws, "larger", level=level_of("score"))),
        note,
        # An area cannot exceed 1: three times the range of few samples would tolerate a perfect classifier.
        max(NEGLIGIBLE, MARGIN * (float(high) - float(np.median(draws)))),
    )


_DESCRIBED = {"linear": "a linear one", "trees": "boosted trees", "network": "a small network"}

CLASSIFIER = SingleTest(
    "classifier",
    "Classifier test",
    "area under the ROC curve of the worst of three classifiers of generated against real samples",
    _classify,
    kind="score",
    headline=True,
)
