"""Trainings that are measured in processor seconds, which other work on the machine does not lengthen."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pushforward as pf

__all__ = ["fit_for", "steps_within", "timed_fit"]

FEW, MORE = 5, 25
"""Steps of two short trainings, whose difference is free of what a run costs before its first step."""


def timed_fit(
    data: Any, family: Any, *, steps: int, settings: Mapping[str, Any] | None = None, seed: int = 0
) -> tuple[pf.Emulator, float]:
    """The emulator of a run that is not kept, and the processor seconds of its training."""
    options: dict[str, Any] = {"steps": steps, "settings": settings, "seed": seed, "device": "cpu", "progress": False}
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        emulator = pf.fit(data, family, out=Path(folder) / "run", **options)
        return emulator, time.process_time() - start


def steps_within(
    seconds: float, data: Any, family: Any, *, settings: Mapping[str, Any] | None = None, least: int = MORE
) -> int:
    """About as many steps as fit into so many processor seconds, and no fewer than ``least``."""
    # The first of these warms up.
    _, short, long = (timed_fit(data, family, steps=steps, settings=settings)[1] for steps in (FEW, FEW, MORE))
    return max(least, int(seconds * (MORE - FEW) / (long - short)))


def fit_for(
    seconds: float, data: Any, family: Any, *, settings: Mapping[str, Any] | None = None
) -> tuple[pf.Emulator, int, float]:
    """The emulator of about so many processor seconds of training, its steps, and the seconds that they took."""
    steps = steps_within(seconds, data, family, settings=settings)
    emulator, used = timed_fit(data, family, steps=steps, settings=settings)
    return emulator, steps, used
