"""A U-Net for velocities and denoisers of fields: maps and cubes, periodic or not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.networks.embeddings import Context
from pushforward.networks.layers import Convolution, channels_last, coarser, refine
from pushforward.spaces import Field

__all__ = ["UNet"]


class UNet(nn.Module):
    """A U-Net called as ``net(x, t, condition)``.

    Arguments:
        space: a `Field` with two or three axes, of any size.
        condition_dim: length of a condition vector; 0 for none.
        width: channels at the full resolution.
        multipliers: channels of each resolution in units of ``width``; each is half as fine as the one before.
            None chooses them so that the coarsest grid has 4 to 8 cells along its shortest axis.
        blocks: residual blocks for each resolution, on the way down and on the way up.
        in_channels: channels of the input; None means those of the space. More than those let another field guide this
            one: concatenate it to ``x``.
        out_channels: channels of the output; None means those of the space.

    References:
        Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597; Ho et al. 2020, https://arxiv.org/abs/2006.11239

    >>> net = UNet(Field(1, (16, 16), periodic=True), condition_dim=2, width=8)
    >>> net(torch.randn(3, 1, 16, 16), torch.rand(3), torch.randn(3, 2)).shape
    torch.Size([3, 1, 16, 16])
    """

    def __init__(
        self,
        space: Field,
        condition_dim: int = 0,
        width: int = 32,
        multipliers: Sequence[int] | None = None,
        blocks: int = 1,
        *,
        in_channels: int | None = None,
        out_channels: int | None = None,
    ) -> None:
        super().__init__()
        multipliers = multipliers_for(space.grid) if multipliers is None else tuple(multipliers)
        dims = len(space.grid)
        widths = [width * multiplier for multiplier in multipliers]
        self.context = Context(4 * width, condition_dim)

        def convolution(inputs: int, outputs: int, kernel: int = 3, halve: bool = False) -> Convolution:
            return Convolution(dims, inputs, outputs, kernel, periodic=space.periodic, halve=halve)

        def block(width: int) -> _Block:
            return _Block(dims, width, self.context.dim, periodic=space.periodic)

        self.input = convolution(space.channels if in_channels is None else in_channels, width)
        self.down = nn.ModuleList(nn.ModuleList(block(w) for _ in range(blocks)) for w in widths)
        self.coarsen = nn.ModuleList(
            convolution(fine, coarse, kernel=2, halve=True) for fine, coarse in pairwise(widths)
        )
        self.middle = nn.ModuleList(block(widths[-1]) for _ in range(blocks))
        self.refine = nn.ModuleList(convolution(coarse, fine) for fine, coarse in pairwise(widths))
        self.join = nn.ModuleList(convolution(2 * w, w, kernel=1) for w in widths[:-1])
        self.up = nn.ModuleList(nn.ModuleList(block(w) for _ in range(blocks)) for w in widths[:-1])
        self.norm = nn.GroupNorm(_groups(width), width)
        self.output = convolution(width, space.channels if out_channels is None else out_channels)
        nn.init.zeros_(self.output.convolution.weight)
        nn.init.zeros_(self.output.convolution.bias)

    def forward(
        self,
        x: Float[Tensor, "batch channels *grid"],
        t: Float[Tensor, " batch"],
        condition: Float[Tensor, "batch condition"] | None = None,
    ) -> Float[Tensor, "batch out_channels *grid"]:
        context = self.context(t, condition, len(x))
        h = self.input(channels_last(x))
        skips: list[Tensor] = []
        for level, blocks in enumerate(self.down):
            if level:
                h = self.coarsen[level - 1](h)
            for block in blocks:
                h = block(h, context)
            skips.append(h)
        for block in self.middle:
            h = block(h, context)
        for level in reversed(range(len(self.up))):
            skip = skips[level]
            h = self.refine[level](refine(h, skip.shape[2:]))
            h = self.join[level](torch.cat([h, skip], dim=1))
            for block in self.up[level]:
                h = block(h, context)
        return self.output(nn.functional.silu(self.norm(h)))


def multipliers_for(grid: tuple[int, ...]) -> tuple[int, ...]:
    """Channels of each resolution: doubled twice, with a coarsest grid of 4 to 8 cells along its shortest axis."""
    multipliers = [1]
    while min(grid) > 8 or (len(multipliers) == 1 and min(grid) > 4):
        grid = coarser(grid)
        multipliers.append(min(4, 2 * multipliers[-1]))
    return tuple(multipliers)


class _Block(nn.Module):
    def __init__(self, dims: int, width: int, context: int, *, periodic: bool) -> None:
        super().__init__()
        self.norm_in = nn.GroupNorm(_groups(width), width, affine=False)
        self.first = Convolution(dims, width, width, periodic=periodic)
        self.norm_out = nn.GroupNorm(_groups(width), width)
        self.modulation = nn.Linear(context, 2 * width)
        self.second = Convolution(dims, width, width, periodic=periodic)
        nn.init.zeros_(self.second.convolution.weight)
        nn.init.zeros_(self.second.convolution.bias)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        scale, shift = self.modulation(context)[(...,) + (None,) * (x.ndim - 2)].chunk(2, dim=1)
        h = torch.addcmul(shift, self.norm_in(x), 1 + scale)
        h = self.first(nn.functional.silu(h))
        return x + self.second(nn.functional.silu(self.norm_out(h)))


def _groups(width: int) -> int:
    return next(groups for groups in (8, 4, 2, 1) if width % groups == 0)
