r"""Bijections and their composition.

A flow is a map z = f(x | c) with an inverse, so that a density p on z gives one on x by the change of variables

    log q(x | c) = log p(f(x | c)) + log |det ∂f(x | c)/∂x|.

``forward`` runs from data to noise and ``inverse`` from noise to data; each also returns the logarithm of the absolute
Jacobian determinant *of the map that it applied*, so the two differ in sign.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.errors import UsageError

__all__ = ["Composition", "Inverse", "Transform", "check_shape"]


class Transform(nn.Module, ABC):
    """A bijection of a batch, sample by sample, that may depend on a condition.

    The condition is a vector ``(batch, features)``, or a field ``(batch, channels, *grid)`` on the grid of ``x`` or a
    finer one, or None; a transform that does not use it ignores it.
    """

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "batch *shape"], condition: Float[Tensor, "batch ..."] | None = None
    ) -> tuple[Float[Tensor, "batch *image"], Float[Tensor, " batch"]]:
        """From data to noise: ``z = f(x)`` and ``log |det ∂z/∂x|`` in nats."""

    @abstractmethod
    def inverse(
        self, z: Float[Tensor, "batch *image"], condition: Float[Tensor, "batch ..."] | None = None
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, " batch"]]:
        """From noise to data: ``x = f⁻¹(z)`` and ``log |det ∂x/∂z|`` in nats."""

    @torch.no_grad()
    def initialise(
        self, x: Float[Tensor, "batch *shape"], condition: Float[Tensor, "batch ..."] | None = None
    ) -> Float[Tensor, "batch *image"]:
        """Set data-dependent initial values from a first batch; returns that batch transformed."""
        return self(x, condition)[0]


def check_shape(x: Tensor, shape: tuple[int, ...]) -> None:
    """Raise unless the shape of each sample of a batch begins with ``shape``.

    Without this check, a batch of one feature would be broadcast, and its determinant wrong.

    Raises:
        UsageError: if it does not.
    """
    if tuple(x.shape[1 : 1 + len(shape)]) != shape:
        expected = ", ".join(map(str, ("batch", *shape)))
        raise UsageError(f"a transform of samples ({expected}) was given a batch of shape {tuple(x.shape)}")


class Composition(Transform):
    """Composition ``f = f_n ∘ ... ∘ f_1`` of transforms; the log-determinants add.

    Arguments:
        transforms: in the order of ``forward``.
    """

    def __init__(self, transforms: Iterable[Transform]) -> None:
        super().__init__()
        self.transforms = nn.ModuleList(transforms)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        total = x.new_zeros(len(x))
        for transform in self._chain():
            x, log_abs_det = transform(x, condition)
            total = total + log_abs_det
        return x, total

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        total = z.new_zeros(len(z))
        for transform in reversed(self._chain()):
            z, log_abs_det = transform.inverse(z, condition)
            total = total + log_abs_det
        return z, total

    @torch.no_grad()
    def initialise(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        for transform in self._chain():
            x = transform.initialise(x, condition)
        return x

    def _chain(self) -> list[Transform]:
        return cast("list[Transform]", list(self.transforms))


class Inverse(Transform):
    """Inverse of a transform: ``forward`` is its inverse, and ``inverse`` its forward map.

    Arguments:
        transform: the transform to invert.
    """

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.transform.inverse(x, condition)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.transform(z, condition)
