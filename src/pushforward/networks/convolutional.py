"""Convolutional one-shot networks for fields: generator, critic and encoder.

All wrap around where the field is periodic, and accept a grid of any size: it is halved, rounding up, until its
shortest axis has 4 cells or fewer.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.networks.condition_fields import refuse_field
from pushforward.networks.embeddings import Context
from pushforward.networks.layers import Convolution, channels_last, coarser, grid_of, refine
from pushforward.networks.linear import Linear
from pushforward.networks.mlp import MLP
from pushforward.spaces import Field

__all__ = ["ConvolutionalEncoder", "ConvolutionalGenerator", "ladder", "widths_for"]


class ConvolutionalGenerator(nn.Module):
    """Map a code and a condition to a field, from the coarsest grid to the finest.

    Each refinement is nearest-neighbour interpolation followed by convolutions, which treats every cell alike:
    transposed convolutions leave a checkerboard pattern. The output is linear: network units have no bounds.

    Arguments:
        space: a `Field`.
        latent_dim: length of a code.
        condition: space of the conditions, without a field.
        width: channels at the full resolution, doubled at each coarser one up to ``8 * width``.

    References:
        Odena et al. 2016 (checkerboards), https://doi.org/10.23915/distill.00003
    """

    def __init__(
        self, space: Field, latent_dim: int, condition: ConditionSpace = ConditionSpace(), width: int = 32
    ) -> None:
        super().__init__()
        self.grids = ladder(grid_of(space))[::-1]
        widths = widths_for(width, len(self.grids))[::-1]
        dims = len(space.grid)
        self.widest = widths[0]
        refuse_field(self, condition)
        self.condition = condition
        self.context = Context(4 * width, condition, time=False) if condition else None
        context = 4 * width if condition else 0
        self.start = Linear(latent_dim + context, widths[0] * math.prod(self.grids[0]))
        self.refine = nn.ModuleList(
            _Refine(dims, coarse, fine, latent_dim + context, periodic=space.periodic)
            for coarse, fine in pairwise(widths)
        )
        self.output = Convolution(dims, widths[-1], space.channels, periodic=space.periodic)

    def forward(
        self, z: Float[Tensor, "batch latent"], condition: Condition | None = None
    ) -> Float[Tensor, "batch channels *grid"]:
        self.condition.numbers_of(condition)
        if self.context is not None:
            z = torch.cat([z, self.context(None, condition, len(z))], dim=1)
        h = channels_last(self.start(z).unflatten(1, (self.widest, *self.grids[0])))
        for block, grid in zip(self.refine, self.grids[1:], strict=True):
            h = block(h, z, grid)
        return self.output(nn.functional.leaky_relu(h, 0.2))


class _Refine(nn.Module):
    """Refinement and residual block; the code scales and shifts the channels."""

    def __init__(self, dims: int, inputs: int, outputs: int, context: int, *, periodic: bool) -> None:
        super().__init__()
        self.skip = Convolution(dims, inputs, outputs, 1, bias=False)
        self.first = Convolution(dims, inputs, outputs, periodic=periodic)
        self.second = Convolution(dims, outputs, outputs, periodic=periodic)
        self.norm = nn.GroupNorm(1, inputs, affine=False)
        self.modulation = Linear(context, 2 * inputs)

    def forward(self, x: Tensor, context: Tensor, grid: tuple[int, ...]) -> Tensor:
        scale, shift = self.modulation(context)[(...,) + (None,) * (x.ndim - 2)].chunk(2, dim=1)
        h = nn.functional.leaky_relu(torch.addcmul(shift, self.norm(x), 1 + scale), 0.2)
        h = self.first(refine(h, grid))
        h = self.second(nn.functional.leaky_relu(h, 0.2))
        return refine(self.skip(x), grid) + h


class ConvolutionalEncoder(nn.Module):
    """Map a field and a condition to a vector, from the finest grid to the coarsest.

    Without batch normalisation the output for one sample does not depend on the others, as a gradient penalty
    requires; every operation can be differentiated twice. Halvings have kernels of four cells, which cover every cell
    equally often.

    Arguments:
        space: a `Field`.
        outputs: length of the vector.
        condition: space of the conditions, without a field.
        width: channels at the full resolution, doubled at each coarser one up to ``8 * width``.
        pooled: average the features of the coarsest grid over its cells, which all count alike then: for fields whose
            statistics do not depend on position.

    References:
        Gulrajani et al. 2017 (no batch normalisation in a critic), https://arxiv.org/abs/1704.00028
    """

    def __init__(
        self,
        space: Field,
        outputs: int,
        condition: ConditionSpace = ConditionSpace(),
        width: int = 32,
        *,
        pooled: bool = False,
    ) -> None:
        super().__init__()
        self.pooled = pooled
        grids = ladder(grid_of(space))
        widths = widths_for(width, len(grids))
        dims = len(space.grid)
        refuse_field(self, condition)
        self.condition = condition
        self.context = Context(4 * width, condition, time=False) if condition else None
        context = 4 * width if condition else 0
        self.input = Convolution(dims, space.channels, width, periodic=space.periodic)
        self.coarsen = nn.ModuleList(
            _Coarsen(dims, fine, coarse, context, periodic=space.periodic) for fine, coarse in pairwise(widths)
        )
        cells = 1 if pooled else math.prod(grids[-1])
        features = widths[-1] * cells + context
        self.output = MLP(features, outputs, (4 * width,), "leaky-relu") if pooled else Linear(features, outputs)

    def forward(
        self, x: Float[Tensor, "batch channels *grid"], condition: Condition | None = None
    ) -> Float[Tensor, "batch outputs"]:
        self.condition.numbers_of(condition)
        context = None if self.context is None else self.context(None, condition, len(x))
        h = self.input(channels_last(x))
        for block in self.coarsen:
            h = block(h, context)
        h = nn.functional.leaky_relu(h, 0.2).flatten(2)
        features = h.mean(2) if self.pooled else h.flatten(1)
        return self.output(features if context is None else torch.cat([features, context], dim=1))


class _Coarsen(nn.Module):
    """Residual block and halving; the condition scales and shifts the channels."""

    def __init__(self, dims: int, inputs: int, outputs: int, context: int, *, periodic: bool) -> None:
        super().__init__()
        self.skip = Convolution(dims, inputs, outputs, 2, periodic=periodic, halve=True, bias=False)
        self.first = Convolution(dims, inputs, inputs, periodic=periodic)
        self.second = Convolution(dims, inputs, outputs, 4, periodic=periodic, halve=True)
        self.modulation = Linear(context, 2 * inputs) if context else None

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        h = self.first(nn.functional.leaky_relu(x, 0.2))
        if self.modulation is not None:
            scale, shift = self.modulation(context)[(...,) + (None,) * (x.ndim - 2)].chunk(2, dim=1)
            h = torch.addcmul(shift, h, 1 + scale)
        return self.skip(x) + self.second(nn.functional.leaky_relu(h, 0.2))


def ladder(grid: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Grids from the finest to the coarsest, the first whose shortest axis has 4 cells or fewer."""
    grids = [grid]
    while min(grids[-1]) > 4:
        grids.append(coarser(grids[-1]))
    return grids


def widths_for(width: int, levels: int) -> list[int]:
    """Channels of each grid from the finest to the coarsest: doubled up to ``8 * width``."""
    return [width * min(8, 2**level) for level in range(levels)]
