"""The families, by the name of their objective.

`REGISTRY` is all that the rest of the package knows about them: a new family is one file here and one line there.
The contract is imported when first used, so that looking at what there is does not load PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pushforward.models.registry import REGISTRY, Entry, find, model_class

if TYPE_CHECKING:
    from pushforward.models.model import (
        Batch,
        Coupling,
        Density,
        Latent,
        Model,
        Pairs,
        Pupil,
        Settings,
        Translator,
        Turn,
    )

__all__ = [
    "REGISTRY",
    "Batch",
    "Coupling",
    "Density",
    "Entry",
    "Latent",
    "Model",
    "Pairs",
    "Pupil",
    "Settings",
    "Translator",
    "Turn",
    "find",
    "model_class",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("pushforward.models.model"), name)
    raise AttributeError(f"module 'pushforward.models' has no attribute {name!r}")
