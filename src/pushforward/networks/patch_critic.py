"""A critic that scores the patches of a field one by one: each map gives as many judgements as it has patches.

Source: Isola et al. 2017, https://arxiv.org/abs/1611.07004, section 2.2.2 (PatchGAN).
"""

from __future__ import annotations

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from pushforward.networks.convolutional import widths_for
from pushforward.networks.layers import Convolution, channels_last, coarser, grid_of
from pushforward.networks.spectral_norm import apply_spectral_norm
from pushforward.spaces import Field

__all__ = ["PatchCritic"]


class PatchCritic(nn.Module):
    """A field to a score for each of its patches, by strided convolutions; twice differentiable.

    Arguments:
        space: a `Field`.
        width: channels after the first layer, doubled at each halving.
        halvings: of the grid, as far as it has more than 4 cells a side; each patch is seen through all of them.
        spectral_norm: divide each layer's weights by their largest singular value (see `networks.spectral_norm`).

    >>> import torch
    >>> from pushforward.spaces import Field
    >>> PatchCritic(Field(1, (16, 16), periodic=True), width=8)(torch.randn(3, 1, 16, 16)).shape
    torch.Size([3, 16])
    """

    def __init__(self, space: Field, width: int = 32, halvings: int = 2, *, spectral_norm: bool = False) -> None:
        super().__init__()
        grid, dims = grid_of(space), len(space.grid)
        while halvings and min(grid) >> halvings < 4:
            halvings -= 1
        for _ in range(halvings):
            grid = coarser(grid)
        widths = widths_for(width, halvings + 1)
        self.input = Convolution(dims, space.channels, width, periodic=space.periodic)
        self.coarsen = nn.ModuleList(
            Convolution(dims, fine, coarse, 4, periodic=space.periodic, halve=True) for fine, coarse in pairwise(widths)
        )
        self.middle = Convolution(dims, widths[-1], widths[-1], periodic=space.periodic)
        self.output = Convolution(dims, widths[-1], 1, 1)
        if spectral_norm:
            apply_spectral_norm(self)

    def forward(self, x: Float[Tensor, "batch channels *grid"]) -> Float[Tensor, "batch patches"]:
        h = nn.functional.leaky_relu(self.input(channels_last(x)), 0.2)
        for block in self.coarsen:
            h = nn.functional.leaky_relu(block(h), 0.2)
        h = h + nn.functional.leaky_relu(self.middle(h), 0.2)
        return self.output(h).flatten(1)
