"""Generative models for physics: train any family on an ensemble, and judge it as a physicist would.

>>> import pushforward as pf
>>> maps = pf.read("two-moons")
>>> emulator = pf.fit(maps, model="realnvp", steps=500)  # doctest: +SKIP
>>> emulator.sample(4).shape  # doctest: +SKIP
torch.Size([4, 2])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushforward.lazy_names import lazy_names

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pushforward.emulator import Emulator
    from pushforward.energies import Energy
    from pushforward.ensembles import Ensemble, EnsemblePair, Preprocessing, Trajectories, read
    from pushforward.errors import DataError, TrainingError, UsageError
    from pushforward.models import Model, register_model
    from pushforward.spaces import Field, Particles, Series, Trajectory, Vector
    from pushforward.training import fit
    from pushforward.validation.compare import compare
    from pushforward.validation.judge import judge
    from pushforward.validation.statistic import Statistic
    from pushforward.validation.validate import validate

_HOMES = {
    "Emulator": "emulator",
    "Energy": "energies",
    "Ensemble": "ensembles",
    "EnsemblePair": "ensembles",
    "Preprocessing": "ensembles",
    "Trajectories": "ensembles",
    "read": "ensembles",
    "DataError": "errors",
    "TrainingError": "errors",
    "UsageError": "errors",
    "Field": "spaces",
    "Particles": "spaces",
    "Series": "spaces",
    "Trajectory": "spaces",
    "Vector": "spaces",
    "Model": "models",
    "register_model": "models",
    "fit": "training",
    "Statistic": "validation",
    "compare": "validation",
    "judge": "validation",
    "validate": "validation",
}

_MODULES = ("dynamics", "energies", "networks", "simulate", "statistics", "transforms", "transport")
"""Rooms whose parts are used on their own; imported when first named."""

__all__ = [
    "DataError",
    "Emulator",
    "Energy",
    "Ensemble",
    "EnsemblePair",
    "Field",
    "Model",
    "Particles",
    "Preprocessing",
    "Series",
    "Statistic",
    "TrainingError",
    "Trajectories",
    "Trajectory",
    "UsageError",
    "Vector",
    "compare",
    "fit",
    "judge",
    "read",
    "register_model",
    "validate",
]

__getattr__ = lazy_names("pushforward", _HOMES, _MODULES)


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, "__doc__", "__name__", "__version__"})
