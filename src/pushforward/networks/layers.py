"""Convolutions of maps and cubes, periodic or not."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.networks.periodic import wrap
from pushforward.networks.shifted_products import convolved_by_products, suits_products
from pushforward.spaces import Field
from pushforward.tensors import linear, products_are_faster

__all__ = ["Convolution", "channels_last", "coarser", "grid_of", "refine"]

_CONVOLUTIONS: dict[int, Any] = {2: nn.Conv2d, 3: nn.Conv3d}
# Largest number of output channels for which a convolution is computed as a matrix product and a sum.
_FEW = 4
_FORMATS = {2: torch.channels_last, 3: torch.channels_last_3d}


class Convolution(nn.Module):
    """Convolution that keeps the grid, or halves it (rounding up), and wraps around if the field is periodic.

    Shape (batch, inputs, *grid) to (batch, outputs, *grid), or with ``halve`` to ceil(grid / 2). A field that is not
    periodic is padded with zeros.

    Arguments:
        dims: axes of the grid, 2 or 3.
        inputs, outputs: channels.
        kernel: cells along each axis; odd, or even with ``halve``.
        periodic: whether the field is periodic.
        halve: take every second cell along each axis.
        bias: add a constant to each channel.

    Raises:
        UsageError: unless the grid has two or three axes.
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
            raise UsageError(f"convolutional networks need a grid of two or three axes, not {dims}")
        self.dims = dims
        self.kernel = kernel
        self.periodic = periodic
        self.halve = halve
        self.convolution = _CONVOLUTIONS[dims](inputs, outputs, kernel, stride=2 if halve else 1, bias=bias)
        self.convolution.weight.data = channels_last(self.convolution.weight.data)

    def forward(self, x: Float[Tensor, "batch inputs *grid"]) -> Float[Tensor, "batch outputs *coarse"]:
        if x.is_cpu and not self.halve:
            if self.kernel == 1 and not torch.is_autocast_enabled("cpu"):
                return self._of_each_cell(x)
            if self.kernel % 2 and self.kernel > 1 and self.convolution.out_channels <= _FEW:
                return self._to_few_channels(x)
            if suits_products(x, self.convolution.weight):
                weight, bias = self.convolution.weight, self.convolution.bias
                return convolved_by_products(x, weight, bias, periodic=self.periodic)
        if self._takes_whole_cells(x):
            return self._of_coarse_cells(x)
        total = self.kernel - (2 if self.halve else 1)
        before = total // 2
        edges = tuple((before, total - before + (cells % 2 if self.halve else 0)) for cells in x.shape[2:])
        if self.periodic:
            x = wrap(x, edges)
        elif any(map(any, edges)):
            x = nn.functional.pad(x, [cells for edge in reversed(edges) for cells in edge])
        return self.convolution(x)

    def _takes_whole_cells(self, x: Tensor) -> bool:
        """Whether each output is a product of the cells within one of the coarse grid, by the faster library."""
        return (
            self.halve
            and self.kernel == 2
            and not any(cells % 2 for cells in x.shape[2:])
            and x.is_cpu
            and x.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and products_are_faster()
        )

    def _of_coarse_cells(self, x: Tensor) -> Tensor:
        weight, bias = self.convolution.weight, self.convolution.bias
        pairs = x.movedim(1, -1)
        for axis in range(self.dims, 0, -1):
            pairs = pairs.unflatten(axis, (-1, 2))
        order = [0, *range(1, 2 * self.dims, 2), *range(2, 2 * self.dims + 1, 2), 2 * self.dims + 1]
        return linear(pairs.permute(order).flatten(self.dims + 1), weight.movedim(1, -1).flatten(1), bias).movedim(
            -1, 1
        )

    def _of_each_cell(self, x: Tensor) -> Tensor:
        """Matrix product, which in single precision takes half the time and keeps channels last in cubes too."""
        weight, bias = self.convolution.weight, self.convolution.bias
        return linear(x.movedim(1, -1), weight.flatten(1), bias).movedim(-1, 1)

    def _to_few_channels(self, x: Tensor) -> Tensor:
        """Contributions of each cell to its neighbours by one matrix product, then their sum along one axis after the
        other: a third of the time of a convolution, whose kernels suit many channels. Sums are in single precision."""
        weight, bias = self.convolution.weight, self.convolution.bias
        parts = linear(weight.movedim(1, -1).flatten(0, -2), x.movedim(1, -1).flatten(0, -2))
        y = parts.to(weight.dtype).unflatten(1, (len(x), *x.shape[2:])).unflatten(0, (-1, *[self.kernel] * self.dims))
        for axis in range(-1, -1 - self.dims, -1):
            shifts = range(self.kernel // 2, -1 - self.kernel // 2, -1)
            slices = y.unbind(self.dims + 1 + axis)
            y = sum(self._shifted(part, shift, axis) for part, shift in zip(slices, shifts, strict=True))
        y = y.movedim(0, 1)
        return y if bias is None else y + bias.view(-1, *[1] * self.dims)

    def _shifted(self, x: Tensor, shift: int, axis: int) -> Tensor:
        """The values shifted by ``shift`` cells."""
        if self.periodic or not shift:
            return x.roll(shift, axis) if shift else x
        return nn.functional.pad(x, [0, 0] * (-1 - axis) + [shift, -shift])


def channels_last(x: Tensor) -> Tensor:
    """The same values with the channels of a cell adjacent in memory, which CPU and GPU convolve faster."""
    return x.contiguous(memory_format=_FORMATS[x.ndim - 2])


def coarser(grid: tuple[int, ...]) -> tuple[int, ...]:
    """The grid after one halving, rounding up."""
    return tuple((cells + 1) // 2 for cells in grid)


def refine(x: Float[Tensor, "batch channels *coarse"], grid: tuple[int, ...]) -> Float[Tensor, "batch channels *grid"]:
    """Nearest-neighbour refinement to ``grid``."""
    return nn.functional.interpolate(x, size=grid, mode="nearest")


def grid_of(space: Field) -> tuple[int, ...]:
    """The grid of a field; raises unless it can be convolved."""
    if len(space.grid) not in _CONVOLUTIONS:
        raise UsageError(f"convolutional networks need a grid of two or three axes, not {len(space.grid)}")
    return space.grid
