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

from collections.abc import Iterator, Sequence
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
        and x.numel() > 0
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
    count = _maps_at_a_time(x)
    matrices = _matrices(weight, count)
    y = x.new_empty(*x.shape[:3], len(weight))
    for out, windows in zip(y.flatten(1, 2).split(count), _shifted(x, count, periodic), strict=True):
        _add_products(out, windows, matrices, bias)
    return y


def _gradients(
    gradient: Tensor, x: Tensor, turned: Tensor, periodic: bool, *, by_x: bool, by_weight: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of the input, channels last in memory, and of the turned kernel."""
    count = _maps_at_a_time(gradient)
    matrices = _matrices(turned, count)
    inputs, outputs = turned.shape[:2]
    of_x = torch.empty_like(x)
    of_matrices = x.new_zeros(3, inputs, 3 * outputs)
    parts = (each.flatten(1, 2).split(count) for each in (x, of_x))
    for cells, out, windows in zip(*parts, _shifted(gradient, count, periodic), strict=True):
        if by_x:
            _add_products(out, windows, matrices, None)
        if by_weight:
            for total, window in zip(of_matrices, windows, strict=True):
                total += torch.bmm(cells.mT, window).sum(0)
    of_turned = of_matrices.view(3, inputs, 3, outputs).permute(1, 3, 0, 2)
    return of_x.movedim(-1, 1) if by_x else None, of_turned if by_weight else None


def _add_products(out: Tensor, windows: Sequence[Tensor], matrices: Sequence[Tensor], bias: Tensor | None) -> None:
    """Write the convolution of a few maps to ``out``."""
    for row, (window, matrix) in enumerate(zip(windows, matrices, strict=True)):
        start = out if row or bias is None else bias.expand_as(out)
        torch.baddbmm(start, window, matrix, beta=int(row > 0 or bias is not None), out=out)


def _rows(x: Tensor) -> Float[Tensor, "batch y x channels"]:
    return x.movedim(1, -1).contiguous()


def _matrices(weight: Tensor, maps: int) -> Sequence[Float[Tensor, "maps neighbours outputs"]]:
    """One matrix per row of the kernel, the same for all maps."""
    return weight.permute(2, 3, 1, 0).flatten(1, 2)[:, None].expand(-1, maps, -1, -1).unbind()


def _maps_at_a_time(x: Float[Tensor, "batch y x channels"]) -> int:
    """A divisor of the number of maps: one or more per thread whose copies fit in its cache, if there are such."""
    maps, rows, columns, channels = x.shape
    threads = torch.get_num_threads()
    fitting = threads * _CACHE_BYTES // (x.element_size() * (rows + 2) * columns * 3 * channels)
    return max(n for n in range(1, min(maps, max(threads, fitting)) + 1) if maps % n == 0)


def _shifted(x: Tensor, count: int, periodic: bool) -> Iterator[Sequence[Float[Tensor, "count cells neighbours"]]]:
    """The neighbours of each cell along its row, for each row of the kernel; ``count`` maps at a time.

    The copies are overwritten by those of the next maps.
    """
    _, rows, columns, channels = x.shape
    copies = x.new_zeros(count, rows + 2, columns, 3, channels)
    inside = copies[:, 1:-1]
    left, centre, right = inside[:, :, 1:, 0], inside[:, :, :, 1], inside[:, :, :-1, 2]
    first, last, before, after = inside[:, :, 0, 0], inside[:, :, -1, 2], copies[:, 0], copies[:, -1]
    windows = [copies[:, row : rows + row].flatten(1, 2).flatten(2) for row in range(3)]
    for values in x.split(count):
        left.copy_(values[:, :, :-1])
        centre.copy_(values)
        right.copy_(values[:, :, 1:])
        if periodic:
            first.copy_(values[:, :, -1])
            last.copy_(values[:, :, 0])
            before.copy_(inside[:, -1])
            after.copy_(inside[:, 0])
        yield windows
