"""Mixing of features: a fixed permutation, and a learnt linear map in triangular factors."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.tensors import single
from pushforward.transforms.transform import Transform, check_shape

__all__ = ["Linear", "Permutation", "placed"]


class Permutation(Transform):
    """Reorder the features of a vector, or the channels of a field: ``z[:, i] = x[:, order[i]]``.

    Arguments:
        order: a permutation of ``range(features)``.

    Raises:
        ValueError: if ``order`` is not a permutation.
    """

    order: Tensor
    inverse_order: Tensor

    def __init__(self, order: Sequence[int]) -> None:
        super().__init__()
        if sorted(order) != list(range(len(order))):
            raise ValueError(f"{list(order)} is not a permutation of 0 to {len(order) - 1}")
        self.register_buffer("order", torch.as_tensor(order, dtype=torch.int64))
        self.register_buffer("inverse_order", torch.argsort(self.order))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_shape(x, (len(self.order),))
        return x.index_select(1, self.order), x.new_zeros(len(x))

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_shape(z, (len(self.order),))
        return z.index_select(1, self.inverse_order), z.new_zeros(len(z))


class Linear(Transform):
    r"""``z = L U x`` on axis 1, with L unit lower and U upper triangular; on a field, the invertible 1x1 convolution.

    With these factors the determinant is a product over the diagonal of U and the inverse is two triangular solves. The
    diagonal is an exponential, so the map cannot become singular. It starts as the identity.

    Source: Kingma and Dhariwal 2018 (Glow, arXiv:1807.03039), section 3.2; for their fixed permutation before L,
    compose with `Permutation`.

    Arguments:
        features: length of axis 1, called n.
        network: ``network(batch, condition)`` gives ``(batch, n^2)``, added to the parameters: those of L below the
            diagonal, those of U above it, and the logarithm of the diagonal; None for a map that does not depend on the
            condition.
    """

    def __init__(self, features: int, network: nn.Module | None = None) -> None:
        super().__init__()
        self.lower = nn.Parameter(torch.zeros(features * (features - 1) // 2))
        self.upper = nn.Parameter(torch.zeros(features * (features - 1) // 2))
        self.log_diagonal = nn.Parameter(torch.zeros(features))
        self.features = features
        self.network = network

    def factors(
        self, batch: Tensor | None = None, condition: Tensor | None = None
    ) -> tuple[Float[Tensor, "*b features features"], Float[Tensor, "*b features features"]]:
        """Triangular matrices L and U; one pair per row of a batch if they depend on the condition."""
        return self._matrices(*self._raw(batch, condition))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_shape(x, (self.features,))
        raw = self._raw(x, condition)
        lower, upper = self._matrices(*raw)
        rows = "b" if self.network is not None else ""
        return torch.einsum(f"{rows}ij,bj...->bi...", lower @ upper, x), self._log_abs_det(x, raw[2])

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_shape(z, (self.features,))
        raw = self._raw(z, condition)
        lower, upper = self._matrices(*raw)
        # One system of equations per row, or a single one for all.
        columns = z.flatten(2) if z.dim() > 2 else z[..., None]
        if self.network is None:
            columns = columns.transpose(0, 1).flatten(1)
        # PyTorch has no triangular solve in half precision.
        columns = torch.linalg.solve_triangular(single(lower), single(columns), upper=False, unitriangular=True)
        columns = torch.linalg.solve_triangular(single(upper), columns, upper=True).to(z.dtype)
        if self.network is None:
            columns = columns.unflatten(1, (len(z), prod(z.shape[2:]))).transpose(0, 1)
        return columns.reshape(z.shape), -self._log_abs_det(z, raw[2])

    def _raw(self, batch: Tensor | None, condition: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Entries of L and of U off the diagonal, and the logarithm of the diagonal."""
        if self.network is None or batch is None:
            return self.lower, self.upper, self.log_diagonal
        given = self.network(batch.new_empty(len(batch), 0), condition).to(batch.dtype)
        lower, upper, log_diagonal = given.split([len(self.lower), len(self.upper), self.features], 1)
        return self.lower + lower, self.upper + upper, self.log_diagonal + log_diagonal

    def _matrices(self, lower: Tensor, upper: Tensor, log_diagonal: Tensor) -> tuple[Tensor, Tensor]:
        n, device = self.features, lower.device
        rows, columns = torch.tril_indices(n, n, -1, device=device)
        below, above = placed(n, rows, columns, lower), placed(n, columns, rows, upper)
        return below + torch.eye(n, device=device, dtype=lower.dtype), above + torch.diag_embed(log_diagonal.exp())

    def _log_abs_det(self, x: Tensor, log_diagonal: Tensor) -> Tensor:
        return (prod(x.shape[2:]) * log_diagonal.sum(-1)).expand(len(x))


def placed(n: int, rows: Tensor, columns: Tensor, entries: Float[Tensor, "*b entries"]) -> Float[Tensor, "*b n n"]:
    """Square matrices with entries at some places, and zeros elsewhere."""
    matrix = entries.new_zeros(n, n, *entries.shape[:-1]).index_put((rows, columns), entries.movedim(-1, 0))
    return matrix.movedim((0, 1), (-2, -1))
