"""Training: the loop that steps any model, from data to a run directory.

Names are imported on first use, so that reading a run does not load modules that only training needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pushforward.training.fitting import fit
    from pushforward.training.interrupt import Interrupted
    from pushforward.training.settings import TrainingSettings
    from pushforward.training.trackers import Tracker

__all__ = ["Interrupted", "Tracker", "TrainingSettings", "fit"]

_HOMES = {"Interrupted": "interrupt", "Tracker": "trackers", "TrainingSettings": "settings", "fit": "fitting"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"pushforward.training.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'pushforward.training' has no attribute {name!r}")
