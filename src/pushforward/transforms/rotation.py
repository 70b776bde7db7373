"""Learnt rotation of the features of a vector, or of the channels of a field."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.transforms.transform import Transform

__all__ = ["Rotation"]


class Rotation(Transform):
    r"""``z = exp(A - A^T) x`` on axis 1: any rotation, initially the identity, with log-determinant zero.

    Source: Lezcano-Casado and Martínez-Rubio 2019 (Cheap orthogonal constraints, arXiv:1901.08428), section 3.

    Arguments:
        features: length of axis 1.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.upper = nn.Parameter(torch.zeros(features * (features - 1) // 2))
        self.features = features

    def matrix(self) -> Float[Tensor, "features features"]:
        """The rotation matrix."""
        n = self.features
        rows, columns = torch.triu_indices(n, n, 1, device=self.upper.device)
        triangle = self.upper.new_zeros(n, n).index_put((rows, columns), self.upper)
        return torch.matrix_exp(triangle - triangle.mT)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return torch.einsum("ij,bj...->bi...", self.matrix(), x), x.new_zeros(len(x))

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return torch.einsum("ji,bj...->bi...", self.matrix(), z), z.new_zeros(len(z))
