r"""The divergence :math:`\nabla \cdot f = \mathrm{tr}\, \partial f / \partial y` of a vector field along a flow.

It is what a continuous flow needs for its density, :math:`d \log p / dt = -\nabla \cdot f`.

- `exact_divergence`: one Jacobian-vector product a dimension, all of them batched into one call; differentiable.
- `hutchinson_divergence`: :math:`\epsilon^\top (\partial f / \partial y) \epsilon` with unit covariance of
  :math:`\epsilon`, one vector-Jacobian product whatever the dimension; unbiased if it stays the same along a solve
  (Grathwohl et al., arXiv:1810.01367).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from pushforward.dynamics.runge_kutta import VectorField
from pushforward.errors import UsageError
from pushforward.randomness import Draws

__all__ = ["exact_divergence", "hutchinson_divergence", "probe"]


def exact_divergence(field: VectorField, t: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Value (batch, ...) and divergence (batch,) of ``field`` at ``(t, y)``; samples must not mix.

    Forward mode: the dimensions are a second batch axis of one call of the field.
    """
    size = y[0].numel()
    basis = torch.eye(size, dtype=y.dtype, device=y.device).reshape(size, 1, *y.shape[1:]).expand(size, *y.shape)

    def along(direction: Tensor) -> tuple[Tensor, Tensor]:
        value, change = torch.func.jvp(lambda state: field(t, state), (y,), (direction,))  # type: ignore[misc]
        return value, (change * direction).flatten(1).sum(1)

    value, parts = torch.func.vmap(along, out_dims=(None, 0), randomness="same")(basis)  # type: ignore[arg-type]
    return value, parts.sum(0)


def hutchinson_divergence(field: VectorField, t: Tensor, y: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Value (batch, ...) and an unbiased estimate of the divergence (batch,), from a `probe` like y."""
    value, pull = torch.func.vjp(lambda state: field(t, state), y)  # type: ignore[misc]
    (pulled,) = pull(noise)
    return value, (pulled * noise).flatten(1).sum(1)


def probe(y: Tensor, draws: Draws, kind: Literal["rademacher", "gaussian"] = "rademacher") -> Tensor:
    """Random directions with unit covariance, like ``y``. Rademacher signs have the smallest variance."""
    if kind == "gaussian":
        return draws.normal(*y.shape[1:]).to(y)
    if kind != "rademacher":
        raise UsageError(f"a probe is rademacher or gaussian, not {kind!r}")
    return (draws.integers(2, *y.shape[1:]) * 2 - 1).to(y)
