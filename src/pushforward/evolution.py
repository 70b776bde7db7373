"""Evolution of states by a model, in groups of simulations."""

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
"""With the learnt correction, without it, or without it at the finest affordable resolution."""
_METHODS = {"corrected": "evolve", "uncorrected": "uncorrected", "resolved": "resolved"}
# Numbers evolved at a time: a few simulations of 32^3 particles.
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
        times: at least two, monotonic.
        condition: one row per state.
        physics: of the evolution.

    Raises:
        UsageError: if times are not monotonic or fewer than two, or final states are not finite.
    """
    steps = times.diff()
    if times.dim() != 1 or len(times) < 2 or not bool((steps > 0).all() | (steps < 0).all()):
        raise UsageError(f"give at least two monotonic times, the first that of the states; got {times.tolist()}")
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
        raise UsageError("the evolved states are not finite; check that the initial states are like the training data")
    return states


def evolved_space(states: Space, learnt: Space, times: str | None = None) -> Trajectory:
    """Space of evolved trajectories, which start at the first time of the given ones.

    Arguments:
        states: space of the given trajectories.
        learnt: space of the training data.
        times: output times, numbers separated by commas; None for the later times of the training data.

    Raises:
        UsageError: if the given space is not a trajectory of the same particles and box, or a time is not a number.
    """
    given: tuple[float, ...] = getattr(states, "times", ())
    trained = cast(Trajectory, learnt)
    if replace(trained, times=given) != states:
        raise UsageError(f"initial states must be trajectories like the training data, {learnt}; got {states}")
    start = given[0]
    if times is None:
        later = tuple(time for time in trained.times if time > start)
    else:
        try:
            later = tuple(float(word) for word in times.split(","))
        except ValueError:
            raise UsageError(f"times must be numbers separated by commas, such as 0.5,1; got {times!r}") from None
    return replace(trained, times=(start, *(time for time in later if time != start)))
