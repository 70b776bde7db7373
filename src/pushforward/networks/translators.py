"""Networks from samples of one kind to samples of the same kind, which start as the identity.

| space    | network                                                                       |
|----------|-------------------------------------------------------------------------------|
| `Vector` | multilayer perceptron                                                         |
| `Field`  | ``unet`` (see `UNet`), or ``resnet``: residual blocks on a grid half as fine  |

Both are of maps and cubes, and wrap around where the field is periodic.

Source: Zhu et al. 2017, https://arxiv.org/abs/1703.10593, section 7.1 (residual blocks), without statistics of single
maps: what an instance norm takes away, the amplitude of a field, is what a translation has to change.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any, Literal, cast

from jaxtyping import Float
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.layers import Convolution, channels_last, grid_of, refine
from pushforward.networks.mlp import MLP
from pushforward.networks.unet import UNet
from pushforward.spaces import Field, Space, Vector

__all__ = ["TranslatorName", "translator"]

TranslatorName = Literal["unet", "resnet"]


@singledispatch
def translator(space: Space, network: TranslatorName = "unet", width: int = 32, depth: int = 4) -> nn.Module:
    """The network of a space, called as ``net(x)``.

    Arguments:
        space: a `Vector` or a `Field`.
        network: of a field.
        width: hidden features of the perceptron, or channels at the finest grid.
        depth: hidden layers, residual blocks of ``resnet``, blocks at each resolution of ``unet``.

    Raises:
        UsageError: if there is none.

    >>> import torch
    >>> from pushforward.spaces import Field
    >>> translator(Field(1, (8, 8), periodic=True), "resnet", width=8, depth=2)(torch.randn(3, 1, 8, 8)).shape
    torch.Size([3, 1, 8, 8])
    """
    raise UsageError(f"samples of {space.kind} data cannot be translated; those of vectors and fields can")


@translator.register
def _(space: Vector, network: TranslatorName = "unet", width: int = 32, depth: int = 4) -> nn.Module:
    return _Added(MLP(space.dim, space.dim, (width,) * depth, zero_output=True))


@translator.register
def _(space: Field, network: TranslatorName = "unet", width: int = 32, depth: int = 4) -> nn.Module:
    return _Added(
        _ResNet(space, width, depth) if network == "resnet" else _Timeless(UNet(space, width=width, blocks=depth))
    )


class _Added(nn.Module):
    """A network whose output, zero at the start, is added to its input."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        return x + self.network(x)

    def features(self, x: Float[Tensor, "batch *shape"]) -> list[Tensor]:
        """Features of a field at several resolutions, the finest first."""
        return list(cast(Any, self.network).features(x))


class _Timeless(nn.Module):
    """A network of a state and a time, at time zero."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x, x.new_zeros(len(x)))

    def features(self, x: Tensor) -> list[Tensor]:
        return list(cast(Any, self.network).features(x, x.new_zeros(len(x))))


class _ResNet(nn.Module):
    """Residual blocks on a grid half as fine, added to the features of the full grid; its output is zero at first."""

    def __init__(self, space: Field, width: int, depth: int) -> None:
        super().__init__()
        dims, periodic = len(grid_of(space)), space.periodic
        self.input = Convolution(dims, space.channels, width, periodic=periodic)
        self.coarsen = Convolution(dims, width, 2 * width, 4, periodic=periodic, halve=True)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, 2 * width),
                Convolution(dims, 2 * width, 2 * width, periodic=periodic),
                nn.SiLU(),
                Convolution(dims, 2 * width, 2 * width, periodic=periodic),
            )
            for _ in range(depth)
        )
        self.reduce = Convolution(dims, 2 * width, width, 1)
        self.middle = Convolution(dims, width, width, periodic=periodic)
        self.output = Convolution(dims, width, space.channels, periodic=periodic)
        for parameter in self.output.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        fine, h = self.features(x)
        h = fine + refine(self.reduce(h), x.shape[2:])
        return self.output(nn.functional.silu(self.middle(nn.functional.silu(h))))

    def features(self, x: Tensor) -> list[Tensor]:
        fine = self.input(channels_last(x))
        h = self.coarsen(nn.functional.silu(fine))
        for block in self.blocks:
            h = h + block(h)
        return [fine, h]
