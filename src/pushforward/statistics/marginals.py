r"""Distances between the marginal distributions of two sets, coordinate by coordinate.

    W_1 = int |F(x) - G(x)| dx,        KS = max_x |F(x) - G(x)|

with the empirical distribution functions F and G; both are exact, whatever the two sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.special import kolmogorov
from torch import Tensor

from pushforward.statistics.arrays import Array, as_vectors, chunks, same_device, wide
from pushforward.statistics.coupling import kolmogorov_smirnov_sorted, wasserstein_sorted

__all__ = ["Marginals", "marginals"]


@dataclass(frozen=True)
class Marginals:
    """Distances between the distributions of each coordinate.

    Attributes:
        wasserstein1: in the coordinate's unit.
        relative: the same over the coordinate's standard deviation in the reference.
        kolmogorov_smirnov: in [0, 1].
        p_value: probability of a larger Kolmogorov-Smirnov distance were the distributions equal (the limit of many
            samples; it assumes independent samples).
    """

    wasserstein1: Float[Tensor, " dim"]
    relative: Float[Tensor, " dim"]
    kolmogorov_smirnov: Float[Tensor, " dim"]
    p_value: Float[Tensor, " dim"]


def marginals(x: Float[Array, "n *dim"], y: Float[Array, "m *dim"]) -> Marginals:
    """Distances between the marginal distributions of two sets.

    Arguments:
        x, y: ``(n, dim)`` and ``(m, dim)``; further axes are flattened. ``y`` is the reference that sets the scale
            of ``relative``.

    Raises:
        UsageError, DataError: if the shapes do not fit or a set is empty.

    Example:
        >>> x = torch.randn(1000, 3)
        >>> apart = marginals(x + torch.tensor([0.0, 1.0, 2.0]), x)
        >>> torch.allclose(apart.wasserstein1, torch.tensor([0.0, 1.0, 2.0]).double(), atol=1e-5)
        True
    """
    x, y = same_device(as_vectors(x), as_vectors(y))
    distances, gaps = [], []
    for some in chunks(x.shape[1], len(x) + len(y), budget=1 << 22):
        a, b = x[:, some].T.contiguous().sort(1).values, y[:, some].T.contiguous().sort(1).values
        distances.append(wasserstein_sorted(a, b, 1))
        gaps.append(kolmogorov_smirnov_sorted(a, b))
    distance, gap = torch.cat(distances), torch.cat(gaps)
    effective = (len(x) * len(y) / (len(x) + len(y))) ** 0.5
    p_value = torch.as_tensor(kolmogorov(effective * gap.cpu().numpy())).to(gap)
    return Marginals(distance, distance / wide(y).std(0), gap, p_value)
