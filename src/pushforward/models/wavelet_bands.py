"""Standardised wavelet coefficients of a field on a smaller grid, for one-shot networks.

Halving a map twice gives sixteen channels on a sixteenth of the cells, without loss, and a convolution costs a
sixteenth. The coefficients of fine detail, faint in most physical fields, are scaled to the size of the others:
networks and distances then resolve all scales.

Source: Gal et al. 2021 (arXiv:2102.06108) for generator and critic that work on wavelets.
"""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.spaces import Field, Space
from pushforward.transforms import Haar

__all__ = ["WaveletBands", "halvings_for"]

_SMALLEST_SIDE = 16


def halvings_for(space: Space, most: int = 2, smallest: int = _SMALLEST_SIDE) -> int:
    """Number of halvings of a field, while its sides stay even and at least ``smallest`` cells."""
    count = 0
    while (
        space.grid
        and count < most
        and all(cells % 2 ** (count + 1) == 0 and cells >> (count + 1) >= smallest for cells in space.grid)
    ):
        count += 1
    return count


@singledispatch
def _halved(space: Space, halvings: int) -> Space:
    """The space of the coefficients."""
    return space


@_halved.register
def _(space: Field, halvings: int) -> Space:
    factor = 2**halvings
    channels = space.channels * factor ** len(space.grid)
    return replace(space, channels=channels, grid=tuple(cells // factor for cells in space.grid))


class WaveletBands(nn.Module):
    """``halvings`` orthonormal Haar transforms, then standardisation per channel; a vector is only standardised.

    Arguments:
        space: of the samples.
        halvings: of the grid, which must allow them.

    Attributes:
        space: of the coefficients.
    """

    mean: Tensor
    scale: Tensor

    # A channel that is constant over the first batch would otherwise be scaled up without bound.
    smallest_scale = 1e-3

    def __init__(self, space: Space, halvings: int) -> None:
        super().__init__()
        self.haar = Haar()
        self.halvings = halvings
        self.space = _halved(space, halvings)
        space = self.space
        shape = (space.shape[0], *[1] * (len(space.shape) - 1))
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *image"]:
        """Standardised coefficients of samples."""
        return (self.split(x) - self.mean) / self.scale

    def inverse(self, coefficients: Float[Tensor, "batch *image"]) -> Float[Tensor, "batch *shape"]:
        """Samples from standardised coefficients."""
        return self.merge(coefficients * self.scale + self.mean)

    def merge(self, x: Float[Tensor, "batch *image"]) -> Float[Tensor, "batch *shape"]:
        """The inverse Haar transforms alone."""
        for _ in range(self.halvings):
            x = self.haar.inverse(x)[0]
        return x

    @torch.no_grad()
    def initialise(self, x: Float[Tensor, "batch *shape"]) -> None:
        """Set mean and scale of each channel from a batch."""
        rows = self.split(x).transpose(0, 1).flatten(1)
        self.mean.copy_(rows.mean(1).view_as(self.mean))
        self.scale.copy_(rows.std(1, correction=0).clamp(min=self.smallest_scale).view_as(self.scale))

    def split(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *image"]:
        """The Haar transforms alone."""
        for _ in range(self.halvings):
            x = self.haar(x)[0]
        return x
