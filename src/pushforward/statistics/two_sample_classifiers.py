r"""The worst of several classifiers between generated and real samples, and where it tells them apart.

`classifier_two_sample_test` has the power of its one classifier. Here a linear one, a small network and boosted trees
are each cross-validated on the same folds: the linear one sees means, the network smooth shapes, the trees values
(zeros, steps, tails) and few dimensions with sharp structure. The one with the largest area under the ROC curve (AUC)
speaks for all; read it beside the same maximum for two real sets.

With the placement of a score, u_i, the share of the other set in its fold that it outranks (ties half), AUC = <u_i>.
Its error takes whole groups g and both sets together,

    error^2 = G / (G - 1) sum_g ( sum_{i in g} (u_i - AUC) / n_i )^2,

n_i the size of the sample's set: DeLong et al. (1988, https://doi.org/10.2307/2531595) where every sample is its own
group. It is the error of the test samples. Near one half, where what a classifier learns is a matter of chance, AUC
scatters more than that, by a factor of 1.0 to 1.4 in simulations: there the scatter of the floor is the error.

Folds do not tear groups apart: a classifier would recognise a simulation, not a fault. Nor do they part a generated
sample from the real one at its condition: otherwise a classifier learns which of the two it has seen there, and falls
below one half.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import Array, as_tensor, as_vectors, same_device
from pushforward.statistics.uncertainty import Groups

__all__ = ["ClassifierScores", "TwoSampleClassifiers", "two_sample_classifiers"]

CLASSIFIERS = ("linear", "network", "trees")


@dataclass(frozen=True)
class ClassifierScores:
    """One classifier on samples that it was not trained on.

    Attributes:
        auc: probability that a real sample scores higher than a generated one of its fold.
        error: standard error of it.
        generated, real: probability of being real that each sample was given.
    """

    auc: Float[Tensor, ""]
    error: Float[Tensor, ""]
    generated: Float[Tensor, " n"]
    real: Float[Tensor, " m"]


@dataclass(frozen=True)
class TwoSampleClassifiers:
    """Several classifiers between two sets.

    Attributes:
        by_name: scores of each.
        worst: name of the one with the largest AUC, the worst news of the generated samples.
        importance: loss of its AUC when one feature is permuted among the unseen samples, by name, the largest first;
            empty unless requested.
    """

    by_name: dict[str, ClassifierScores]
    worst: str
    importance: dict[str, float]

    @property
    def auc(self) -> Float[Tensor, ""]:
        """AUC of the worst classifier."""
        return self.by_name[self.worst].auc

    @property
    def error(self) -> Float[Tensor, ""]:
        """Standard error of the AUC of the worst classifier."""
        return self.by_name[self.worst].error

    @property
    def surest_generated(self) -> Int[Tensor, " n"]:
        """Generated samples, the least real to the worst classifier first."""
        return self.by_name[self.worst].generated.argsort()

    @property
    def surest_real(self) -> Int[Tensor, " m"]:
        """Real samples, those least like generated ones first: what the generated set lacks."""
        return self.by_name[self.worst].real.nan_to_num(-1.0).argsort(descending=True)


def two_sample_classifiers(
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
    folds: int = 5,
    seed: int = 0,
    importance: bool = False,
) -> TwoSampleClassifiers:
    """Cross-validated AUC of each classifier, the worst of them, and the features that it uses.

    Arguments:
        generated, real: vectors or features; further axes are flattened. Of the larger set as many are used as there
            are in the smaller; the scores of the others are NaN. A missing value (NaN) is replaced by the feature's
            mean and marked in a column of its own.
        conditions, real_conditions: what each sample was given, inputs of the classifiers like the features.
        groups, real_groups: groups that stay in one fold; one name in both sets is one group.
        paired: whether ``generated[i]`` was made at the condition of ``real[i]``; it then joins its group.
        classifiers: any of "linear" (logistic regression), "network" (two hidden layers), "trees" (40 boosted trees).
        names: of the features and the conditions after them; x1, x2, ... where there are none.
        folds: parts that take their turn as test set.
        seed: of the folds and the training; the result is the same for the same seed.
        importance: whether to permute features, which costs about one more prediction for each.

    Raises:
        UsageError: if a classifier is unknown, the shapes do not fit or there are too few samples or groups.

    Example:
        >>> x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
        >>> found = two_sample_classifiers(x.round(), x, importance=True, names=["mass", "charge"])
        >>> found.worst, bool(found.auc > 0.95)
        ('trees', True)
    """
    for name in classifiers:
        if name not in CLASSIFIERS:
            raise UsageError(f"classifier {name!r} is unknown; there are {', '.join(CLASSIFIERS)}")
    x, labels, rows, names = inputs_of(generated, real, conditions, real_conditions, paired, names, seed)
    member = members_of(groups, real_groups, paired, rows)
    fold = folds_of(member, labels, folds, seed)
    found, models = {}, {}
    for name in classifiers:
        scores, models[name] = _cross_validated(name, x, labels, fold, seed)
        auc, error = area(scores, labels, fold, member)
        whole = [torch.full((len(part),), torch.nan, dtype=torch.float64) for part in (generated, real)]
        for part, which in zip(whole, rows, strict=True):
            part[torch.from_numpy(which)] = torch.from_numpy(scores[labels == (part is whole[1])])
        found[name] = ClassifierScores(*torch.tensor([auc, error], dtype=torch.float64), *whole)
    worst = max(found, key=lambda name: float(found[name].auc))
    losses = feature_importance(models[worst], x, labels, fold, names, seed) if importance else {}
    return TwoSampleClassifiers(found, worst, losses)


def inputs_of(
    generated: Array,
    real: Array,
    given: Array | None,
    real_given: Array | None,
    paired: bool,
    names: Sequence[str],
    seed: int,
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray], list[str]]:
    """Features of as many samples of each set (0: generated, 1: real), standardised, and the rows that were taken."""
    a, b = same_device(as_vectors(generated), as_vectors(real))
    if (given is None) != (real_given is None):
        raise UsageError("the conditions of one set were given alone; give those of both or of none")
    if given is not None and real_given is not None:
        a, b = (torch.cat([x, as_vectors(c).to(x)], 1) for x, c in ((a, given), (b, real_given)))
    if paired and len(a) != len(b):
        raise UsageError(f"{len(a)} and {len(b)} samples were given as pairs; give as many of each")
    count = min(len(a), len(b))
    rng = np.random.default_rng(seed)
    rows = [np.arange(len(p)) if len(p) == count else np.sort(rng.permutation(len(p))[:count]) for p in (a, b)]
    x = np.concatenate([part.cpu().double().numpy()[row] for part, row in zip((a, b), rows, strict=True)])
    listed = [*names, *(f"x{i + 1}" for i in range(len(names), x.shape[1]))]
    if len(listed) > x.shape[1]:
        raise UsageError(f"{len(names)} names were given for {x.shape[1]} features and conditions")
    x = np.where(np.isinf(x), np.nan, x)
    missing = np.isnan(x)
    holes = np.flatnonzero(missing.any(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        x = np.where(missing, np.nan_to_num(np.nanmean(x, 0)), x)
    x = np.hstack([x, missing[:, holes]])
    centred, scatter = x - x.mean(0), x.std(0)
    varies = scatter > 1e-12 * np.abs(x.mean(0))
    centred = np.divide(centred, scatter, out=np.zeros_like(centred), where=varies)
    # Sums over batches of other sizes differ in the last bit, by which trees tell sets of discrete values apart.
    centred = centred.round(9)
    return centred, np.repeat([0, 1], count), (rows[0], rows[1]), [*listed, *(f"{listed[i]} missing" for i in holes)]


def members_of(groups: Groups, real_groups: Groups, paired: bool, rows: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Group of each sample, one number for a name that both sets use."""
    if paired and groups is None and real_groups is None:
        return np.concatenate([np.arange(len(row)) for row in rows])
    if paired:
        groups = real_groups if groups is None else groups
        real_groups = groups
    names: list[Any] = []
    for which, (given, row) in enumerate(zip((groups, real_groups), rows, strict=True)):
        if given is None:
            names += [(which, "alone", int(i)) for i in row]
            continue
        of_all = as_tensor(given).cpu().tolist()
        if len(of_all) <= int(row.max()):
            raise UsageError(f"{len(of_all)} groups were given for a set of more samples; give one for each sample")
        names += [(2, "group", of_all[i]) for i in row]
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names])


