r"""Stochastic differential equations :math:`dy = f(t, y)\,dt + g(t, y)\,dW`.

Two solvers, for the two interpretations of the equation:

- ``euler-maruyama`` for Ito: :math:`y' = y + f h + g \Delta W`, strong order 1/2 (1 where g is constant);
- ``heun`` for Stratonovich: :math:`\bar y = y + f h + g \Delta W`,
  :math:`y' = y + \tfrac12 (f + \bar f) h + \tfrac12 (g + \bar g) \Delta W`, strong order 1 for diagonal noise.

The noise is diagonal: one Wiener process per coordinate. Source: Kloeden & Platen, Numerical Solution of Stochastic
Differential Equations (1992), sections 10.2 and 11.1.
"""

from __future__ import annotations

import itertools
from typing import Literal

import torch
from torch import Tensor

from pushforward.dynamics.arguments import checked_count
from pushforward.dynamics.runge_kutta import VectorField
from pushforward.dynamics.term import check_callable
from pushforward.errors import UsageError
from pushforward.randomness import Draws

__all__ = ["sdeint"]


def sdeint(
    drift: VectorField,
    diffusion: VectorField,
    y0: Tensor,
    t: Tensor,
    *,
    steps: int,
    draws: Draws,
    method: Literal["euler-maruyama", "heun"] = "euler-maruyama",
) -> Tensor:
    """Paths at the output times, shape ``(T, batch, ...)``; differentiable through every step.

    Arguments:
        drift, diffusion: functions of t (batch,) and y (batch, ...), with values of the shape of y.
        y0: initial states, shape ``(batch, ...)``.
        t: output times, shape ``(T,)``, increasing or decreasing.
        steps: equal steps between consecutive output times.
        draws: source of the Wiener increments; its count is the batch size.

    Raises:
        UsageError: if the method is unknown, or steps is not a positive whole number.
    """
    if method not in ("euler-maruyama", "heun"):
        raise UsageError(f"there is no SDE solver called {method!r}; known solvers are euler-maruyama, heun")
    checked_count("steps", steps)
    check_callable("drift", drift)
    check_callable("diffusion", diffusion)
    y, states = y0, [y0]
    for start, end in itertools.pairwise(t.unbind()):
        dt = (end - start) / steps
        for i in range(steps):
            time = (start + i * dt).expand(len(y0))
            noise = draws.normal(*y0.shape[1:]) * dt.abs().sqrt()
            f, g = drift(time, y), diffusion(time, y)
            ahead = y + f * dt + g * noise
            if method == "heun":
                later = time + dt
                ahead = y + (f + drift(later, ahead)) * (dt / 2) + (g + diffusion(later, ahead)) * (noise / 2)
            y = ahead
        states.append(y)
    return torch.stack(states)
