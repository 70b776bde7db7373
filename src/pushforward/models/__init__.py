"""Model families, by the name of their objective.

The rest of the package knows them only through `REGISTRY`: a new family is one file here and one line there. The
contract is imported on first use, so that listing the families does not load PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushforward.lazy_names import lazy_names
from pushforward.models.registry import REGISTRY, Family, find, model_class, register_model, registered

if TYPE_CHECKING:
    from pushforward.ensembles.batch import Batch, EnergyBatch, PairBatch, TeacherBatch
    from pushforward.models.abilities import (
        ABILITIES,
        LACKING,
        Bounded,
        Density,
        Evolver,
        Forecaster,
        Joint,
        Latent,
        RandomTranslator,
        Reweightable,
        Sampler,
        Translator,
        ends_of,
    )
    from pushforward.models.model import Model, Player, Settings, Turn

_HOMES = {
    **dict.fromkeys(("Batch", "EnergyBatch", "PairBatch", "TeacherBatch"), ".ensembles.batch"),
    **dict.fromkeys(
        (
            "ABILITIES",
            "LACKING",
            "Bounded",
            "Density",
            "Evolver",
            "Forecaster",
            "Joint",
            "Latent",
            "RandomTranslator",
            "Reweightable",
            "Sampler",
            "Translator",
            "ends_of",
        ),
        "abilities",
    ),
    **dict.fromkeys(("Model", "Player", "Settings", "Turn"), "model"),
}

__all__ = [
    "ABILITIES",
    "LACKING",
    "REGISTRY",
    "Batch",
    "Bounded",
    "Density",
    "EnergyBatch",
    "Evolver",
    "Family",
    "Forecaster",
    "Joint",
    "Latent",
    "Model",
    "PairBatch",
    "Player",
    "RandomTranslator",
    "Reweightable",
    "Sampler",
    "Settings",
    "TeacherBatch",
    "Translator",
    "Turn",
    "ends_of",
    "find",
    "model_class",
    "register_model",
    "registered",
]

__getattr__ = lazy_names("pushforward.models", _HOMES)
