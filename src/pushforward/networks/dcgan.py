"""The generator and critic of the deep convolutional GAN, for maps and cubes of any size.

Transposed convolutions of four cells double the grid from one layer to the next, strided ones halve it. Where the field
is periodic both wrap around. Samples do not depend on each other: channels are normalised over each sample, where the
original normalises over the batch, and the critic, which a gradient penalty may act on, not at all.

Source: Radford, Metz and Chintala 2016, https://arxiv.org/abs/1511.06434; in three dimensions Zamudio-Fernandez et al.
2019, https://arxiv.org/abs/1904.12846.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.networks.condition_fields import refuse_field
from pushforward.networks.convolutional import ladder, widths_for
from pushforward.networks.embeddings import Context
from pushforward.networks.layers import Convolution, channels_last, grid_of
from pushforward.networks.linear import Linear
from pushforward.networks.periodic import wrap
from pushforward.spaces import Field

__all__ = ["DCGANCritic", "DCGANGenerator", "TransposedConvolution"]

_TRANSPOSED: dict[int, Any] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


class TransposedConvolution(nn.Module):
    """Four cells wide along each axis, from a grid to one twice as fine; wraps around where the field is periodic.

    Arguments:
        dims: axes of the grid, 2 or 3.
        inputs, outputs: channels.
        periodic: whether the field wraps around.
    """

    def __init__(self, dims: int, inputs: int, outputs: int, *, periodic: bool = False) -> None:
        super().__init__()
        self.periodic = periodic
        # A cell before and after the periodic grid makes two at each end of the refined one, which are cut off.
        self.convolution = _TRANSPOSED[dims](inputs, outputs, 4, stride=2, padding=3 if periodic else 1)

    def forward(self, x: Float[Tensor, "batch inputs *coarse"]) -> Float[Tensor, "batch outputs *fine"]:
        return self.convolution(wrap(x, ((1, 1),) * (x.ndim - 2)) if self.periodic else x)


class DCGANGenerator(nn.Module):
    """A code and a condition to a field.

    Arguments:
        space: a `Field`.
        latent_dim: length of a code.
        condition: what each sample is given with; no field.
        width: channels at the full resolution, doubled at each coarser one up to ``8 * width``.
    """

    def __init__(
        self, space: Field, latent_dim: int, condition: ConditionSpace = ConditionSpace(), width: int = 32
    ) -> None:
        super().__init__()
        refuse_field(self, condition)
        self.condition = condition
        self.grids = ladder(grid_of(space))[::-1]
        widths = widths_for(width, len(self.grids))[::-1]
        dims = len(space.grid)
        self.context = Context(4 * width, condition, time=False) if condition else None
        self.start = Linear(latent_dim + (4 * width if condition else 0), widths[0] * math.prod(self.grids[0]))
        self.widest = widths[0]
        self.norms = nn.ModuleList(nn.GroupNorm(1, channels) for channels in widths)
        self.refine = nn.ModuleList(
            TransposedConvolution(dims, coarse, fine, periodic=space.periodic) for coarse, fine in pairwise(widths)
        )
        self.output = Convolution(dims, widths[-1], space.channels, periodic=space.periodic)

    def forward(
        self, z: Float[Tensor, "batch latent"], condition: Condition | None = None
    ) -> Float[Tensor, "batch channels *grid"]:
        self.condition.numbers_of(condition)
        if self.context is not None:
            z = torch.cat([z, self.context(None, condition, len(z))], dim=1)
        h = channels_last(self.start(z).unflatten(1, (self.widest, *self.grids[0])))
        h = nn.functional.relu(self.norms[0](h))
        for refine, norm, grid in zip(self.refine, list(self.norms)[1:], self.grids[1:], strict=True):
            # A grid of odd sides is cut out of one that is a cell larger.
            h = nn.functional.relu(norm(refine(h)[(..., *map(slice, grid))]))
        return self.output(h)


class DCGANCritic(nn.Module):
    """A field and a condition to a vector, by strided convolutions; twice differentiable.

    Arguments:
        space: a `Field`.
        outputs: length of the vector.
        condition: what each sample is given with; no field.
        width: channels after the first halving, doubled at each coarser grid up to ``8 * width``.
    """

    def __init__(
        self, space: Field, outputs: int, condition: ConditionSpace = ConditionSpace(), width: int = 32
    ) -> None:
        super().__init__()
        refuse_field(self, condition)
        self.condition = condition
        grids = ladder(grid_of(space))
        widths = [space.channels, *widths_for(width, max(1, len(grids) - 1))]
        dims, halve = len(space.grid), len(grids) > 1
        self.coarsen = nn.ModuleList(
            Convolution(dims, fine, coarse, 4 if halve else 3, periodic=space.periodic, halve=halve)
            for fine, coarse in pairwise(widths)
        )
        self.context = Context(4 * width, condition, time=False) if condition else None
        self.output = Linear(widths[-1] * math.prod(grids[-1]) + (4 * width if condition else 0), outputs)

    def forward(
        self, x: Float[Tensor, "batch channels *grid"], condition: Condition | None = None
    ) -> Float[Tensor, "batch outputs"]:
        self.condition.numbers_of(condition)
        h = channels_last(x)
        for block in self.coarsen:
            h = nn.functional.leaky_relu(block(h), 0.2)
        features = h.flatten(1)
        if self.context is not None:
            features = torch.cat([features, self.context(None, condition, len(x))], dim=1)
        return self.output(features)
