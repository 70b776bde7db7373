"""The contract of a generative physical process, and numerical checks of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

__all__ = ["Points", "Process", "Times", "Values", "continuity_residual", "square_norm", "transport_residual"]

Points = Float[Tensor, "batch dim"]
Times = Float[Tensor, "batch 1"]
Values = Float[Tensor, "batch 1"]


@dataclass(frozen=True)
class Process(ABC):
    """A process, by its field of a unit source at the origin at t = 0, in ``dim`` dimensions.

    Everywhere x is (batch, dim) and t (batch, 1), float64 for accurate derivatives; lengths in the unit of the data.
    """

    dim: int
    name: ClassVar[str]

    @abstractmethod
    def density(self, x: Points, t: Times) -> Values:
        """p, per volume."""

    @abstractmethod
    def flux(self, x: Points, t: Times) -> Points:
        """J."""

    def source(self, x: Points, t: Times) -> Values:
        """R, per volume and time."""
        return torch.zeros_like(t)

    def normalised(self, x: Points, t: Times) -> Values:
        """q: p over its integral."""
        return self.density(x, t)

    def velocity(self, x: Points, t: Times) -> Points:
        """u, which carries the normalised density."""
        return self.flux(x, t) / self.density(x, t)

    @abstractmethod
    def length(self, t: Tensor) -> Tensor:
        """Width of the kernel at t, up to a factor, which scales the inputs of a network."""

    def spread(self, t: Tensor) -> Tensor:
        """The root mean square of displacements, seen from a distance of 1 if they have none: the scale of errors."""
        return self.length(t)

    def draw(self, t: Times, generator: Generator | None = None) -> tuple[Points, Points]:
        """Displacements from the data point, one a row of ``t``, distributed as q, and a velocity of each.

        The mean of the velocities that lead to one place is that of `velocity`.
        """
        x = self._displacements(t, generator)
        return x, self.velocity(x, t)

    def _displacements(self, t: Times, generator: Generator | None) -> Points:
        raise NotImplementedError

    def _normal(self, t: Times, generator: Generator | None, columns: int | None = None) -> Tensor:
        return torch.randn(len(t), columns or self.dim, generator=generator, dtype=t.dtype)


def square_norm(x: Tensor) -> Values:
    """|x|^2, shape (batch, 1)."""
    return x.square().sum(1, keepdim=True)


def continuity_residual(process: Process, x: Points, t: Times) -> Values:
    """dp/dt + div J - R by automatic differentiation, over the sum of the absolute values of its terms."""
    x, t = (value.detach().clone().requires_grad_() for value in (x, t))
    change = _gradient(process.density(x, t), t)
    parts = [change, *_divergence(process.flux(x, t), x), -process.source(x, t)]
    return _relative(parts)


def transport_residual(process: Process, x: Points, t: Times) -> Values:
    """dq/dt + div(q u), in the same way: whether `velocity` carries the normalised density."""
    x, t = (value.detach().clone().requires_grad_() for value in (x, t))
    density = process.normalised(x, t)
    return _relative([_gradient(density, t), *_divergence(density * process.velocity(x, t), x)])


def _gradient(value: Tensor, of: Tensor) -> Tensor:
    return torch.autograd.grad(value.sum(), of, create_graph=True)[0]


def _divergence(field: Tensor, x: Tensor) -> list[Tensor]:
    return [_gradient(field[:, i], x)[:, i : i + 1] for i in range(x.shape[1])]


def _relative(parts: list[Tensor]) -> Tensor:
    terms = torch.stack([part.detach() for part in parts])
    return terms.sum(0) / terms.abs().sum(0).clamp_min(1e-300)
