"""Reshape of a field to a vector, for vector transforms of the coarsest level."""

from __future__ import annotations

from math import prod

from torch import Tensor

from pushforward.transforms.transform import Transform, check_shape

__all__ = ["Flatten"]


class Flatten(Transform):
    """``(batch, *shape)`` to ``(batch, prod(shape))`` and back; the determinant is one.

    Arguments:
        shape: of one sample.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_shape(x, self.shape)
        return x.reshape(len(x), prod(self.shape)), x.new_zeros(len(x))

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z.reshape(len(z), *self.shape), z.new_zeros(len(z))
