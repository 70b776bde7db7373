r"""Regression on conditions: the output layer of a perceptron in closed form, or by a few iterations, not by training.

With the features h_i of the last hidden layer, which are random before training, and a normal prior of unit variance on
the weights W of the output layer, the predictions eta_i = a + W (h_i - <h>) minimise

    sum_i (y_i - eta_i)^2 / (2 v) + |W|^2 / 2                                   (means),
    sum_i (P_i e^(-eta_i) + eta_i) / v + |W|^2 / 2                              (logarithms of means of positive P_i),

with v the mean square residual of y_i, and of P_i e^(-eta_i). The first is ridge regression; the second, the likelihood
of powers of Gaussian modes, is minimised by Fisher's scoring (McCullagh and Nelder 1989, section 2.5).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["regress_log_means", "regress_means"]

_ROUNDS = 10


def regress_means(
    network: nn.Sequential | None, numbers: Float[Tensor, "n numbers"] | None, y: Float[Tensor, "n outputs"]
) -> Float[Tensor, " outputs"]:
    """Set the output layer of ``network`` to predict the differences of ``y`` from its mean, which is returned.

    Arguments:
        network: of the conditions; None for none.
        numbers: of the condition of each row.
        y: values with an expectation that depends on the condition.
    """
    y = y.double()
    mean = y.mean(0)
    if network is not None and numbers is not None:
        ridge = _Ridge(network, numbers)
        residual = y - mean
        for _ in range(_ROUNDS):
            weights = ridge.solve(y - mean, 1 / _square(residual))
            residual = y - mean - ridge.features @ weights
        ridge.write(weights)
    return mean.float()


def regress_log_means(
    network: nn.Sequential | None, numbers: Float[Tensor, "n numbers"] | None, p: Float[Tensor, "n outputs"]
) -> Float[Tensor, " outputs"]:
    """Set the output layer of ``network`` to predict the changes of ln E[p] from a value that is returned.

    Arguments:
        network: of the conditions; None for none.
        numbers: of the condition of each row.
        p: non-negative values, in no column all zero.
    """
    p = p.double()
    level = p.mean(0).log()
    if network is not None and numbers is not None:
        ridge = _Ridge(network, numbers)
        # Finite where p vanishes.
        logarithm = (p + p.mean(0)).log()
        logarithm = logarithm - logarithm.mean(0)
        weights = ridge.solve(logarithm, 1 / _square(logarithm))
        for _ in range(_ROUNDS):
            change = ridge.features @ weights
            level = (p * (-change).exp()).mean(0).log()
            excess = p * (-level - change).exp() - 1
            weights = ridge.solve(excess + change, 1 / _square(excess))
        level = (p * (-(ridge.features @ weights)).exp()).mean(0).log()
        ridge.write(weights)
    return level.float()


class _Ridge:
    """Ridge regression on the centred hidden features of a perceptron."""

    def __init__(self, network: nn.Sequential, numbers: Tensor) -> None:
        *hidden, output = network
        assert isinstance(output, nn.Linear)
        self.output = output
        features = nn.Sequential(*hidden)(torch.nan_to_num(numbers)).double()
        self.centre = features.mean(0)
        self.features = features - self.centre
        self.curvature, self.axes = torch.linalg.eigh(self.features.T @ self.features)

    def solve(self, y: Tensor, precision: Tensor) -> Tensor:
        """Weights, ``(features, outputs)``, for values y of a precision per output."""
        along = self.axes.T @ (self.features.T @ y)
        return self.axes @ (along * precision / (self.curvature.clamp(min=0)[:, None] * precision + 1))

    def write(self, weights: Tensor) -> None:
        self.output.weight.copy_(weights.T)
        self.output.bias.copy_(-(self.centre @ weights))


def _square(residual: Tensor) -> Tensor:
    return residual.square().mean(0).clamp(min=1e-12)
