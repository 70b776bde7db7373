r"""Convolution of maps with kernels of 3 x 3 cells as matrix products, with hand-written gradients.

Beside each cell stand its neighbours along a row, S[y, x] = (X[y, x - 1], X[y, x], X[y, x + 1]). The convolution is a
sum over the rows of the kernel, and each term is one product for a whole map, since its rows are adjacent in memory:

    Y[y, x] = b + \sum_d W_d S[y + d, x],      d = -1, 0, 1.

The gradient of the input is the same convolution of the gradient G with the kernel turned round; that of the weights
is a sum of products of X with the shifted copies T of G, which are needed for the former anyway:

    dX[y, x] = \sum_d V_d T[y + d, x],      dV_d = \sum_{y, x} X[y, x] T[y + d, x]^T,

where V is the turned kernel. Copies are three times as large as a map, not nine times as those of all neighbours; they
are made of a few maps at a time, at least one per thread, so that they are still in the cache when they are multiplied.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.grad import conv2d_weight

from pushforward.networks.periodic import wrap
from pushforward.tensors import is_plain, products_are_faster

__all__ = ["convolved_by_products", "suits_products"]

_CACHE_BYTES = 2**20
"""Of each thread."""
_LEAST, _LEAST_FORWARD = 16, 32
"""Smallest number of channels for gradients by products and for products alone; with fewer, convolutions are faster."""


def suits_products(x: Tensor, weight: Tensor) -> bool:
    """Whether a convolution is computed faster by products."""
    return (
        x.ndim == 4
        and x.is_cpu
        and x.dtype == weight.dtype == torch.float32
        and weight.shape[2:] == (3, 3)
        and min(weight.shape[:2]) >= _LEAST
        and not torch.is_autocast_enabled("cpu")
        and is_plain(x, weight)
        and products_are_faster()
    )


def convolved_by_products(
    x: Float[Tensor, "batch inputs y x"],
    weight: Float[Tensor, "outputs inputs 3 3"],
    bias: Float[Tensor, " outputs"] | None,
    *,
    periodic: bool,
) -> Float[Tensor, "batch outputs y x"]:
    """Convolution that keeps the grid, with channels last in memory; derivatives of every order."""
    y: Tensor = _Convolution.apply(x, weight, bias, periodic)
    return y


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, periodic: bool) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.periodic = periodic
        if min(weight.shape[:2]) < _LEAST_FORWARD:
            return torch.nn.functional.conv2d(_padded(x, periodic), weight, bias)
        return _convolved(_rows(x), weight, bias, periodic).movedim(-1, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        by_x, by_weight, by_bias, _ = ctx.needs_input_grad
        turned = weight.flip(2, 3).transpose(0, 1)
        of_x = of_weight = None
        if not torch.is_grad_enabled():
            gradients = _rows(gradient)
            of_x, of_turned = _gradients(gradients, _rows(x), turned, ctx.periodic, by_x=by_x, by_weight=by_weight)
            if of_turned is not None:
                of_weight = of_turned.flip(2, 3).transpose(0, 1)
            return of_x, of_weight, gradients.sum((0, 1, 2)) if by_bias else None, None
        # Second derivatives need operations that can be differentiated themselves.
        if by_x:
            of_x = convolved_by_products(gradient, turned, None, periodic=ctx.periodic)
        if by_weight:
            of_weight = conv2d_weight(_padded(x, ctx.periodic), list(weight.shape), gradient)
        return of_x, of_weight, gradient.sum((0, 2, 3)) if by_bias else None, None


def _padded(x: Tensor, periodic: bool) -> Tensor:
    return wrap(x, ((1, 1), (1, 1))) if periodic else torch.nn.functional.pad(x, (1, 1, 1, 1))


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, periodic: bool) -> Float[Tensor, "batch y x outputs"]:
    matrices = _matrices(weight)
    y = x.new_empty(*x.shape[:3], len(weight))
    for part, shifted in _shifted(x, periodic):
        _add_products(y[part], shifted, matrices, bias)
    return y


def _gradients(
    gradient: Tensor, x: Tensor, turned: Tensor, periodic: bool, *, by_x: bool, by_weight: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of the input, channels last in memory, and of the turned kernel."""
    matrices = _matrices(turned)
    of_x = torch.empty_like(x) if by_x else None
    inputs, outputs = turned.shape[:2]
    of_matrices = x.new_zeros(3, inputs, 3 * outputs) if by_weight else None
    for part, shifted in _shifted(gradient, periodic):
        if of_x is not None:
            _add_products(of_x[part], shifted, matrices, None)
        if of_matrices is not None:
            cells = x[part].flatten(1, 2).mT
            for row, total in enumerate(of_matrices):
                total += torch.bmm(cells, _kernel_row(shifted, row)).sum(0)
    return (
        None if of_x is None else of_x.movedim(-1, 1),
        None if of_matrices is None else of_matrices.view(3, inputs, 3, outputs).permute(1, 3, 0, 2),
    )


def _add_products(y: Tensor, shifted: Tensor, matrices: Tensor, bias: Tensor | None) -> None:
    """Write the convolution of a few maps to ``y``."""
    out = y.flatten(1, 2)
    for row, matrix in enumerate(matrices):
        start = out if row or bias is None else bias.expand_as(out)
        matrix = matrix.expand(len(out), -1, -1)
        torch.baddbmm(start, _kernel_row(shifted, row), matrix, beta=int(row > 0 or bias is not None), out=out)


def _rows(x: Tensor) -> Float[Tensor, "batch y x channels"]:
    return x.movedim(1, -1).contiguous()


def _matrices(weight: Tensor) -> Float[Tensor, "3 neighbours outputs"]:
    """One matrix per row of the kernel."""
    return weight.permute(2, 3, 1, 0).flatten(1, 2)


def _kernel_row(shifted: Float[Tensor, "maps rows x neighbours"], row: int) -> Float[Tensor, "maps cells neighbours"]:
    """The cells that a row of the kernel is multiplied with."""
    return shifted[:, row : shifted.shape[1] - 2 + row].flatten(1, 2)


def _shifted(x: Tensor, periodic: bool) -> Iterator[tuple[slice, Float[Tensor, "maps rows x neighbours"]]]:
    """A few maps at a time: their slice, and the neighbours of each cell along its row, with a row more at each end.

    The copies are overwritten by those of the next maps.
    """
    maps, rows, columns, channels = x.shape
    bytes_per_map = x.element_size() * (rows + 2) * columns * 3 * channels
    threads = torch.get_num_threads()
    count = min(maps, max(threads, threads * _CACHE_BYTES // bytes_per_map))
    space = x.new_zeros(count, rows + 2, columns, 3, channels)
    for start in range(0, maps, count):
        part = slice(start, min(maps, start + count))
        values, copies = x[part], space[: part.stop - start]
        inside = copies[:, 1:-1]
        inside[:, :, 1:, 0] = values[:, :, :-1]
        inside[:, :, :, 1] = values
        inside[:, :, :-1, 2] = values[:, :, 1:]
        if periodic:
            inside[:, :, 0, 0] = values[:, :, -1]
            inside[:, :, -1, 2] = values[:, :, 0]
            copies[:, 0] = inside[:, -1]
            copies[:, -1] = inside[:, 0]
        yield part, copies.flatten(3)
