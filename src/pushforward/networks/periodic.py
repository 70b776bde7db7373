r"""Periodic padding of a field, and its adjoint.

Padding is linear, :math:`y = W x` with a matrix of zeros and ones, so its derivative is :math:`W^\top` and the
derivative of that is :math:`W` again: two operations, each the backward pass of the other, differentiable to any order.
Both keep the channels of a cell adjacent in memory and touch each cell once. PyTorch's own circular padding does
neither, and on a CPU its backward pass costs as much as a bfloat16 convolution.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["wrap"]

Edges = tuple[tuple[int, int], ...]


def wrap(x: Float[Tensor, "batch channels *grid"], edges: Edges) -> Float[Tensor, "batch channels *padded"]:
    """The field, padded along each axis with cells from the opposite side.

    Arguments:
        x: maps or cubes.
        edges: cells to add (before, after) along each axis of the grid; at most the cells of that axis.

    >>> wrap(torch.arange(3.0).reshape(1, 1, 1, 3), ((0, 0), (1, 1))).flatten().tolist()
    [2.0, 0.0, 1.0, 2.0, 0.0]
    """
    if not any(map(any, edges)):
        return x
    return _Wrap.apply(x, edges)


class _Wrap(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, edges: Edges) -> Tensor:
        padded = [cells + sum(edge) for cells, edge in zip(x.shape[2:], edges, strict=True)]
        layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
        y = torch.empty((*x.shape[:2], *padded), dtype=x.dtype, device=x.device, memory_format=layout)
        inside = y
        for axis, (before, _) in enumerate(edges, start=2):
            inside = inside.narrow(axis, before, x.shape[axis])
        inside.copy_(x)
        # From the last axis to the first: copies along an axis include the corners filled before.
        for axis in reversed(range(2, x.ndim)):
            before, after = edges[axis - 2]
            cells = x.shape[axis]
            strip = y
            for other in range(2, axis):
                strip = strip.narrow(other, edges[other - 2][0], x.shape[other])
            if before:
                strip.narrow(axis, 0, before).copy_(strip.narrow(axis, cells, before))
            if after:
                strip.narrow(axis, before + cells, after).copy_(strip.narrow(axis, before, after))
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Edges], output: Tensor) -> None:
        ctx.edges = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Fold.apply(gradient, ctx.edges), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        return _Wrap.apply(tangent, ctx.edges)

    @staticmethod
    def vmap(info: Any, axes: tuple[int | None, None], x: Tensor, edges: Edges) -> tuple[Tensor, int]:
        return _over_batches(_Wrap, x, axes[0], edges)


class _Fold(torch.autograd.Function):
    """Adjoint of `_Wrap`: adds each edge cell to the cell that it is a copy of."""

    @staticmethod
    def forward(y: Tensor, edges: Edges) -> Tensor:
        return _fold(y, edges, axis=2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Edges], output: Tensor) -> None:
        ctx.edges = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Wrap.apply(gradient, ctx.edges), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        return _Fold.apply(tangent, ctx.edges)

    @staticmethod
    def vmap(info: Any, axes: tuple[int | None, None], y: Tensor, edges: Edges) -> tuple[Tensor, int]:
        return _over_batches(_Fold, y, axes[0], edges)


def _fold(y: Tensor, edges: Edges, axis: int) -> Tensor:
    if axis == y.ndim:
        return y.clone(memory_format=torch.channels_last if y.ndim == 4 else torch.channels_last_3d)
    before, after = edges[axis - 2]
    cells = y.shape[axis] - before - after
    x = _fold(y.narrow(axis, before, cells), edges, axis + 1)
    if before:
        x.narrow(axis, cells - before, before).add_(_fold(y.narrow(axis, 0, before), edges, axis + 1))
    if after:
        x.narrow(axis, 0, after).add_(_fold(y.narrow(axis, before + cells, after), edges, axis + 1))
    return x


def _over_batches(operation: Any, x: Tensor, axis: int | None, edges: Edges) -> tuple[Tensor, int]:
    if axis is None:
        return operation.apply(x, edges), None  # type: ignore[return-value]
    batches = x.movedim(axis, 0)
    return operation.apply(batches.flatten(0, 1), edges).unflatten(0, batches.shape[:2]), 0
