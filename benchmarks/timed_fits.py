"""Trainings that are measured in processor seconds, which other work on the machine does not lengthen."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pushforward as pf

__all__ = ["fit_for", "steps_within", "timed_fit"]

FIRST, MORE = 5, 25
"""Steps of a short training, and the first of them that is timed: the processor warms up before it."""


class Clock:
    """A tracker that notes the processor time at each step."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Nothing depends on the configuration."""

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        self.at.setdefault(step, time.process_time())

    def close(self) -> None:
        """There is nothing to close."""


def timed_fit(
    data: Any,
    family: Any,
    *,
    steps: int,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    clock: Clock | None = None,
) -> tuple[pf.Emulator, float]:
    """The emulator of a run that is not kept, and the processor seconds of its training."""
    options: dict[str, Any] = {"steps": steps, "settings": settings, "seed": seed, "device": "cpu", "progress": False}
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        emulator = pf.fit(data, family, out=Path(folder) / "run", tracker=clock, **options)
        return emulator, time.process_time() - start


def steps_within(
    seconds: float, data: Any, family: Any, *, settings: Mapping[str, Any] | None = None, least: int = MORE
) -> int:
    """About as many steps as fit into so many processor seconds, without what a run costs before and after them.

    At least ``least``.
    """
    clock = Clock()
    timed_fit(data, family, steps=MORE, settings={**(settings or {}), "log_every": 0}, clock=clock)
    return max(least, int(seconds * (MORE - FIRST) / (clock.at[MORE] - clock.at[FIRST])))


def fit_for(
    seconds: float, data: Any, family: Any, *, settings: Mapping[str, Any] | None = None
) -> tuple[pf.Emulator, int, float]:
    """The emulator of about so many processor seconds of training, its steps, and the seconds that they took."""
    steps = steps_within(seconds, data, family, settings=settings)
    emulator, used = timed_fit(data, family, steps=steps, settings=settings)
    return emulator, steps, used
