r"""Halving of a grid into more channels: every block of 2^d cells becomes one cell.

`Squeeze` turns the cells of a block into channels. `Haar` turns their mean and differences into channels, which
separates scales: the first channels of the result are the field at half the resolution.
Both are orthogonal, so their log-determinant is zero.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.transforms.transform import Transform

__all__ = ["Haar", "Squeeze"]


class Squeeze(Transform):
    """Space to depth: ``(batch, channels, *grid)`` to ``(batch, 2^d channels, *grid / 2)``.

    Channel ``b * channels + c`` of the result holds cell ``b`` of each block of channel ``c``.

    Source: Dinh, Sohl-Dickstein and Bengio 2017 (RealNVP, arXiv:1605.08803), section 3.6.

    Raises:
        UsageError: if an axis of the grid is odd.
    """

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        for axis in range(2, x.dim()):
            x = torch.cat(self._split(*_pairs(x, axis)), dim=1)
        return x, x.new_zeros(len(x))

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        for axis in reversed(range(2, z.dim())):
            first, second = self._merge(*z.chunk(2, dim=1))
            z = torch.stack((first, second), dim=axis + 1).flatten(axis, axis + 1)
        return z, z.new_zeros(len(z))

    def _split(self, even: Tensor, odd: Tensor) -> tuple[Tensor, Tensor]:
        return even, odd

    def _merge(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        return first, second


class Haar(Squeeze):
    r"""One level of the orthonormal Haar wavelet transform, ``((a + b) / √2, (a - b) / √2)`` along each axis.

    The first ``channels`` of the result's ``2^d channels`` are √(2^d) times the block means, the others the details.

    Source: Haar 1910; in flows: Yu, Derpanis and Brubaker 2020 (Wavelet Flow, arXiv:2010.13821).

    Raises:
        UsageError: if an axis of the grid is odd.
    """

    def _split(self, even: Tensor, odd: Tensor) -> tuple[Tensor, Tensor]:
        return (even + odd) / sqrt(2), (even - odd) / sqrt(2)

    def _merge(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        return self._split(first, second)


def _pairs(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Cells of even and of odd index along an axis."""
    length = x.shape[axis]
    if length % 2:
        grid = " x ".join(str(cells) for cells in x.shape[2:])
        raise UsageError(f"a grid of {grid} cannot be halved; crop or pad it to even lengths")
    cells = x.unflatten(axis, (length // 2, 2))
    return cells.select(axis + 1, 0), cells.select(axis + 1, 1)
