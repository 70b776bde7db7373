"""Derivatives of a gradient, for the gradients that are not made of differentiable steps.

The adjoint and the checkpointed gradient are computed without a graph. When somebody differentiates one of them again,
as a loss on forces does, the solve is taken once more with the direct gradient, which can be: exact, in memory that
grows with the number of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pushforward.dynamics.solution import Solution

__all__ = ["differentiable_gradients"]


def differentiable_gradients(
    solve: Callable[[Tensor, Tensor], Solution],
    y0: Tensor,
    times: Tensor,
    parameters: Sequence[Tensor],
    gradient: Tensor,
) -> tuple[Tensor | None, ...]:
    """Gradients for ``(y0, times, *parameters)`` that know their own graph; None for what wants none.

    Arguments:
        solve: the forward solve, ``solve(y0, times)``.
        gradient: of the loss with respect to the outputs ``(T, batch, ...)``.
    """
    inputs = (y0, times, *parameters)
    wanted = [x for x in inputs if x.requires_grad]
    with torch.enable_grad():
        again = solve(y0, times).y
    found = iter(torch.autograd.grad(again, wanted, gradient, create_graph=True, allow_unused=True))
    return tuple(next(found) if x.requires_grad else None for x in inputs)
