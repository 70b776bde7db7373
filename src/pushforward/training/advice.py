"""Advice before training: angles that a model cuts open, unsuitable spaces, and models far larger than their data."""

from __future__ import annotations

from typing import Any

from torch import nn

from pushforward.ensembles.supports import Angle
from pushforward.models.chains import AutoregressiveSettings, CouplingSettings
from pushforward.models.circular_chains import CircleSettings
from pushforward.models.model import Model
from pushforward.models.registry import families
from pushforward.training.plan import Task

__all__ = ["advice"]

LARGE = 50_000_000
"""Parameters of a model of vectors from which a smaller one is suggested."""
_LENGTHS = ((CouplingSettings, "couplings"), (AutoregressiveSettings, "transforms"))
"""Setting with the length of each kind of chain."""


def advice(task: Task, preprocessing: Any, model: nn.Module) -> list[str]:
    """Lines of advice, given before the training time is spent."""
    own = model.advice() if isinstance(model, Model) else []
    return [*own, *_of_angles(task, preprocessing), *_of_size(task, model)]


def _of_angles(task: Task, preprocessing: Any) -> list[str]:
    supports = getattr(getattr(preprocessing, "supports", None), "supports", ())
    if not any(isinstance(each, Angle) for each in supports):
        return []
    if task.source.space.kind != "vector":
        return [
            f"{task.family} sees angles cut open, so values on both sides of the cut are far apart for it: their "
            "cosine and sine, as two channels, have no cut"
        ]
    if isinstance(task.of_model, CircleSettings) and task.of_model.circles:
        return [f"{task.family} keeps angles on the circle: the cut has no effect"]
    able = [name for name, model in families().items() if issubclass(model.Settings, CircleSettings)]
    return [
        f"{task.family} sees angles cut open, so values on both sides of the cut are far apart for it; on the circle "
        f"in {', '.join(able)}"
    ]


def _of_size(task: Task, model: nn.Module) -> list[str]:
    count, space = sum(p.numel() for p in model.parameters()), task.source.space
    if count < LARGE or space.kind != "vector":
        return []
    lengths = (name for kind, name in _LENGTHS if isinstance(task.of_model, kind))
    fewer = next((f"--set {name}=2 has fewer; " for name in lengths), "")
    return [
        f"{count:,} parameters are many for vectors of {space.size} numbers: {fewer}or learn fewer numbers (--columns, "
        "principal components), or read the data as fields (--space field) if they lie on a grid"
    ]
