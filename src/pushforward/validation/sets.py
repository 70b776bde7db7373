"""The judgement of any set of samples: fidelity and variety, a classifier's opinion, and copies of training members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from pushforward import statistics
from pushforward.validation.material import Material
from pushforward.validation.verdict import Verdict, judge

__all__ = ["Neighbours", "judge_sets", "nearest_training"]

NEIGHBOURS = 5
MOST = 2000
"""Points of each set for neighbours, which cost their number squared."""
CLASSIFIED = 1000
"""Points of each set for the classifier, which is trained anew for each fold and each of nine pairs of sets."""
FOLDS = 3
ENOUGH_FOR_NETWORK = 100
"""Test members from which on the classifier is a small network; with fewer it is logistic regression."""
CLOSEST = 0.05
"""A generated sample that is nearer to a training member than this share of the test members counts as suspect."""


@dataclass(frozen=True)
class Neighbours:
    """The nearest training member of each generated sample and of each test member.

    Attributes:
        index: row of ``Material.real`` nearest to each generated sample, shape (n,).
        generated, test: distances, in the features of `describe`, shapes (n,).
    """

    index: np.ndarray
    generated: np.ndarray
    test: np.ndarray


def judge_sets(
    material: Material, generated: np.ndarray, real: np.ndarray, neighbours: Neighbours | None
) -> list[Verdict]:
    """Precision, recall, density, coverage; a classifier two-sample test; memorised training members.

    Arguments:
        generated, real: features of the samples, shapes (n, F) and (n + m, F).
    """
    verdicts = [*_fidelity_and_variety(material, generated, real), _classifier(material, generated, real)]
    if neighbours is not None:
        verdicts.append(_memorised(neighbours))
    return verdicts


def _fidelity_and_variety(material: Material, generated: np.ndarray, real: np.ndarray) -> list[Verdict]:
    def all_four(a: np.ndarray, b: np.ndarray) -> list[float]:
        k = min(NEIGHBOURS, len(a) - 1, len(b) - 1)
        found = statistics.precision_recall_density_coverage(torch.from_numpy(a), torch.from_numpy(b), k=k)
        return [float(getattr(found, name)) for name in _MEANINGS]

    measured = material.floor.measure_sets(all_four, generated, real, MOST)
    return [
        judge(
            name,
            name.capitalize(),
            meaning,
            found.value,
            found.error,
            found.floor,
            kind="score",
            group="sets",
            headline=True,
            note=note,
        )
        for (name, (meaning, note)), found in zip(_MEANINGS.items(), measured, strict=True)
    ]


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
        "Low: mode collapse.",
    ),
}


def _classifier(material: Material, generated: np.ndarray, real: np.ndarray) -> Verdict:
    kind: Literal["mlp", "logistic"] = "mlp" if material.count >= ENOUGH_FOR_NETWORK else "logistic"

    def areas(a: np.ndarray, b: np.ndarray) -> list[float]:
        folds = min(FOLDS, len(a) // 4)
        found = statistics.classifier_two_sample_test(
            torch.from_numpy(a), torch.from_numpy(b), classifier=kind, folds=folds
        )
        return [float(found.auc), float(found.auc_error)]

    found, error = material.floor.measure_sets(areas, generated, real, CLASSIFIED, halves=False)
    return judge(
        "classifier",
        "Classifier test",
        "area under the ROC curve of a classifier of generated against real samples",
        found.value,
        error.value,
        found.floor,
        kind="score",
        group="sets",
        headline=True,
        note="0.5: it cannot tell them apart; 1: it always can.",
    )


def nearest_training(material: Material, generated: np.ndarray, real: np.ndarray) -> Neighbours | None:
    """The nearest training members, or None if the training data are not at hand."""
    if len(material.training) == 0:
        return None
    found = statistics.nearest_neighbours(
        torch.from_numpy(generated), torch.from_numpy(real[material.training]), torch.from_numpy(real[: material.count])
    )
    index = material.training[found.index.numpy()]
    return Neighbours(index, found.distance.numpy(), found.test_distance.numpy())


def _memorised(neighbours: Neighbours) -> Verdict:
    def share(distances: np.ndarray, reference: np.ndarray) -> float:
        return 100 * float(np.mean(distances < np.quantile(reference, CLOSEST)))

    rng = np.random.default_rng(0)
    n = len(neighbours.test)
    floor, again = [], []
    for _ in range(100):
        order = rng.permutation(n)
        floor.append(share(neighbours.test[order[: n // 2]], neighbours.test[order[n // 2 :]]))
        again.append(share(neighbours.generated[rng.integers(n, size=n)], neighbours.test[rng.integers(n, size=n)]))
    return judge(
        "memorisation",
        "Memorisation",
        f"samples nearer to a training member than the nearest {100 * CLOSEST:.0f} % of unseen real ones",
        share(neighbours.generated, neighbours.test),
        float(np.std(again, ddof=1)),
        np.array(floor),
        unit="%",
        kind="excess",
        group="sets",
        note="100 %: every sample is a copy of a training member.",
    )
