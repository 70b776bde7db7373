"""The families, by the name of their objective.

`REGISTRY` is all that the rest of the package knows about them: a new family is one file here and one line there.
"""

from __future__ import annotations

from pushforward.models.model import Batch, Density, Latent, Model, Settings, Translator, Turn
from pushforward.models.registry import REGISTRY, Entry, find, model_class

__all__ = [
    "REGISTRY",
    "Batch",
    "Density",
    "Entry",
    "Latent",
    "Model",
    "Settings",
    "Translator",
    "Turn",
    "find",
    "model_class",
]
