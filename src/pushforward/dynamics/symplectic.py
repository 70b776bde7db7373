r"""Symplectic steps for separable Hamiltonians :math:`H(q, p) = T(p) + V(q)`.

A composition alternates drifts :math:`q \mathrel{+}= c_i h\, \partial T/\partial p` and kicks :math:`p \mathrel{-}= d_i
h\, \partial V/\partial q`. It conserves phase-space volume exactly and bounds the energy error over very long times, in
which a Runge-Kutta method of the same order drifts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.dynamics.arguments import checked_count
from pushforward.errors import UsageError

__all__ = ["SYMPLECTIC", "Composition", "Orbit", "integrate_symplectic"]


@dataclass(frozen=True)
class Composition:
    """Coefficients of drifts and of kicks; each set sums to one.

    Attributes:
        drifts: one more than ``kicks``, since a step begins and ends with a drift.
    """

    name: str
    order: int
    drifts: tuple[float, ...]
    kicks: tuple[float, ...]
    reference: str


_OUTER = 1 / (2 - 2 ** (1 / 3))
_INNER = -(2 ** (1 / 3)) * _OUTER

SYMPLECTIC = {
    "leapfrog": Composition(
        "leapfrog", 2, (0.5, 0.5), (1.0,),
        "Verlet, Phys. Rev. 159, 98 (1967), in drift-kick-drift form",
    ),
    "yoshida4": Composition(
        "yoshida4", 4,
        (_OUTER / 2, (_OUTER + _INNER) / 2, (_OUTER + _INNER) / 2, _OUTER / 2), (_OUTER, _INNER, _OUTER),
        "Forest & Ruth, Physica D 43, 105 (1990); Yoshida, Phys. Lett. A 150, 262 (1990)",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Orbit:
    """Positions and momenta at the output times, shape ``(T, batch, ...)`` each."""

    t: Tensor
    position: Tensor
    momentum: Tensor


def integrate_symplectic(
    force: Callable[[Tensor, Tensor], Tensor],
    position: Tensor,
    momentum: Tensor,
    t: Tensor,
    *,
    steps: int,
    method: str = "leapfrog",
    mass: Tensor | float = 1.0,
) -> Orbit:
    r"""Solve :math:`\dot q = p / m,\ \dot p = F(t, q)`.

    Arguments:
        force: ``force(t, q) -> -dV/dq`` with t (batch,), q (batch, ...).
        position, momentum: initial state, shape ``(batch, ...)``.
        t: output times, shape ``(T,)``.
        steps: equal steps between consecutive output times; a symplectic method must not change its step.
        mass: a number, or a tensor that broadcasts with ``position``.

    Raises:
        UsageError: if the method is unknown, or steps is not a positive whole number.
    """
    if method not in SYMPLECTIC:
        raise UsageError(f"there is no symplectic solver called {method!r}; known solvers are {', '.join(SYMPLECTIC)}")
    checked_count("steps", steps)
    composition = SYMPLECTIC[method]
    positions, momenta = [position], [momentum]
    for start, end in itertools.pairwise(t.unbind()):
        dt = (end - start) / steps
        for i in range(steps):
            time = (start + i * dt).expand(len(position))
            for drift, kick in zip(composition.drifts, (*composition.kicks, 0.0), strict=True):
                position = position + drift * dt * momentum / mass
                time = time + drift * dt
                if kick:
                    momentum = momentum + kick * dt * force(time, position)
        positions.append(position)
        momenta.append(momentum)
    return Orbit(t, torch.stack(positions), torch.stack(momenta))
