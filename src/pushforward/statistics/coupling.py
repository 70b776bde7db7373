r"""Optimal transport in one dimension, by sorting.

The distance between two samples of any sizes n and m is W_p^p = int_0^1 |F^-1(u) - G^-1(u)|^p du, and both quantile
functions are constant between neighbouring multiples of 1/n and 1/m, so the integral is an exact sum of n + m - 1 terms
(Peyre and Cuturi 2019, Computational Optimal Transport, eq. 2.30).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.statistics.arrays import wide

__all__ = ["kolmogorov_smirnov_sorted", "wasserstein_sorted"]


def wasserstein_sorted(x: Float[Tensor, "rows n"], y: Float[Tensor, "rows m"], power: int) -> Float[Tensor, " rows"]:
    """W_p^p between the rows of ``x`` and of ``y``, each sorted, for p = ``power``; float64."""
    if x.shape[1] == y.shape[1]:
        return wide(x - y).abs_().pow_(power).mean(1)
    i, j, mass = _levels(x.shape[1], y.shape[1])
    gap = wide(x[:, i.to(x.device)] - y[:, j.to(x.device)]).abs_().pow_(power)
    return gap @ mass.to(gap)


def kolmogorov_smirnov_sorted(x: Float[Tensor, "rows n"], y: Float[Tensor, "rows m"]) -> Float[Tensor, " rows"]:
    """Largest distance between the empirical distribution functions of the rows, each sorted; float64."""
    values = torch.cat([x, y], 1)
    x_below = torch.searchsorted(x.contiguous(), values, right=True)
    y_below = torch.searchsorted(y.contiguous(), values, right=True)
    return (wide(x_below) / x.shape[1] - wide(y_below) / y.shape[1]).abs().amax(1)


@lru_cache(maxsize=16)
def _levels(n: int, m: int) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of the sorted samples of both sets at each constant piece of the quantile functions, and its length."""
    # Whole numbers: levels i/n and j/m are compared as i m and j n, so that equal ones coincide.
    upper = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
    lower = torch.cat([upper.new_zeros(1), upper[:-1]])
    return lower // m, lower // n, (upper - lower).double() / (n * m)
