r"""Leapfrog in kick-drift-kick form, for Hamiltonians whose kinetic and potential parts change with time.

With :math:`\dot q = \alpha(t)\, p` and :math:`\dot p = \beta(t)\, F(t, q)`, as in an expanding universe, a step from
:math:`t_0` to :math:`t_1` over its middle :math:`t_m` is

.. math::
    p \mathrel{+}= K(t_0, t_m; t_0)\, F(t_0, q), \qquad
    q \mathrel{+}= D(t_0, t_1; t_m)\, p, \qquad
    p \mathrel{+}= K(t_m, t_1; t_1)\, F(t_1, q).

The caller supplies the factors :math:`D(t, t'; t_{at}) \approx \int_t^{t'} \alpha\, dt` and
:math:`K(t, t'; t_{at}) \approx \int_t^{t'} \beta\, dt`: the integrals themselves (Quinn et al. 1997,
arXiv:astro-ph/9710043), or factors that also account for the change of p and F between their evaluation, at
:math:`t_{at}`, and the ends of the step (Feng et al. 2016, arXiv:1603.00476). Each kick and drift is a shear of phase
space, so a step is symplectic; a step back undoes it exactly if the factors are antisymmetric in their ends. The force
is evaluated once per step, and once more at the start.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pushforward.dynamics.symplectic import Orbit
from pushforward.errors import UsageError

__all__ = ["Factor", "Force", "integrate_kick_drift"]

Force = Callable[[Tensor, Tensor], Tensor]
"""``force(t, q) -> F`` with t (batch,) and q, F (batch, ...)."""
Factor = Callable[[float, float, float], Tensor | float]
"""``factor(start, end, at)``: a number, or a tensor that broadcasts with positions."""


def integrate_kick_drift(
    force: Force,
    position: Float[Tensor, "batch *shape"],
    momentum: Float[Tensor, "batch *shape"],
    t: Float[Tensor, " T"],
    *,
    steps: int | Sequence[int],
    drift: Factor,
    kick: Factor,
    gradient: Literal["direct", "checkpointed"] = "direct",
) -> Orbit:
    r"""Solve :math:`\dot q = \alpha(t)\, p,\ \dot p = \beta(t)\, F(t, q)` for a batch with common times.

    Arguments:
        force: ``force(t, q)`` with t (batch,), q (batch, ...).
        position, momentum: initial state, shape ``(batch, ...)``.
        t: output times, shape ``(T,)``, in either direction; the first is the time of the initial state.
        steps: equal steps between consecutive output times, one number for all intervals or one per interval.
        drift, kick: the factors D and K, functions of the start and the end of the interval and of the time at which
            the momentum or the force is known.
        gradient: ``direct`` keeps every intermediate tensor of the forces; ``checkpointed`` keeps only the states, 2
            per step, and computes each force again in the backward pass.

    Returns:
        Positions and momenta at the output times, shape ``(T, batch, ...)`` each.

    Raises:
        UsageError: unless every interval has a step, or if the gradient is unknown.

    Example:
        >>> t = torch.tensor([0.0, 6.2831853])
        >>> unit = lambda start, end, at: end - start
        >>> q, p = torch.ones(1, 1), torch.zeros(1, 1)
        >>> path = integrate_kick_drift(lambda t, q: -q, q, p, t, steps=100, drift=unit, kick=unit)
        >>> bool((path.position[-1] - 1).abs().max() < 1e-3)
        True
    """
    counts = list(steps) if isinstance(steps, Sequence) else [steps] * (len(t) - 1)
    if len(counts) != len(t) - 1 or not all(isinstance(count, int) and count >= 1 for count in counts):
        raise UsageError(f"steps is {steps} for {len(t)} output times; give at least one step per interval")
    if gradient not in ("direct", "checkpointed"):
        raise UsageError(f"gradient must be direct or checkpointed, not {gradient!r}")

    def pull(time: float, q: Tensor) -> Tensor:
        at = q.new_full((len(q),), time)
        if gradient == "direct" or not torch.is_grad_enabled():
            return force(at, q)
        return checkpoint(force, at, q, use_reentrant=False)

    times = [float(each) for each in t]
    positions, momenta = [position], [momentum]
    now = pull(times[0], position)
    for count, (first, last) in zip(counts, itertools.pairwise(times), strict=True):
        # intervals end exactly at the output times, so that a reversed path retraces the same numbers
        knots = [first + i * (last - first) / count for i in range(count)] + [last]
        for start, end in itertools.pairwise(knots):
            middle = (start + end) / 2
            momentum = momentum + kick(start, middle, start) * now
            position = position + drift(start, end, middle) * momentum
            now = pull(end, position)
            momentum = momentum + kick(middle, end, end) * now
        positions.append(position)
        momenta.append(momentum)
    return Orbit(t, torch.stack(positions), torch.stack(momenta))
