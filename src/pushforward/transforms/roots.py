"""Differentiable, vectorised roots of increasing functions of one variable."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["increasing_root"]

_CHECKED_EVERY = 4
_LARGEST_COUNT = 200

Increasing = Callable[[Tensor], tuple[Tensor, Tensor]]


def increasing_root(
    function: Increasing, target: Float[Tensor, "*shape"], low: Float[Tensor, "*shape"], high: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """The ``x`` between ``low`` and ``high`` with ``function(x) = target``.

    Newton's method within a bracket: if a step leaves the bracket, or the last step has not halved the residual, the
    bracket is halved instead. Each value converges at least as fast as by bisection, and quadratically in the end, to
    the rounding of ``max(1, |x|)``. Gradients with respect to ``target`` and to the dependencies of ``function`` follow
    from the implicit function theorem.

    Arguments:
        function: gives values and the logarithms of their derivatives, elementwise.
        target: values of the function.
        low, high: bracket of each root.

    >>> cube = lambda x: (x**3, (3 * x**2).log())
    >>> increasing_root(cube, torch.tensor(8.0), torch.tensor(0.0), torch.tensor(9.0))
    tensor(2.)
    """
    with torch.no_grad():
        x = _bracketed(function, target, low, high)
    if not torch.is_grad_enabled():
        return x
    value, log_derivative = function(x)
    return x + (target - value) * (-log_derivative.detach()).exp()


def _bracketed(function: Increasing, target: Tensor, low: Tensor, high: Tensor) -> Tensor:
    accuracy = 2 * torch.finfo(target.dtype).eps
    x = 0.5 * (low + high)
    last = torch.full_like(x, torch.inf)
    done = torch.zeros_like(x, dtype=torch.bool)
    for count in range(_LARGEST_COUNT):
        value, log_derivative = function(x)
        residual = value - target
        low, high = torch.where(residual <= 0, x, low), torch.where(residual >= 0, x, high)
        step = x - residual * (-log_derivative).exp()
        middle = 0.5 * (low + high)
        newton = (step >= low) & (step <= high) & (residual.abs() <= 0.5 * last)
        following = torch.where(done, x, torch.where(newton, step, middle))
        resolution = accuracy * x.abs().clamp(min=1)
        done = done | ((following - x).abs() <= resolution) | (high - low <= resolution)
        x, last = following, residual.abs()
        if count % _CHECKED_EVERY == _CHECKED_EVERY - 1 and done.all():
            break
    return x
