"""Classifier two-sample test of Lopez-Paz and Oquab 2017 (arXiv:1610.06545), as in the benchmark of simulation-based
inference (Lueckmann et al. 2021, arXiv:2101.04653): the cross-validated accuracy of a perceptron between two sets."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["MOST_EPOCHS", "c2st"]

FOLDS, MOST_EPOCHS = 5, 150


def c2st(real: NDArray[np.float64], drawn: NDArray[np.float32]) -> float:
    """C2ST: mean accuracy over five folds of a perceptron between reference and model samples, shapes (n, dim).

    The folds are trained side by side, as scikit-learn's `MLPClassifier` would one after another: two hidden layers,
    Adam at 1e-3, batches of 200, a penalty of 1e-4, until the loss of an epoch has not fallen by 1e-4 for ten epochs.
    """
    generator = torch.Generator().manual_seed(1)
    x = torch.from_numpy((np.concatenate([real, drawn]) - real.mean(0)) / real.std(0, ddof=1)).float()
    labels = torch.arange(2).repeat_interleave(torch.tensor([len(real), len(drawn)])).float()
    tested = torch.randperm(len(x), generator=generator).reshape(FOLDS, -1)
    trained = torch.stack([torch.cat([tested[j] for j in range(FOLDS) if j != i]) for i in range(FOLDS)])
    parameters = _perceptrons(x.shape[1], generator)
    optimiser = torch.optim.Adam(parameters, lr=1e-3, fused=True)

    def logits(rows: torch.Tensor) -> torch.Tensor:
        hidden = x[rows]
        for place in range(0, 4, 2):
            hidden = torch.baddbmm(parameters[place + 1], hidden, parameters[place]).relu()
        return torch.baddbmm(parameters[5], hidden, parameters[4]).squeeze(2)

    best, waited, score = torch.full((FOLDS,), math.inf), torch.zeros(FOLDS), torch.zeros(FOLDS)
    running = torch.ones(FOLDS, dtype=torch.bool)
    for _ in range(MOST_EPOCHS):
        order = torch.stack([torch.randperm(trained.shape[1], generator=generator) for _ in range(FOLDS)])
        total = torch.zeros(FOLDS)
        for rows in trained.gather(1, order).split(200, 1):
            losses = torch.nn.functional.binary_cross_entropy_with_logits(logits(rows), labels[rows], reduction="none")
            penalty = sum(weights.square().sum() for weights in parameters[::2])
            loss = losses.mean(1).sum() + 0.5e-4 * penalty / rows.shape[1]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += losses.detach().sum(1)
        total /= trained.shape[1]
        waited = torch.where(total > best - 1e-4, waited + 1, torch.zeros(FOLDS))
        best = torch.minimum(best, total)
        with torch.no_grad():
            right = ((logits(tested) > 0) == (labels[tested] > 0.5)).float().mean(1)
        score = torch.where(running, right, score)
        running &= waited <= 10
        if not running.any():
            break
    return float(score.mean())


def _perceptrons(dim: int, generator: torch.Generator) -> list[torch.Tensor]:
    """Weights and biases of each layer in turn, one perceptron per fold, as scikit-learn draws them."""
    parameters = []
    for fan_in, fan_out in pairwise((dim, 10 * dim, 10 * dim, 1)):
        bound = math.sqrt((6 if fan_out > 1 else 2) / (fan_in + fan_out))
        for shape in ((FOLDS, fan_in, fan_out), (FOLDS, 1, fan_out)):
            start = bound * (2 * torch.rand(shape, generator=generator) - 1)
            parameters.append(start.requires_grad_())
    return parameters
