"""Increasing maps of single values, the same for all cells of a channel; they depend on the condition alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.transforms.monotone import Monotone
from pushforward.transforms.transform import Transform, check_shape

__all__ = ["Elementwise"]


class Elementwise(Transform):
    """A monotone map of each feature of a vector, or of all cells of a channel; it commutes with permuting cells.

    Arguments:
        monotone: the map, with P parameters.
        features: length of axis 1.
        network: ``network(batch, condition)`` gives ``(batch, P * features)``, added to the parameters; None for a map
            that does not depend on the condition.
    """

    def __init__(self, monotone: Monotone, features: int, network: nn.Module | None = None) -> None:
        super().__init__()
        self.monotone, self.network = monotone, network
        self.raw = nn.Parameter(torch.zeros(monotone.parameters, features))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_derivative = self.monotone.forward(x, self._raw_for(x, condition))
        return z, log_derivative.expand_as(z).flatten(1).sum(1)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, log_derivative = self.monotone.inverse(z, self._raw_for(z, condition))
        return x, log_derivative.expand_as(x).flatten(1).sum(1)

    def _raw_for(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Parameters (P, batch or 1, features, 1, ...), which broadcast over the cells."""
        check_shape(x, (self.raw.shape[1],))
        raw = self.raw[:, None]
        if self.network is not None:
            raw = raw + self.network(x.new_empty(len(x), 0), condition).unflatten(1, self.raw.shape).movedim(1, 0)
        return raw.to(x.dtype).view(*raw.shape, *[1] * (x.dim() - 2))
