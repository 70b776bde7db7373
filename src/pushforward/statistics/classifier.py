r"""Classifier two-sample test: discrimination of unseen generated samples from real ones.

It is trained on four fifths of both sets and tested on the rest, five times. Accuracy and the area under the ROC curve
(AUC), the probability that a real sample scores higher than a generated one, are 0.5 when the sets cannot be told apart
and 1 when they always can (Lopez-Paz and Oquab 2017, https://arxiv.org/abs/1610.06545). The test has the power of its
classifier: 0.5 says that *this* one found nothing.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.statistics.arrays import Array, as_vectors, same_device

__all__ = ["ClassifierTest", "classifier_two_sample_test"]

Classifier = Literal["mlp", "logistic", "trees"]
CLASSIFIERS = ("mlp", "logistic", "trees")


@dataclass(frozen=True)
class ClassifierTest:
    """Performance of a classifier on held-out samples.

    Attributes:
        accuracy: mean of the accuracies on the two sets.
        accuracy_error: its standard error (binomial).
        auc: area under the ROC curve, mean over folds.
        auc_error: its standard error (DeLong et al. 1988, https://doi.org/10.2307/2531595).
    """

    accuracy: Float[Tensor, ""]
    accuracy_error: Float[Tensor, ""]
    auc: Float[Tensor, ""]
    auc_error: Float[Tensor, ""]


def classifier_two_sample_test(
    x: Float[Array, "n *dim"],
    y: Float[Array, "m *dim"],
    *,
    classifier: Classifier = "mlp",
    folds: int = 5,
    seed: int = 0,
) -> ClassifierTest:
    """Cross-validated accuracy and AUC of a classifier between two sets.

    Arguments:
        x, y: ``(n, dim)`` and ``(m, dim)``: vectors, or features of fields (see `summary_features`); further axes are
            flattened. The larger set is cut, at random, to the size of the smaller, so that chance is one half.
        classifier: "mlp" (two hidden layers, finds any difference), "logistic" (linear, finds differing means) or
            "trees" (gradient boosting, quick on many samples).
        folds: number of folds of the cross-validation.
        seed: seed of the cuts and the training.

    Raises:
        UsageError: if the classifier is unknown or there are too few samples for the folds.
        DataError: if a value is not finite.

    Example:
        >>> x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
        >>> bool(classifier_two_sample_test(x, x + 4, classifier="logistic").accuracy > 0.95)
        True
    """
    from sklearn.model_selection import StratifiedKFold

    a, b = same_device(as_vectors(x), as_vectors(y))
    count = min(len(a), len(b))
    if folds < 2 or count < 2 * folds:
        raise UsageError(f"{len(a)} and {len(b)} samples were given; {folds} folds need at least {2 * folds} of each")
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(len(part))[:count] for part in (a, b)]
    features = np.concatenate([part.cpu().double().numpy()[row] for part, row in zip((a, b), rows, strict=True)])
    if not np.isfinite(features).all():
        raise DataError("a sample holds a value that is not finite; the classifier test needs finite features")
    labels = np.repeat([0, 1], count)
    accuracies, areas, variances = [], [], []
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(features, labels):
        scores = _scores(classifier, features[train], labels[train], features[test], seed)
        real = labels[test] == 1
        accuracies.append((np.mean(scores[real] > 0.5) + np.mean(scores[~real] <= 0.5)) / 2)
        area, variance = _area_under_curve(scores[real], scores[~real])
        areas.append(area)
        variances.append(variance)
    accuracy = float(np.mean(accuracies))
    # The rule of succession keeps the error positive when every sample was told apart.
    smoothed = (accuracy * 2 * count + 1) / (2 * count + 2)
    numbers = (
        accuracy,
        (smoothed * (1 - smoothed) / (2 * count)) ** 0.5,
        float(np.mean(areas)),
        float(np.sum(variances)) ** 0.5 / folds,
    )
    return ClassifierTest(*(torch.tensor(number, dtype=torch.float64) for number in numbers))


def _scores(name: str, x: np.ndarray, labels: np.ndarray, unseen: np.ndarray, seed: int) -> np.ndarray:
    from threadpoolctl import threadpool_limits

    mean, sigma = x.mean(0), x.std(0)
    sigma[sigma <= 1e-12 * np.abs(mean)] = np.inf
    model = _classifier(name, x.shape[1], seed)
    # Products of matrices this small are slowed down by a second thread, tenfold where the processor is shared.
    with threadpool_limits(1, "blas"), warnings.catch_warnings():
        # Stopped before it converged, a classifier is still a valid, only weaker, test.
        warnings.simplefilter("ignore")
        model.fit((x - mean) / sigma, labels)
    return model.predict_proba((unseen - mean) / sigma)[:, 1]


def _classifier(name: str, dim: int, seed: int) -> Any:
    if name == "logistic":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=1000)
    if name == "trees":
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(max_iter=200, learning_rate=0.05, early_stopping=True, random_state=seed)
    if name == "mlp":
        from sklearn.neural_network import MLPClassifier

        width = int(np.clip(10 * dim, 32, 128))
        return MLPClassifier((width, width), max_iter=200, early_stopping=True, n_iter_no_change=20, random_state=seed)
    raise UsageError(f"classifier {name!r} is unknown; there are {', '.join(CLASSIFIERS)}")


def _area_under_curve(positive: np.ndarray, negative: np.ndarray) -> tuple[float, float]:
    """AUC and its variance from the placements of each score among the other set's; ties count half."""
    above, below = np.sort(negative), np.sort(positive)
    of_positive = (np.searchsorted(above, positive, "left") + np.searchsorted(above, positive, "right")) / 2
    of_negative = (np.searchsorted(below, negative, "left") + np.searchsorted(below, negative, "right")) / 2
    placements = of_positive / len(negative), 1 - of_negative / len(positive)
    return float(placements[0].mean()), float(sum(part.var(ddof=1) / len(part) for part in placements))
