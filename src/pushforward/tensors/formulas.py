"""Gradients of a formula, for the second derivatives of functions with hand-derived first ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["gradients_of"]


def gradients_of(
    formula: Callable[..., Any], inputs: Sequence[Any], needed: Sequence[bool], by_outputs: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    """Gradients of ``formula(*inputs)``, which can be differentiated again; called in ``backward`` with gradients on.

    Arguments:
        formula: of operations that autograd knows, with a tensor or a tuple of tensors as its value.
        inputs: as saved in ``forward``.
        needed: whether the gradient of each input is needed; None is returned for the others.
        by_outputs: gradients of the value's tensors.
    """
    # Views count as independent inputs even where one input was computed from another.
    views = [each.view_as(each) if wanted else each for each, wanted in zip(inputs, needed, strict=True)]
    outputs = formula(*views)
    wanted = [view for view, is_needed in zip(views, needed, strict=True) if is_needed]
    outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
    found = iter(torch.autograd.grad(outputs, wanted, by_outputs, create_graph=True, allow_unused=True))
    return tuple(next(found) if is_needed else None for is_needed in needed)
