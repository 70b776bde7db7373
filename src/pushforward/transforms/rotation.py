"""Learnt rotation of the features of a vector, or of the channels of a field."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.tensors import single
from pushforward.transforms.linear import placed
from pushforward.transforms.transform import Transform, check_shape

__all__ = ["Rotation"]


class Rotation(Transform):
    r"""``z = exp(A - A^T) x`` on axis 1: any rotation, initially the identity, with log-determinant zero.

    Source: Lezcano-Casado and Martínez-Rubio 2019 (Cheap orthogonal constraints, arXiv:1901.08428), section 3.

    Arguments:
        features: length of axis 1, called n.
        network: ``network(batch, condition)`` gives ``(batch, n (n - 1) / 2)``, added to A above the diagonal; None for
            a rotation that does not depend on the condition.
    """

    def __init__(self, features: int, network: nn.Module | None = None) -> None:
        super().__init__()
        self.upper = nn.Parameter(torch.zeros(features * (features - 1) // 2))
        self.features = features
        self.network = network

    def matrix(
        self, batch: Tensor | None = None, condition: Tensor | None = None
    ) -> Float[Tensor, "*b features features"]:
        """Rotation matrix; one per row of a batch if it depends on the condition."""
        n, entries = self.features, self.upper
        if self.network is not None and batch is not None:
            entries = entries + self.network(batch.new_empty(len(batch), 0), condition).to(batch.dtype)
        rows, columns = torch.triu_indices(n, n, 1, device=entries.device)
        # The matrix exponential is inaccurate or wrong in half precision.
        triangle = placed(n, rows, columns, single(entries))
        return torch.matrix_exp(triangle - triangle.mT).to(entries.dtype)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_shape(x, (self.features,))
        rows = "b" if self.network is not None else ""
        return torch.einsum(f"{rows}ij,bj...->bi...", self.matrix(x, condition), x), x.new_zeros(len(x))

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_shape(z, (self.features,))
        rows = "b" if self.network is not None else ""
        return torch.einsum(f"{rows}ji,bj...->bi...", self.matrix(z, condition), z), z.new_zeros(len(z))
