r"""The divergence :math:`\nabla \cdot f = \mathrm{tr}\, \partial f / \partial y` of a vector field along a flow.

A continuous flow needs it for its density, :math:`d \log p / dt = -\nabla \cdot f`.

- `exact_divergence`: one Jacobian-vector product per dimension, batched into one call; differentiable.
- `hutchinson_divergence`: :math:`\epsilon^\top (\partial f / \partial y) \epsilon` with unit covariance of
  :math:`\epsilon`, one vector-Jacobian product in any dimension; unbiased if :math:`\epsilon` is fixed along a solve
  (Grathwohl et al., arXiv:1810.01367).
- `probed_divergence`: one vector-Jacobian product per probe. The probes are fixed and shared by all samples: unit
  vectors, which are exact, or a few vectors of random signs. Memory does not grow with their number; no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from pushforward.dynamics.runge_kutta import VectorField
from pushforward.errors import UsageError
from pushforward.randomness import Draws

__all__ = ["exact_divergence", "hutchinson_divergence", "probe", "probed_divergence", "trace_probes"]


def exact_divergence(field: VectorField, t: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Value (batch, ...) and divergence (batch,) of ``field`` at ``(t, y)``; samples must not mix.

    Forward mode: the dimensions form a second batch axis in one call of the field.
    """
    size = y[0].numel()
    basis = torch.eye(size, dtype=y.dtype, device=y.device).reshape(size, 1, *y.shape[1:]).expand(size, *y.shape)

    def along(direction: Tensor) -> tuple[Tensor, Tensor]:
        value, change = torch.func.jvp(lambda state: field(t, state), (y,), (direction,))  # type: ignore[misc]
        return value, (change * direction).flatten(1).sum(1)

    value, parts = torch.func.vmap(along, out_dims=(None, 0), randomness="same")(basis)  # type: ignore[arg-type]
    return value, parts.sum(0)


def hutchinson_divergence(field: VectorField, t: Tensor, y: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Value (batch, ...) and an unbiased estimate of the divergence (batch,), from a `probe` of the shape of y."""
    value, pull = torch.func.vjp(lambda state: field(t, state), y)  # type: ignore[misc]
    (pulled,) = pull(noise)
    return value, (pulled * noise).flatten(1).sum(1)


def probe(y: Tensor, draws: Draws, kind: Literal["rademacher", "gaussian"] = "rademacher") -> Tensor:
    """Random directions with unit covariance, shaped like ``y``. Rademacher signs have the smallest variance."""
    if kind == "gaussian":
        return draws.normal(*y.shape[1:]).to(y)
    if kind != "rademacher":
        raise UsageError(f"kind of probe must be rademacher or gaussian, not {kind!r}")
    return (draws.integers(2, *y.shape[1:]) * 2 - 1).to(y)


def trace_probes(shape: Sequence[int], exact_up_to: int = 64, count: int = 1, seed: int = 0) -> Tensor:
    """Vectors e whose mean of ``size / |e|^2  e . J e`` is the trace of J or an unbiased estimate of it.

    Returns:
        the unit vectors in up to ``exact_up_to`` dimensions, otherwise ``count`` vectors of random signs; shape
        (probes, *shape).
    """
    size = math.prod(shape)
    if size <= exact_up_to:
        return torch.eye(size).reshape(size, *shape)
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, (count, *shape), generator=generator).mul_(2).sub_(1).float()


def probed_divergence(field: Callable[[Tensor], Tensor], z: Tensor, probes: Tensor) -> tuple[Tensor, Tensor]:
    """A vector field and its divergence.

    Arguments:
        field: maps (batch, *shape) to the same shape; samples must not mix.
        z: points, shape (batch, *shape).
        probes: from `trace_probes`, shape (probes, *shape).

    Returns:
        the field at ``z``, and its divergence, shape (batch,).
    """
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        value = field(z)
        total = torch.zeros(len(z), dtype=z.dtype, device=z.device)
        for i, probe in enumerate(probes):
            last = i == len(probes) - 1
            (row,) = torch.autograd.grad(value, z, probe.expand_as(value), retain_graph=not last)
            total += (row * probe).flatten(1).sum(1)
    # the sum over unit vectors is the trace, the mean over sign vectors estimates it
    size = z[0].numel()
    weight = size / float(probes.square().sum())
    return value.detach(), total * weight
