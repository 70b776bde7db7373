r"""Sliced Wasserstein distance: optimal transport along random directions, where it is sorting.

    SW_2^2 = < W_2^2( theta.X, theta.Y ) > over unit vectors theta,

so SW_2 <= W_2 / sqrt(dim) for the same pair of sets (Bonneel et al. 2015,
https://doi.org/10.1007/s10851-014-0506-3). The directions depend on the seed alone: two models judged with one seed are
judged along the same directions. The distance between finite samples of one distribution is positive and falls as
n^(-1/2): read it beside the distance of two real sets of the same sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.statistics.arrays import Array, as_vectors, same_device
from pushforward.statistics.coupling import wasserstein_sorted

__all__ = ["SlicedWasserstein", "sliced_wasserstein"]


@dataclass(frozen=True)
class SlicedWasserstein:
    """Sliced Wasserstein distance.

    Attributes:
        distance: SW_2, in the samples' unit.
        error: standard error of it from the finite number of directions.
        squares: W_2^2 along each direction.
    """

    distance: Float[Tensor, ""]
    error: Float[Tensor, ""]
    squares: Float[Tensor, " directions"]


def sliced_wasserstein(
    x: Float[Array, "n *dim"], y: Float[Array, "m *dim"], directions: int = 256, seed: int = 0
) -> SlicedWasserstein:
    """Sliced 2-Wasserstein distance of two sets; the sizes may differ.

    Arguments:
        x, y: ``(n, dim)`` and ``(m, dim)``; further axes are flattened.
        directions: random unit vectors, at least 2.
        seed: of the directions.

    Raises:
        UsageError, DataError: if the shapes do not fit or a set is empty.

    Example:
        >>> x = torch.randn(100, 2)
        >>> shifted = sliced_wasserstein(x, x + torch.tensor([3.0, 4.0]), directions=2000)
        >>> bool((shifted.distance - 5 / 2**0.5).abs() < 0.1)
        True
    """
    x, y = same_device(as_vectors(x), as_vectors(y))
    generator = torch.Generator().manual_seed(seed)
    theta = torch.randn(directions, x.shape[1], generator=generator, dtype=torch.float64)
    theta = (theta / theta.norm(dim=1, keepdim=True)).to(x)
    squares = torch.cat([_along(x, y, some) for some in theta.split(32)])
    distance = squares.mean().sqrt()
    error = squares.std() / len(squares) ** 0.5 / (2 * distance).clamp_min(torch.finfo(distance.dtype).tiny)
    return SlicedWasserstein(distance, error, squares)


def _along(x: Tensor, y: Tensor, theta: Tensor) -> Tensor:
    return wasserstein_sorted((theta @ x.T).sort(1).values, (theta @ y.T).sort(1).values, 2)
