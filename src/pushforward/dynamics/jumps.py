"""Vector fields with jumps at known times, solved piece by piece; each piece ends just before a jump.

No step crosses a jump and no stage is evaluated at one, so the field's value at the jump itself does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from pushforward.dynamics.events import Event, side_of
from pushforward.dynamics.runge_kutta import over
from pushforward.dynamics.solution import Solution, Statistics, Status
from pushforward.tensors import is_wrapped

__all__ = ["solve_piecewise"]


def solve_piecewise(
    solve: Callable[[Tensor, Tensor], Solution],
    y0: Tensor,
    times: Tensor,
    jumps: Tensor,
    event: Event | None = None,
    args: tuple[Tensor, ...] = (),
) -> Solution:
    """The solution from ``times[:, 0]`` to ``times[:, -1]``.

    Arguments:
        solve: ``solve(y0, times)``, a solve without jumps.
        times: outputs, shape ``(batch, T)``, not decreasing.
        jumps: shape ``(batch, J)``; those outside the times are ignored.
        event: function of (t, y, *args) that stops samples; it may fall on a jump.
    """
    first, last = times[:, :1].detach(), times[:, -1:].detach()
    if not is_wrapped(jumps):
        jumps = jumps[:, ((jumps >= first) & (jumps <= last)).any(0)]
    jumps = torch.minimum(torch.maximum(jumps, first), last).sort(1).values
    bounds = [times[:, 0], *jumps.unbind(1), times[:, -1]]
    size = torch.maximum(times.detach().abs().amax(1), (last - first)[:, 0])
    gap = torch.finfo(times.dtype).eps * size
    total: Solution | None = None
    for k, (begin, finish) in enumerate(pairwise(bounds)):
        start = begin if k == 0 else torch.minimum(begin + gap, times[:, -1])
        stop = finish if k == len(bounds) - 2 else torch.maximum(finish - gap, start)
        if total is None:
            state = y0
        else:
            total = _stopped_by(event, total, start, args) if event is not None else total
            state, going = total.y_end, total.status == Status.SUCCESS
            # stopped samples wait at the time where they stopped
            start, stop = torch.where(going, start, total.t_end), torch.where(going, stop, total.t_end)
        within = [torch.minimum(torch.maximum(inner, start), stop) for inner in times[:, 1:-1].unbind(1)]
        part = solve(state, torch.stack([start, *within, stop], 1))
        here = (times > begin[:, None]) & (times <= finish[:, None])
        total = _first(part, times, here) if total is None else _joined(total, part, here)
    assert total is not None
    return replace(total, t=times)


def _stopped_by(event: Event, total: Solution, start: Tensor, args: tuple[Tensor, ...]) -> Solution:
    """The solution so far; samples with an event between the end of a piece and the next one are stopped."""
    with torch.no_grad():
        before, after = (side_of(event(t, total.y_end, *args)) for t in (total.t_end, start))
    crossed = (total.status == Status.SUCCESS) & (before != after) & ~after.isnan()
    return replace(total, status=torch.where(crossed, Status.EVENT, total.status))


def _first(part: Solution, times: Tensor, here: Tensor) -> Solution:
    if times.shape[1] == 1:
        return part
    at_start = (times == times[:, :1]) | here
    return replace(part, y=_chosen(at_start, part.y, torch.full_like(part.y, torch.nan)))


def _joined(total: Solution, part: Solution, here: Tensor) -> Solution:
    going = total.status == Status.SUCCESS
    stats = Statistics(
        total.stats.evaluations + part.stats.evaluations,
        total.stats.accepted + part.stats.accepted,
        total.stats.rejected + part.stats.rejected,
    )
    dense = None
    if total.dense is not None and part.dense is not None:
        dense = total.dense.followed_by(part.dense)
    return Solution(
        t=total.t,
        y=_chosen(here & going[:, None], part.y, total.y),
        stats=stats,
        status=torch.where(going, part.status, total.status),
        t_end=torch.where(going, part.t_end, total.t_end),
        y_end=torch.where(over(going, part.y_end), part.y_end, total.y_end),
        last_step=torch.where(going, part.last_step, total.last_step),
        dense=dense,
    )


def _chosen(where: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Outputs (T, batch, ...): ``a`` at the times ``where`` (batch, T), ``b`` elsewhere."""
    return torch.where(where.T.reshape(where.T.shape + (1,) * (a.dim() - 2)), a, b)
