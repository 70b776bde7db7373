"""Scale and shift per channel, initialised to standardise a first batch."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.transforms.transform import Transform, check_shape

__all__ = ["ActNorm"]


class ActNorm(Transform):
    """``z = (x - shift) * exp(log_scale)`` per feature of a vector, or per channel of a field.

    It replaces batch normalisation in a flow: after `initialise` scale and shift are ordinary parameters, so the
    density of a sample does not depend on the rest of its batch.

    Source: Kingma and Dhariwal 2018 (Glow, arXiv:1807.03039), section 3.1.

    Arguments:
        features: length of axis 1.
    """

    # A feature that is constant over the first batch would otherwise be scaled up without bound.
    smallest_scale = 1e-4

    def __init__(self, features: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(features))
        self.log_scale = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        shift, log_scale = self._over(x)
        return (x - shift) * log_scale.exp(), self._log_abs_det(x)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        shift, log_scale = self._over(z)
        return z * (-log_scale).exp() + shift, -self._log_abs_det(z)

    @torch.no_grad()
    def initialise(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        if not len(x):
            raise UsageError("an empty batch has no mean; initialise with the first batch of data")
        rows = x.transpose(0, 1).flatten(1)
        self.shift.copy_(rows.mean(1))
        self.log_scale.copy_(-rows.std(1, correction=0).clamp(min=self.smallest_scale).log())
        return self(x, condition)[0]

    def _over(self, x: Tensor) -> tuple[Tensor, Tensor]:
        check_shape(x, tuple(self.shift.shape))
        shape = (-1, *[1] * (x.dim() - 2))
        return self.shift.view(shape), self.log_scale.view(shape)

    def _log_abs_det(self, x: Tensor) -> Tensor:
        return (prod(x.shape[2:]) * self.log_scale.sum()).expand(len(x))
