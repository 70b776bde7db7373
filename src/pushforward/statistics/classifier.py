r"""Classifier two-sample test: discrimination of unseen generated samples from real ones.

A single classifier of `two_sample_classifiers`, with its accuracy. Accuracy and the area under the ROC curve (AUC), the
probability that a real sample scores higher than a generated one, are 0.5 for indistinguishable sets and 1 for fully
separated ones (Lopez-Paz and Oquab 2017, https://arxiv.org/abs/1610.06545). The test has the power of its classifier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.statistics.arrays import Array, as_tensor
from pushforward.statistics.two_sample_classifiers import two_sample_classifiers

__all__ = ["ClassifierTest", "classifier_two_sample_test"]

Classifier = Literal["mlp", "logistic", "trees"]
NAMES = {"mlp": "network", "logistic": "linear", "trees": "trees"}
"""Name of each classifier in `two_sample_classifiers`."""


@dataclass(frozen=True)
class ClassifierTest:
    """Performance of a classifier on held-out samples.

    Attributes:
        accuracy: mean of the accuracies on the two sets.
        accuracy_error: its standard error (binomial).
        auc: area under the ROC curve within the folds.
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
        >>> import torch
        >>> x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
        >>> bool(classifier_two_sample_test(x, x + 4, classifier="logistic").accuracy > 0.95)
        True
    """
    if classifier not in NAMES:
        raise UsageError(f"classifier {classifier!r} is unknown; there are {', '.join(NAMES)}")
    if not all(bool(as_tensor(part).isfinite().all()) for part in (x, y)):
        raise DataError("a sample holds a value that is not finite; the classifier test needs finite features")
    name = NAMES[classifier]
    scores = two_sample_classifiers(x, y, classifiers=[name], folds=folds, seed=seed).by_name[name]
    generated, real = (part[~part.isnan()] for part in (scores.generated, scores.real))
    accuracy = ((real > 0.5).double().mean() + (generated <= 0.5).double().mean()) / 2
    count = len(real) + len(generated)
    # The rule of succession keeps the error positive when every sample was told apart.
    smoothed = (accuracy * count + 1) / (count + 2)
    return ClassifierTest(accuracy, (smoothed * (1 - smoothed) / count).sqrt(), scores.auc, scores.error)
