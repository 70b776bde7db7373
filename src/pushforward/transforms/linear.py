"""Mixing of features: a fixed permutation, and a learnt linear map in triangular factors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.transforms.transform import Transform

__all__ = ["Linear", "Permutation"]


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
        self.register_buffer("order", torch.as_tensor(order))
        self.register_buffer("inverse_order", torch.argsort(torch.as_tensor(order)))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x.index_select(1, self.order), x.new_zeros(len(x))

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z.index_select(1, self.inverse_order), z.new_zeros(len(z))


class Linear(Transform):
    r"""``z = L U x`` on axis 1, with L unit lower and U upper triangular; on a field, the invertible 1x1 convolution.

    With these factors the determinant is a product over the diagonal of U and the inverse is two triangular solves. The
    diagonal is an exponential, so the map cannot become singular. It starts as the identity.

    Source: Kingma and Dhariwal 2018 (Glow, arXiv:1807.03039), section 3.2; for their fixed permutation before L,
    compose with `Permutation`.

    Arguments:
        features: length of axis 1.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.lower = nn.Parameter(torch.zeros(features * (features - 1) // 2))
        self.upper = nn.Parameter(torch.zeros(features * (features - 1) // 2))
        self.log_diagonal = nn.Parameter(torch.zeros(features))
        self.features = features

    def factors(self) -> tuple[Float[Tensor, "features features"], Float[Tensor, "features features"]]:
        """The triangular matrices L and U."""
        n, device = self.features, self.lower.device
        rows, columns = torch.tril_indices(n, n, -1, device=device)
        zeros = self.lower.new_zeros(n, n)
        lower = zeros.index_put((rows, columns), self.lower) + torch.eye(n, device=device, dtype=zeros.dtype)
        upper = zeros.index_put((columns, rows), self.upper) + torch.diag(self.log_diagonal.exp())
        return lower, upper

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        lower, upper = self.factors()
        return torch.einsum("ij,bj...->bi...", lower @ upper, x), self._log_abs_det(x)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        lower, upper = self.factors()
        columns = z.transpose(0, 1).flatten(1)
        columns = torch.linalg.solve_triangular(lower, columns, upper=False, unitriangular=True)
        columns = torch.linalg.solve_triangular(upper, columns, upper=True)
        return columns.view(len(columns), len(z), *z.shape[2:]).transpose(0, 1), -self._log_abs_det(z)

    def _log_abs_det(self, x: Tensor) -> Tensor:
        cells = x[0, 0].numel()
        return (cells * self.log_diagonal.sum()).expand(len(x))
