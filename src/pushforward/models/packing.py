"""Packs of samples that a critic scores together: a lack of diversity shows in a single pack.

Source: Lin et al. 2018, "PacGAN: the power of two samples in generative adversarial networks", arXiv:1712.04086.
"""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch

from jaxtyping import Float
from torch import Tensor

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.spaces import Field, Space, Vector

__all__ = ["pack", "pack_condition", "packed_condition", "packed_space"]


@singledispatch
def packed_space(space: Space, count: int) -> Space:
    """Space of packs of ``count`` samples: concatenated vectors, or fields with ``count`` times the channels."""
    return space


@packed_space.register
def _(space: Field, count: int) -> Space:
    return replace(space, channels=count * space.channels)


@packed_space.register
def _(space: Vector, count: int) -> Space:
    return Vector(count * space.dim)


def packed_condition(condition: ConditionSpace, count: int) -> ConditionSpace:
    """Space of a pack's condition: the numbers of all its samples."""
    return replace(condition, numbers=count * condition.numbers)


def pack(x: Float[Tensor, "batch *shape"], count: int) -> Float[Tensor, "packs *packed"]:
    """Consecutive samples as packs; surplus samples at the end of the batch are dropped.

    Raises:
        UsageError: if the batch is smaller than a pack.

    >>> import torch
    >>> pack(torch.arange(6).view(6, 1), 3).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    packs = len(x) // count
    if not packs:
        raise UsageError(f"a batch of {len(x)} is smaller than a pack of {count}; raise batch_size or lower packing")
    return x[: packs * count].reshape(packs, count * x.shape[1], *x.shape[2:])


def pack_condition(condition: Condition | None, count: int) -> Condition | None:
    """Conditions of the packs of `pack`."""
    return None if condition is None else condition.map(lambda rows: pack(rows, count))
