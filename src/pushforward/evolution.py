"""States moved in time by a model, a few simulations at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.conditions import Condition
from pushforward.errors import UsageError
from pushforward.spaces import Space, Trajectory

__all__ = ["Physics", "evolve", "evolved_space"]

Physics = Literal["corrected", "uncorrected", "resolved"]
"""With what was learnt, without it, or without it but as finely resolved as can be afforded."""
_METHODS = {"corrected": "evolve", "uncorrected": "uncorrected", "resolved": "resolved"}
# Numbers of all states that are moved together: a few simulations of 32^3 particles.
_TOGETHER = 2**20


@torch.no_grad()
def evolve(
    model: Any,
    initial: Float[Tensor, "n *state"],
    times: Float[Tensor, " T"],
    condition: Condition | None = None,
    *,
    physics: Physics = "corrected",
    device: torch.device | str = "cpu",
) -> Float[Tensor, "n T *state"]:
    """States at several times, in network units, on the CPU.

    Arguments:
        model: an `Evolver`; for other physics than ``corrected`` also a `Corrected`.
        initial: states at the first of the times.
        times: in one direction.
        condition: one row per state.
        physics: of the evolution.

    Raises:
        UsageError: if times go back and forth, are fewer than two, or states are not finite in the end.
    """
    steps = times.diff()
    if times.dim() != 1 or len(times) < 2 or not bool((steps > 0).all() | (steps < 0).all()):
        raise UsageError(
            f"give two times or more, in one direction, the first that of the states; got {times.tolist()}"
        )
    move = getattr(model, _METHODS[physics])
    size = max(1, _TOGETHER // max(1, initial[0].numel())) if len(initial) else 1
    parts = [
        move(
            initial[row : row + size].to(device),
            times,
            None if condition is None else condition[row : row + size].to(device),
        ).cpu()
        for row in range(0, len(initial), size)
    ]
    states = torch.cat(parts)
    if not bool(torch.isfinite(states).all()):
        raise UsageError("the evolved states are not finite: are the initial states those of the data trained on?")
    return states


def evolved_space(states: Space, learnt: Space, times: str | None = None) -> Trajectory:
    """The space of trajectories that start at the first time of given ones.

    Arguments:
        states: of the given trajectories.
        learnt: of those that a model was trained on.
        times: to evolve to, numbers separated by commas; None for the later ones of those that were learnt.

    Raises:
        UsageError: if the given ones are something else, or differ in particles or box, or a time is no number.
    """
    given: tuple[float, ...] = getattr(states, "times", ())
    trained = cast(Trajectory, learnt)
    if replace(trained, times=given) != states:
        raise UsageError(f"initial states are read from trajectories as those trained on, {learnt}; got {states}")
    start = given[0]
    if times is None:
        later = tuple(time for time in trained.times if time > start)
    else:
        try:
            later = tuple(float(word) for word in times.split(","))
        except ValueError:
            raise UsageError(f"times are numbers separated by commas, such as 0.5,1; got {times!r}") from None
    return replace(trained, times=(start, *(time for time in later if time != start)))
