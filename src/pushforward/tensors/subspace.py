"""Subspace on which a density is defined: for centred particles, that with the centre of mass at the origin."""

from __future__ import annotations

from functools import singledispatch

from torch import Tensor

from pushforward.spaces import Particles, Space

__all__ = ["centre", "degrees"]


@singledispatch
def centre(space: Space, x: Tensor) -> Tensor:
    """Orthogonal projection of samples or vectors ``x (batch, *shape)`` onto the subspace of the samples."""
    return x


@centre.register
def _(space: Particles, x: Tensor) -> Tensor:
    return x - x.mean(-2, keepdim=True) if space.centred else x


@singledispatch
def degrees(space: Space) -> int:
    """Dimension of the subspace of the samples."""
    return space.size


@degrees.register
def _(space: Particles) -> int:
    return space.degrees
