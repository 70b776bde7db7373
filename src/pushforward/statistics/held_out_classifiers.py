r"""Three classifiers trained on one half of the samples and tested on the other, with a joint p-value.

Cross-validation uses every sample twice, so its folds are not independent, and the scatter of its AUC has to be found
by training again on real samples. A classifier that was trained on one half is independent of the other: given the
classifier, the tested samples are exchangeable if both sets have one distribution, and the ranks u of their scores can
be permuted without further training (Lopez-Paz and Oquab 2017, https://arxiv.org/abs/1610.06545, sec. 3),

    AUC = ( sum_{i real} u_i - m (m + 1) / 2 ) / (n m)

for n generated and m real samples. Groups are permuted whole; each pair at one condition (or group of pairs) is
swapped. All classifiers share the permutations, so that the largest of their AUCs, each in units of its own scatter,
has one p-value whatever their correlations (Westfall and Young 1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import stats
from torch import Tensor

from pushforward.statistics.arrays import Array
from pushforward.statistics.calibration import p_value
from pushforward.statistics.two_sample_classifiers import (
    CLASSIFIERS,
    area,
    feature_importance,
    folds_of,
    inputs_of,
    members_of,
    trained,
)
from pushforward.statistics.uncertainty import Groups

__all__ = ["HeldOutClassifiers", "held_out_classifiers"]


@dataclass(frozen=True)
class HeldOutClassifiers:
    """Several classifiers between two sets, on the half of the samples that they were not trained on.

    Attributes:
        auc, error: AUC of each classifier by name, and its standard error.
        draws: AUC of the worst classifier in each permutation of the tested samples.
        worst: name of the classifier with the worst result for the generated samples: its AUC is the farthest above
            one half, in units of its scatter over permutations.
        p_value: probability of a worst AUC so far above one half if both sets have one distribution.
        surest_generated: rows of the tested generated samples, the least real to the worst classifier first.
        importance: loss of its AUC when one feature is permuted, by name, the largest first.
    """

    auc: dict[str, float]
    error: dict[str, float]
    draws: Float[Tensor, " permutations"]
    worst: str
    p_value: Float[Tensor, ""]
    surest_generated: Int[Tensor, " tested"]
    importance: dict[str, float]


def held_out_classifiers(
    generated: Float[Array, "n *dim"],
    real: Float[Array, "m *dim"],
    *,
    conditions: Float[Array, "n conditions"] | None = None,
    real_conditions: Float[Array, "m conditions"] | None = None,
    groups: Groups = None,
    real_groups: Groups = None,
    paired: bool = False,
    classifiers: Sequence[str] = CLASSIFIERS,
    names: Sequence[str] = (),
    permutations: int = 999,
    seed: int = 0,
) -> HeldOutClassifiers:
    """Train several classifiers on one half of the samples and test the worst of them on the other half.

    Arguments:
        generated, real, conditions, real_conditions, groups, real_groups, paired, classifiers, names: as in
            `two_sample_classifiers`.
        permutations: number of permutations of the tested samples.
        seed: seed of the halves, the training and the permutations.

    Raises:
        UsageError: if the shapes do not fit or there are too few samples or groups.

    Example:
        >>> x, y = torch.randn(2, 400, 2, generator=torch.Generator().manual_seed(0))
        >>> bool(held_out_classifiers(x, y).p_value > 0.01), bool(held_out_classifiers(1.5 * x, y).p_value < 0.01)
        (True, True)
    """
    x, labels, rows, names = inputs_of(generated, real, conditions, real_conditions, paired, names, seed)
    member = members_of(groups, real_groups, paired, rows)
    test = folds_of(member, labels, 2, seed) == 1
    models, ranks, aucs, errors = {}, [], {}, {}
    one_fold = np.zeros(int(test.sum()), dtype=int)
    for name in classifiers:
        models[name] = trained(name, x[~test], labels[~test], seed)
        scores = models[name].predict_proba(x[test])[:, 1]
        ranks.append(stats.rankdata(scores))
        aucs[name], errors[name] = area(scores, labels[test], one_fold, np.unique(member[test], return_inverse=True)[1])
    permuted = _permuted(labels[test], member[test], permutations, np.random.default_rng([seed, 3]))
    observed = _areas(labels[test][None], np.stack(ranks, 1))[0]
    draws = _areas(permuted, np.stack(ranks, 1))
    scatter = np.maximum(draws.std(0), 1e-12)
    z, z_draws = (observed - 0.5) / scatter, (draws - 0.5) / scatter
    index = int(np.argmax(z))
    worst = list(classifiers)[index]
    order = models[worst].predict_proba(x[test & (labels == 0)])[:, 1].argsort(kind="stable")
    return HeldOutClassifiers(
        aucs,
        errors,
        torch.from_numpy(draws[np.arange(len(draws)), z_draws.argmax(1)]),
        worst,
        p_value(z[index], z_draws.max(1), "larger"),
        torch.from_numpy(rows[0][test[labels == 0]][order]),
        feature_importance([models[worst]], x[test], labels[test], one_fold, names, seed),
    )


def _areas(
    labels: Int[np.ndarray, "draws tested"], ranks: Float[np.ndarray, "tested classifiers"]
) -> Float[np.ndarray, "draws classifiers"]:
    """AUC of each classifier under each assignment of labels (1: real), from the ranks of its scores."""
    real = labels.sum(1, keepdims=True).astype(float)
    return np.asarray((labels @ ranks - real * (real + 1) / 2) / (real * (labels.shape[1] - real)))


def _permuted(
    labels: Int[np.ndarray, " tested"], member: Int[np.ndarray, " tested"], draws: int, rng: np.random.Generator
) -> Int[np.ndarray, "draws tested"]:
    """Labels under random permutations: swapped within groups of both sets, and permuted among groups of one set."""
    _, unit = np.unique(member, return_inverse=True)
    size, real = np.bincount(unit), np.bincount(unit, weights=labels)
    both = (real > 0) & (real < size)
    swapped = rng.random((draws, len(size))) < 0.5
    swapped[:, ~both] = False
    of_unit = np.tile(real > 0, (draws, 1))
    of_unit[:, ~both] = rng.permuted(of_unit[:, ~both], axis=1)
    return np.where(both[unit], labels ^ swapped[:, unit], of_unit[:, unit]).astype(float)
