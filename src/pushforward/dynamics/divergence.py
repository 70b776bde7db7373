r"""The divergence :math:`\nabla \cdot f = \mathrm{tr}\, \partial f / \partial y` of a vector field along a flow.

It is what a continuous flow needs for its density, :math:`d \log p / dt = -\nabla \cdot f`.

- `exact_divergence`: one Jacobian-vector product a dimension, all of them batched into one call; differentiable.
- `hutchinson_divergence`: :math:`\epsilon^\top (\partial f / \partial y) \epsilon` with unit covariance of
  :math:`\epsilon`, one vector-Jacobian product whatever the dimension; unbiased if it stays the same along a solve
  (Grathwohl et al., arXiv:1810.01367).
- `probed_divergence`: one vector-Jacobian product per probe, the probes shared by all samples and kept for good: unit
  vectors, which are exact, or a few vectors of signs. Memory does not grow with their number; no gradient.
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


def trace_probes(shape: Sequence[int], exact_up_to: int = 64, count: int = 1, seed: int = 0) -> Tensor:
    """Vectors e such that the mean over them of ``size / |e|^2  e . J e`` is the trace of J, or estimates it.

    Returns:
        the unit vectors if there are at most ``exact_up_to`` dimensions, otherwise ``count`` vectors of random signs;
        shape (probes, *shape).
    """
    size = math.prod(shape)
    if size <= exact_up_to:
        return torch.eye(size).reshape(size, *shape)
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, (count, *shape), generator=generator).mul_(2).sub_(1).float()


def probed_divergence(field: Callable[[Tensor], Tensor], z: Tensor, probes: Tensor) -> tuple[Tensor, Tensor]:
    """A vector field and its divergence.

    Arguments:
        field: from (batch, *shape) to the same shape, each sample on its own.
        z: where, shape (batch, *shape).
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
    # Unit vectors add up to the trace, vectors of signs average to it.
    size = z[0].numel()
    weight = size / float(probes.square().sum())
    return value.detach(), total * weight