def folds_of(member: np.ndarray, labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Fold of each sample: each group, the largest first, joins the fold that lacks most of its set."""
    rng = np.random.default_rng([seed, 1])
    counts = np.zeros((member.max() + 1, 2))
    np.add.at(counts, (member, labels), 1)
    fold_of, filled = np.zeros(len(counts), dtype=int), np.zeros((folds, 2))
    if folds >= 2:
        order = rng.permutation(len(counts))
        for group in order[np.argsort(-counts[order].sum(1), kind="stable")]:
            fold = int(np.argmin((filled * counts[group]).sum(1)))
            fold_of[group] = fold
            filled[fold] += counts[group]
    if folds < 2 or filled.min() < 2:
        raise UsageError(
            f"{int(counts[:, 0].sum())} samples of each set in {len(counts)} groups were given; "
            f"each of {folds} folds needs at least two of each set"
        )
    return fold_of[member]


def _cross_validated(
    name: str, x: np.ndarray, labels: np.ndarray, fold: np.ndarray, seed: int
) -> tuple[np.ndarray, list[Any]]:
    scores, models = np.zeros(len(x)), []
    for number in range(fold.max() + 1):
        test = fold == number
        model = trained(name, x[~test], labels[~test], seed)
        scores[test] = model.predict_proba(x[test])[:, 1]
        models.append(model)
    return scores, models


def trained(name: str, x: np.ndarray, labels: np.ndarray, seed: int) -> Any:
    """A classifier by its name, fitted."""
    from threadpoolctl import threadpool_limits

    # Work this small is slowed down by a second thread, tenfold where the processor is shared.
    with threadpool_limits(1), warnings.catch_warnings():
        # Stopped before it converged, a classifier is still a valid, only weaker, test.
        warnings.simplefilter("ignore")
        return _classifier(name, x.shape[1], seed).fit(x, labels)


def _classifier(name: str, dim: int, seed: int) -> Any:
    if name == "linear":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=300)
    if name == "trees":
        from sklearn.ensemble import HistGradientBoostingClassifier

        # 127 bins cost a quarter of 255, and still part zeros and ones from what lies between.
        return HistGradientBoostingClassifier(
            max_iter=40,
            learning_rate=0.15,
            max_leaf_nodes=15,
            min_samples_leaf=10,
            max_bins=127,
            early_stopping=False,
            random_state=seed,
        )
    from sklearn.neural_network import MLPClassifier

    width = int(np.clip(10 * dim, 32, 128))
    return MLPClassifier((width, width), max_iter=200, early_stopping=True, n_iter_no_change=20, random_state=seed)


def area(scores: np.ndarray, labels: np.ndarray, fold: np.ndarray, member: np.ndarray) -> tuple[float, float]:
    """AUC, the mean over all samples of their placements in their folds, and its standard error over groups."""
    placement = np.zeros(len(scores))
    for number in range(fold.max() + 1):
        generated, real = ((fold == number) & (labels == label) for label in (0, 1))
        placement[real] = _outranked(scores[real], scores[generated])
        placement[generated] = 1 - _outranked(scores[generated], scores[real])
    means = np.array([placement[labels == label].mean() for label in (0, 1)])
    influence = (placement - means[labels]) / np.bincount(labels)[labels]
    sums = np.bincount(member, weights=influence)
    error = np.sqrt(len(sums) / (len(sums) - 1) * np.sum(sums**2))
    # Of n samples that were all told apart, up to about 1 / n may not be.
    return float(means.mean()), float(max(error, 0.5 / len(sums)))


def _outranked(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    ordered = np.sort(others)
    return (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / (2 * len(others))


def feature_importance(
    models: list[Any], x: np.ndarray, labels: np.ndarray, fold: np.ndarray, names: list[str], seed: int
) -> dict[str, float]:
    """Loss of the AUC when one feature is permuted among the samples of a fold, by name, the largest first."""
    rng = np.random.default_rng([seed, 2])
    alone = np.arange(len(x))
    losses = np.zeros(x.shape[1])

    def of(values: np.ndarray) -> float:
        scores = np.zeros(len(x))
        for number, model in enumerate(models):
            scores[fold == number] = model.predict_proba(values[fold == number])[:, 1]
        return area(scores, labels, fold, alone)[0]

    whole = of(x)
    for column in range(x.shape[1]):
        permuted = x.copy()
        for number in range(len(models)):
            rows = np.flatnonzero(fold == number)
            permuted[rows, column] = x[rng.permutation(rows), column]
        losses[column] = whole - of(permuted)
    return {names[i]: float(losses[i]) for i in np.argsort(-losses, kind="stable")}
