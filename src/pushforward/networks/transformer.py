r"""Transformer for velocities and denoisers of fields: maps and cubes, periodic or not.

A field is cut into patches, each embedded as a vector; blocks of attention and perceptrons act on the vectors, and each
vector is mapped back to a patch. Time and condition scale, shift and gate every block (Peebles & Xie 2023),

.. math:: h \leftarrow h + g_l \odot F_l\big((1 + s_l) \odot \mathrm{norm}(h) + b_l\big), \qquad
          (s_l, b_l, g_l) = A_l\, e(t, c), \qquad A_l = 0 \text{ at the start.}

Positions enter by rotating queries and keys by angles that grow along each axis (Su et al. 2021), so that their product
depends on the distance alone. Along a periodic axis of N patches the angles are :math:`2 \pi n i / N` with integer n,
so that distance is measured around the circle, and a shift of the input by whole patches shifts the output. In a field
with edges, a learnt code of its position is also added to each vector.
"""

from __future__ import annotations

import math
from math import gcd, prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.networks.condition_fields import JoinField
from pushforward.networks.embeddings import Context
from pushforward.networks.linear import Linear
from pushforward.spaces import Field

__all__ = ["Transformer"]

_MOST_PATCHES = 512


class Transformer(nn.Module):
    """Transformer called as ``net(x, t, condition)``. Its output starts at zero, and each block as the identity.

    Arguments:
        space: a `Field` of any dimension; the patch must divide its grid.
        condition: space of the conditions; its field joins the input (see `JoinField`).
        width: features of a patch's vector; a multiple of ``heads``.
        depth: number of blocks.
        heads: number of attention heads; None: one per 32 features.
        patch: cells along each side of a patch; None: the smallest power of two that divides the grid and leaves at
            most 512 patches.
        in_channels: channels of the input, without those of the condition; None: those of the space.
        out_channels: channels of the output; None: those of the space.

    Raises:
        UsageError: if a size is not positive, the patch does not divide the grid, or the heads do not divide the width;
            when called, if the input has the wrong number of channels.

    References:
        Peebles & Xie 2023, https://arxiv.org/abs/2212.09748; Su et al. 2021, https://arxiv.org/abs/2104.09864

    >>> net = Transformer(Field(1, (16, 16), periodic=True), ConditionSpace(2), width=32, depth=2)
    >>> net(torch.randn(3, 1, 16, 16), torch.rand(3), Condition(torch.randn(3, 2))).shape
    torch.Size([3, 1, 16, 16])
    """

    waves: Tensor

    def __init__(
        self,
        space: Field,
        condition: ConditionSpace = ConditionSpace(),
        width: int = 128,
        depth: int = 6,
        heads: int | None = None,
        patch: int | None = None,
        *,
        in_channels: int | None = None,
        out_channels: int | None = None,
    ) -> None:
        super().__init__()
        patch = patch_for(space.grid) if patch is None else patch
        heads = max(1, width // 32) if heads is None else heads
        if min(width, depth, heads, patch) < 1 or any(cells % patch for cells in space.grid):
            raise UsageError(
                "width, depth, heads and patch of a transformer must be at least 1, and the patch divide the grid, not "
                f"{width}, {depth}, {heads} and {patch} on a grid of {space.grid}"
            )
        axes = len(space.grid)
        if width % heads or (width // heads) % 2 or width // heads < 2 * axes:
            raise UsageError(
                f"{heads} heads of {width / heads:g} features cannot encode positions on {axes} axes; give a width of "
                f"{heads} heads with an even number of at least {2 * axes} features each"
            )
        self.patch, self.grid = patch, tuple(cells // patch for cells in space.grid)
        self.in_channels = space.channels if in_channels is None else in_channels
        self.join = JoinField(space, condition)
        self.out_channels = space.channels if out_channels is None else out_channels
        self.input = Linear((self.in_channels + self.join.channels) * patch**axes, width)
        self.place = None if space.periodic else nn.Parameter(0.02 * torch.randn(prod(self.grid), width))
        angles = _angles(self.grid, width // heads // 2, periodic=space.periodic)
        self.register_buffer("waves", torch.stack([angles.cos(), angles.sin()]), persistent=False)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = _norm(width)
        self.output = Linear(width, self.out_channels * patch**axes)
        self.context = Context(width, condition)
        self.modulation = Linear(width, (6 * depth + 2) * width)
        for layer in (self.output, self.modulation):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def forward(
        self,
        x: Float[Tensor, "batch channels *grid"],
        t: Float[Tensor, " batch"],
        condition: Condition | None = None,
    ) -> Float[Tensor, "batch out_channels *grid"]:
        if x.shape[1] != self.in_channels:
            raise UsageError(f"the network expects fields of {self.in_channels} channels, not {x.shape[1]}")
        h = self.input(self._patches(self.join(x, condition)))
        if self.place is not None:
            h = h + self.place
        modulation = self.modulation(self.context(t, condition, len(x)))[:, None].chunk(6 * len(self.blocks) + 2, -1)
        for number, block in enumerate(self.blocks):
            h = block(h, self.waves, modulation[6 * number : 6 * number + 6])
        shift, scale = modulation[-2:]
        return self._field(self.output(torch.addcmul(shift, self.norm(h), 1 + scale)))

    def _patches(self, x: Tensor) -> Float[Tensor, "batch patches numbers"]:
        axes = len(self.grid)
        for axis, count in enumerate(self.grid):
            x = x.unflatten(2 + 2 * axis, (count, self.patch))
        places, cells = [2 + 2 * axis for axis in range(axes)], [3 + 2 * axis for axis in range(axes)]
        return x.permute(0, *places, 1, *cells).flatten(1, axes).flatten(2)

    def _field(self, h: Tensor) -> Float[Tensor, "batch channels *grid"]:
        axes = len(self.grid)
        x = h.unflatten(2, (self.out_channels, *[self.patch] * axes)).unflatten(1, self.grid)
        order = [part for axis in range(axes) for part in (1 + axis, 2 + axes + axis)]
        x = x.permute(0, 1 + axes, *order)
        for axis in range(axes):
            x = x.flatten(2 + axis, 3 + axis)
        return x


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(_norm(width) for _ in range(2))
        self.queries_keys_values = Linear(width, 3 * width)
        self.project = Linear(width, width)
        self.expand = Linear(width, 4 * width)
        self.contract = Linear(4 * width, width)

    def forward(self, h: Tensor, waves: Tensor, modulation: tuple[Tensor, ...]) -> Tensor:
        shift, scale, gate, shift_2, scale_2, gate_2 = modulation
        h = torch.addcmul(h, gate, self._attend(torch.addcmul(shift, self.norms[0](h), 1 + scale), waves))
        inner = nn.functional.gelu(
            self.expand(torch.addcmul(shift_2, self.norms[1](h), 1 + scale_2)), approximate="tanh"
        )
        return torch.addcmul(h, gate_2, self.contract(inner))

    def _attend(self, h: Tensor, waves: Tensor) -> Tensor:
        parts = self.queries_keys_values(h).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = parts.unbind(0)
        queries, keys = _turned(queries, waves), _turned(keys, waves)
        attended = nn.functional.scaled_dot_product_attention(queries, keys, values)
        return self.project(attended.transpose(1, 2).flatten(2))


def patch_for(grid: tuple[int, ...]) -> int:
    """The smallest power of two that divides the grid and leaves at most 512 patches; the largest if none does."""
    common, patch = gcd(*grid), 1
    while common % (2 * patch) == 0 and prod(cells // patch for cells in grid) > _MOST_PATCHES:
        patch *= 2
    return patch


def _angles(grid: tuple[int, ...], count: int, *, periodic: bool) -> Float[Tensor, "patches count"]:
    """Rotation angle of each pair of features at each patch; the pairs are divided among the axes."""
    parts = []
    for axis, cells in enumerate(grid):
        own = count // len(grid) + (axis < count % len(grid))
        # From the slowest wave, which distinguishes the ends, to one that distinguishes neighbours.
        numbers = torch.logspace(0, math.log10(max(1.0, cells / 2)), own, dtype=torch.float64)
        frequency = 2 * math.pi * (numbers.round() if periodic else numbers / 2) / cells
        shape = [-1 if number == axis else 1 for number in range(len(grid))]
        place = torch.arange(cells, dtype=torch.float64).reshape(*shape, 1)
        parts.append((place * frequency).expand(*grid, own))
    return torch.cat(parts, -1).flatten(0, -2).float()


def _turned(x: Float[Tensor, "batch heads patches features"], waves: Tensor) -> Tensor:
    cos, sin = waves.to(x.dtype)
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)


def _norm(width: int) -> nn.Module:
    return nn.LayerNorm(width, elementwise_affine=False)
