"""Affine layer of all networks."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from pushforward.tensors import linear

__all__ = ["Linear"]


class Linear(nn.Linear):
    """`torch.nn.Linear` by the fastest library for matrices of its size (see `pushforward.tensors`)."""

    def forward(self, input: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        return linear(input, self.weight, self.bias)
