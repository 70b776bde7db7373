"""A bare training loop for the tests of single families: no averaging, no precision, no run directory."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat

import torch

from pushforward.models import Batch, Model


def minimise(model: Model, batch: Callable[[int], Batch], steps: int, learning_rate: float = 3e-3) -> Model:
    """Adam on the turns of ``batch(step)``, with a learning rate that falls to zero as half a cosine."""
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        for turn in model.turns(repeat(batch(step))):
            optimiser.zero_grad()
            turn.loss.backward()
            optimiser.step()
        schedule.step()
    return model.eval()
