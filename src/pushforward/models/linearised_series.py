"""Residuals of observed series, linearised in their coefficients and codes: the input of `laplace.climb`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.models.laplace import Linearised
from pushforward.models.linear_series import Basis, Rows

__all__ = ["linearised_residuals"]

STEP = 1e-3
"""Step of the finite differences with respect to the code, in units of the prior."""


def linearised_residuals(
    basis: Callable[[Float[Tensor, "count batch latent"]], Basis], rows: Rows, coefficients: int
) -> Linearised:
    """Residuals in units of their standard deviation, and their derivatives, as a function of coefficients and codes.

    Paths are linear in the coefficients; the derivatives with respect to the code are finite differences.

    Arguments:
        basis: of the series with some codes, at the times of the rows.
        rows: the observations.
        coefficients: number of coefficients, which precede the code in the argument of the function.
    """

    def linearised(u: Tensor) -> tuple[Tensor, Tensor]:
        n, k = u.shape[-1] - coefficients, len(u)
        units = STEP * torch.eye(n, device=rows.times.device, dtype=rows.times.dtype)
        a, z = u.split([coefficients, n], -1)
        moved = torch.cat([z[None], z + units[:, None, None]]).flatten(0, 1)
        found = basis(moved)
        paths = found.path(a.repeat(1 + n, 1, 1)).unflatten(0, (1 + n, k))
        by_code = ((paths[1:] - paths[0]) / STEP).movedim(0, -1)
        by_coefficient = torch.einsum("kbtf,kbdfm->kbtdm", found.features[:k], found.loadings[:k])
        made = rows.whitened_paths(torch.cat([paths[0, ..., None], by_coefficient, by_code], -1))
        return made[..., 0] - rows.standard.flatten(1), made[..., 1:]

    return linearised
