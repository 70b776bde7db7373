"""Convolutions of maps and cubes that know whether the field wraps around."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.periodic import wrap
from pushforward.spaces import Field

__all__ = ["Convolution", "channels_last", "coarser", "grid_of", "refine"]

_CONVOLUTIONS: dict[int, Any] = {2: nn.Conv2d, 3: nn.Conv3d}
_FORMATS = {2: torch.channels_last, 3: torch.channels_last_3d}


class Convolution(nn.Module):
    """A convolution that keeps the grid, or halves it (rounding up), and wraps around where the field is periodic.

    Shape (batch, inputs, *grid) to (batch, outputs, *grid), or with ``halve`` to ceil(grid / 2). Where the field is not
    periodic it is continued by zeros.

    Arguments:
        dims: axes of the grid, 2 or 3.
        inputs, outputs: channels.
        kernel: cells along each axis; odd, or even together with ``halve``.
        periodic: whether the field wraps around.
        halve: take every second cell along each axis.
        bias: add a constant to each channel.

    Raises:
        UsageError: if the grid has neither two nor three axes.
    """

    def __init__(
        self,
        dims: int,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        *,
        periodic: bool = False,
        halve: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if dims not in _CONVOLUTIONS:
            raise UsageError(f"convolutional networks are for grids of two or three axes, not {dims}")
        self.dims = dims
        self.kernel = kernel
        self.periodic = periodic
        self.halve = halve
        self.convolution = _CONVOLUTIONS[dims](inputs, outputs, kernel, stride=2 if halve else 1, bias=bias)
        self.convolution.weight.data = channels_last(self.convolution.weight.data)

    def forward(self, x: Float[Tensor, "batch inputs *grid"]) -> Float[Tensor, "batch outputs *coarse"]:
        total = self.kernel - (2 if self.halve else 1)
        before = total // 2
        edges = tuple((before, total - before + (cells % 2 if self.halve else 0)) for cells in x.shape[2:])
        if self.periodic:
            x = wrap(x, edges)
        elif any(map(any, edges)):
            x = nn.functional.pad(x, [cells for edge in reversed(edges) for cells in edge])
        return self.convolution(x)


def channels_last(x: Tensor) -> Tensor:
    """The same values with the channels of a cell side by side in memory, which CPU and GPU convolve faster."""
    return x.contiguous(memory_format=_FORMATS[x.ndim - 2])


def coarser(grid: tuple[int, ...]) -> tuple[int, ...]:
    """The grid after one halving, rounded up."""
    return tuple((cells + 1) // 2 for cells in grid)


def refine(x: Float[Tensor, "batch channels *coarse"], grid: tuple[int, ...]) -> Float[Tensor, "batch channels *grid"]:
    """Nearest-neighbour refinement to ``grid``."""
    return nn.functional.interpolate(x, size=grid, mode="nearest")


def grid_of(space: Field) -> tuple[int, ...]:
    """The grid of a field, checked to be one that can be convolved."""
    if len(space.grid) not in _CONVOLUTIONS:
        raise UsageError(f"convolutional networks are for grids of two or three axes, not {len(space.grid)}")
    return space.grid
