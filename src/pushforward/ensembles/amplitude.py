"""Fluctuation amplitude of a field, predicted from its conditions.

The lensing convergence grows by a factor of 60 between source redshifts 0.1 and 1.5. With one unit for all maps, the
smallest are zero to the network. So fluctuations may be divided by

    s(c) = exp(sum_k w_k phi_k(c)),

where phi are 1; the first and second powers of every condition, and of its logarithm if it is positive; products of
two conditions; and the classes of labels. The weights are fitted to the logarithms of the members' standard deviations
by least squares with a small ridge term. Conditions outside the training range are clamped to it: a polynomial must
not extrapolate.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["Amplitude"]

_WORTHWHILE = 2.0
"""Smallest ratio of the largest to the smallest predicted amplitude for which fields are divided by it."""
_EXPLAINED = 0.5
"""Fraction of the variance of the log amplitudes that conditions must explain."""
_RIDGE = 1e-6


class Amplitude(nn.Module):
    """Amplitude ``s(c)`` per channel.

    Arguments:
        kinds: kind of each condition: ``"number"``, ``"positive"`` or the number of classes of a label.
        channels: number of channels of the field.
    """

    weights: Tensor
    bounds: Tensor

    def __init__(self, kinds: Sequence[str | int], channels: int) -> None:
        super().__init__()
        self.kinds = tuple(kinds)
        self.register_buffer("bounds", torch.zeros(2, len(self.kinds), dtype=torch.float64))
        features = self._features(torch.zeros(1, len(self.kinds), dtype=torch.float64)).shape[1]
        self.register_buffer("weights", torch.zeros(features, channels, dtype=torch.float64))

    @classmethod
    def fit(
        cls,
        conditions: Float[np.ndarray, "members parameters"],
        classes: Sequence[int],
        channels: list[np.ndarray],
        useful: Sequence[bool],
    ) -> Self | None:
        """Amplitude of an ensemble, or None if conditions predict little of it.

        Arguments:
            conditions: conditions in the user's units.
            classes: number of classes of each condition, 0 for a number.
            channels: values of each channel, shape ``(members, values)``.
            useful: whether to divide each channel; the others get ``s(c) = 1``, as do those with an amplitude that
                conditions do not predict.
        """
        low, high = conditions.min(0), conditions.max(0)
        kinds = [count or ("positive" if least > 0 else "number") for count, least in zip(classes, low, strict=True)]
        made = cls(kinds, len(channels))
        made.bounds.copy_(torch.from_numpy(np.stack([low, high])))
        sizes = np.stack([values.std(axis=1, dtype=np.float64) for values in channels], axis=1)
        usable = (sizes > 0).all(axis=1)
        features = made._features(torch.from_numpy(conditions[usable])).numpy()
        if len(features) <= features.shape[1]:
            return None
        target = np.log(sizes[usable])
        ridge = _RIDGE * len(features) * np.eye(features.shape[1])
        weights = np.linalg.solve(features.T @ features + ridge, features.T @ target)
        predicted = features @ weights
        explained = 1 - (target - predicted).var(axis=0) / target.var(axis=0).clip(min=1e-30)
        worthwhile = (np.exp(np.ptp(predicted, axis=0)) > _WORTHWHILE) & (explained > _EXPLAINED)
        divided = worthwhile & np.asarray(useful)
        made.weights.copy_(torch.from_numpy(weights * divided))
        return made if divided.any() else None

    def forward(self, conditions: Float[Tensor, "batch parameters"]) -> Float[Tensor, "batch channels"]:
        """Predicted standard deviations, in the user's units, float64; conditions in the user's units."""
        return (self._features(conditions) @ self.weights).exp()

    def describe(self, conditions: Float[Tensor, "batch parameters"]) -> str:
        """Line for the terminal with the range of amplitudes predicted at some conditions."""
        sizes = self(conditions)
        low, high = sizes.min(), sizes.max()
        return f"x is first divided by the amplitude predicted from conditions, {low:.3g} to {high:.3g}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `from_dict`."""
        return {"kinds": list(self.kinds), "channels": self.weights.shape[1]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Module described by `to_dict`, without its tensors."""
        return cls(values["kinds"], values["channels"])

    def _features(self, conditions: Tensor) -> Tensor:
        c = torch.minimum(torch.maximum(conditions.to(self.bounds), self.bounds[0]), self.bounds[1])
        columns = [torch.ones_like(c[:, :1])]
        numbers: list[Tensor] = []
        for number, kind in enumerate(self.kinds):
            column, ends = c[:, number], self.bounds[:, number]
            if isinstance(kind, int):
                columns.append(nn.functional.one_hot(column.long(), kind).to(c))
                continue
            numbers.append(_within(column, ends))
            columns += [numbers[-1][:, None], numbers[-1][:, None] ** 2]
            if kind == "positive":
                logarithm = _within(column.clamp_min(1e-30).log(), ends.clamp_min(1e-30).log())[:, None]
                columns += [logarithm, logarithm**2]
        columns += [(a * b)[:, None] for a, b in combinations(numbers, 2)]
        return torch.cat(columns, dim=1)


def _within(column: Tensor, ends: Tensor) -> Tensor:
    """Column scaled to [-1, 1]."""
    return 2 * (column - ends[0]) / (ends[1] - ends[0]).clamp_min(1e-30) - 1
