"""Fixed steps: the same number for every sample between consecutive output times.

No decision in the loop depends on a value, so it compiles, batches and differentiates like any network.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from pushforward.dynamics.integrate import Accepted
from pushforward.dynamics.runge_kutta import VectorField, rk_step, rows
from pushforward.dynamics.solution import Dense, Solution, Statistics, Status
from pushforward.dynamics.stepper import bind
from pushforward.dynamics.tableau import Tableau

__all__ = ["integrate_fixed"]


def integrate_fixed(
    tableau: Tableau,
    field: VectorField,
    y0: Tensor,
    times: Tensor,
    args: tuple[Tensor, ...] = (),
    *,
    steps: int,
    dense: bool = False,
    on_accept: Accepted | None = None,
) -> Solution:
    """Solve with ``steps`` steps between consecutive output times (batch, T), in either direction."""
    field = bind(field, args)
    y, slope = y0, None
    states = [y0]
    trajectory = Dense() if dense else None
    dt = torch.zeros_like(times[:, 0])
    for start, end in pairwise(times.unbind(1)):
        dt = (end - start) / steps
        for i in range(steps):
            t = start + i * dt
            step = rk_step(tableau, field, t, y, dt, slope, with_end=dense)
            if on_accept is not None:
                on_accept(t, y, dt, t + dt)
            y, slope = step.y1, step.end
            if trajectory is not None:
                trajectory.append(step, step.dt)
        states.append(y)
    taken = torch.full_like(times[:, 0], steps * (times.shape[1] - 1), dtype=torch.int64)
    stats = Statistics(taken * tableau.calls + tableau.first_same_as_last, taken, torch.zeros_like(taken))
    finite = torch.isfinite(rows(y)).all(1)
    status = torch.where(finite, Status.SUCCESS, Status.NOT_FINITE)
    return Solution(times, torch.stack(states), stats, status, times[:, -1], y, dt.detach(), trajectory)
