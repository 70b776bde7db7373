"""Training: the loop that steps any model, from data to a run directory.

Names are imported on first use, so that reading a run does not load modules that only training needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushforward.lazy_names import lazy_names

if TYPE_CHECKING:
    from pushforward.training.fitting import fit
    from pushforward.training.interrupt import Interrupted
    from pushforward.training.settings import TrainingSettings
    from pushforward.training.trackers import Tracker

__all__ = ["Interrupted", "Tracker", "TrainingSettings", "fit"]

_HOMES = {"Interrupted": "interrupt", "Tracker": "trackers", "TrainingSettings": "settings", "fit": "fitting"}

__getattr__ = lazy_names("pushforward.training", _HOMES)
