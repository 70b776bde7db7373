r"""Equal leapfrog steps of Hamiltonians that do not depend on time, of a length of its own for each sample.

A step of :math:`\dot q = \alpha p,\ \dot p = \beta F(q)` over a time :math:`h` is

.. math::
    p \mathrel{+}= \tfrac12 h \beta F(q), \qquad q \mathrel{+}= h \alpha p, \qquad p \mathrel{+}= \tfrac12 h \beta F(q),

which is reversible and keeps phase-space volume. Half kicks that follow each other are joined, and the force at the end
is returned, so that a chain of trajectories evaluates it once per step. `integrate_kick_drift` is the same for factors
that change with time.

Reference: Duane, Kennedy, Pendleton & Roweth, Phys. Lett. B 195, 216 (1987), for Hybrid Monte Carlo.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from pushforward.dynamics.arguments import checked_count

__all__ = ["Leap", "leapfrog"]


class Leap(NamedTuple):
    """End of a trajectory: position, momentum and force, shape ``(batch, ...)`` each."""

    position: Tensor
    momentum: Tensor
    force: Tensor


def leapfrog(
    force: Callable[[Tensor], Tensor],
    position: Float[Tensor, "batch *shape"],
    momentum: Float[Tensor, "batch *shape"],
    *,
    steps: int,
    drift: Tensor | float,
    kick: Tensor | float,
    start: Float[Tensor, "batch *shape"] | None = None,
) -> Leap:
    r"""The end of ``steps`` leapfrog steps.

    Arguments:
        force: ``force(q) -> F`` with q, F (batch, ...).
        position, momentum: initial state, shape ``(batch, ...)``.
        steps: how many.
        drift, kick: :math:`h \alpha` and :math:`h \beta`, numbers or tensors that broadcast with ``position``.
        start: the force at ``position``, where it is known.

    Raises:
        UsageError: if steps is no positive whole number.

    Example:
        >>> import torch
        >>> q, p = torch.ones(1, 1), torch.zeros(1, 1)
        >>> end = leapfrog(lambda q: -q, q, p, steps=100, drift=0.062831853, kick=0.062831853)
        >>> bool((end.position - 1).abs() < 1e-3)
        True
    """
    checked_count("steps", steps)
    half = kick / 2
    now = force(position) if start is None else start
    momentum = momentum + half * now
    for number in range(steps):
        position = position + drift * momentum
        now = force(position)
        momentum = momentum + (kick if number < steps - 1 else half) * now
    return Leap(position, momentum, now)
