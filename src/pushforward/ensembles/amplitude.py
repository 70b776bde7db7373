"""The size of a field's fluctuations, predicted from its conditions.

The convergence of lensing grows by a factor of 60 from a source redshift of 0.1 to one of 1.5. A network that sees all
maps in one unit sees the smallest as zero. So fluctuations may be divided by

    s(c) = exp(polynomial of the encoded conditions c),

the polynomial having the first three powers of each condition and the products of two, fitted to the logarithms of the
members' standard deviations by least squares with a small ridge. Conditions outside the range that was seen get the
value at its edge: a polynomial must not extrapolate.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["Amplitude"]

_WORTHWHILE = 2.0
"""Ratio of the largest to the smallest predicted size from which it is worth while to divide by it."""
_RIDGE = 1e-4


class Amplitude(nn.Module):
    """``s(c)`` for each channel.

    Arguments:
        conditions: length of an encoded condition.
        channels: of the field.
    """

    weights: Tensor
    bounds: Tensor

    def __init__(self, conditions: int, channels: int) -> None:
        super().__init__()
        features = 1 + 3 * conditions + conditions * (conditions - 1) // 2
        self.register_buffer("weights", torch.zeros(features, channels, dtype=torch.float64))
        self.register_buffer("bounds", torch.zeros(2, conditions, dtype=torch.float64))

    @classmethod
    def fit(cls, conditions: Float[np.ndarray, "members dim"], channels: list[np.ndarray]) -> Self | None:
        """The amplitude of an ensemble, or None if conditions do not predict much of it.

        Arguments:
            conditions: encoded.
            channels: for each, values of shape ``(members, values)``.
        """
        made = cls(conditions.shape[1], len(channels))
        made.bounds.copy_(torch.from_numpy(np.stack([conditions.min(0), conditions.max(0)])))
        sizes = np.stack([values.std(axis=1, dtype=np.float64) for values in channels], axis=1)
        usable = (sizes > 0).all(axis=1)
        features = made._features(torch.from_numpy(conditions)).numpy()[usable]
        if usable.sum() <= features.shape[1]:
            return None
        target = np.log(sizes[usable])
        gram = features.T @ features + _RIDGE * len(features) * np.diag([0.0] + [1.0] * (features.shape[1] - 1))
        made.weights.copy_(torch.from_numpy(np.linalg.solve(gram, features.T @ target)))
        predicted = features @ made.weights.numpy()
        ratio = np.exp(np.ptp(predicted, axis=0))
        explained = 1 - (target - predicted).var(axis=0) / target.var(axis=0).clip(min=1e-30)
        return made if ((ratio > _WORTHWHILE) & (explained > 0.5)).any() else None

    def forward(self, conditions: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch channels"]:
        """Predicted standard deviations, in the user's units."""
        return (self._features(conditions.to(self.weights)) @ self.weights).exp()

    def describe(self) -> str:
        """A line for the terminal."""
        low, high = self.weights.new_tensor(self._range()).tolist()
        return f"fluctuations are divided by what the conditions predict, {low:.3g} to {high:.3g}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `from_dict`."""
        return {"conditions": self.bounds.shape[1], "channels": self.weights.shape[1]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The module that `to_dict` described, without its tensors."""
        return cls(values["conditions"], values["channels"])

    def _features(self, conditions: Tensor) -> Tensor:
        c = torch.minimum(torch.maximum(conditions, self.bounds[0]), self.bounds[1])
        products = [c[:, i] * c[:, j] for i, j in combinations(range(c.shape[1]), 2)]
        columns = [torch.ones_like(c[:, :1]), c, c**2, c**3, *(product[:, None] for product in products)]
        return torch.cat(columns, dim=1)

    def _range(self) -> tuple[float, float]:
        """Smallest and largest prediction between the ends of the range of the conditions."""
        along = torch.linspace(0, 1, 33, dtype=torch.float64)[:, None]
        sizes = self(self.bounds[0] + along * (self.bounds[1] - self.bounds[0]))
        return float(sizes.min()), float(sizes.max())
