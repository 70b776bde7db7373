"""Plan of a call of `fit`, resolved before long work starts: family, source, settings, length."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

from pushforward.energies import Energy
from pushforward.ensembles import EnergySource, Ensemble, EnsembleSource, Source, read, source_of
from pushforward.errors import UsageError
from pushforward.models import REGISTRY, Family, Model, find, register_model
from pushforward.models.contract import check_class
from pushforward.models.registry import registered
from pushforward.runs.teacher import Teacher
from pushforward.training.durations import parse_duration, say_duration
from pushforward.training.settings import TrainingSettings, resolve_settings

__all__ = ["UNITS", "Length", "Plan", "Task", "resolve_task", "wanted_length"]

UNITS = ("transform", "equal_smoothness", "scale_by_condition", "discrete")
"""Settings that determine the network units. A student works in those of its teacher."""


@dataclass(frozen=True)
class Length:
    """Length of a training: a number of steps, or seconds of wall-clock time."""

    steps: int | None = None
    seconds: float | None = None

    def progress(self, step: int, seconds: float, reserve: float) -> float:
        """Completed fraction of the run, in [0, 1].

        Arguments:
            step, seconds: completed so far.
            reserve: seconds to keep for the end of the run.
        """
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.seconds is not None
        return min(1.0, seconds / max(self.seconds - reserve, 0.5 * self.seconds, 1e-9))

    def to_dict(self) -> dict[str, Any]:
        return {"steps": self.steps} if self.steps is not None else {"budget": self.seconds}

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.steps is not None else say_duration(self.seconds or 0.0)


@dataclass(frozen=True)
class Task:
    """A family, its source, and all settings.

    Attributes:
        family: name of the family.
        kind: its class.
        source: source of the training data.
        of_model, of_loop: settings, with every default filled in.
        given: settings given by the user.
    """

    family: str
    kind: type[Model]
    source: Source
    of_model: BaseModel
    of_loop: TrainingSettings
    given: dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """A task, and how to carry it out; without a length, that of the resumed run."""

    task: Task
    length: Length | None
    out: Path
    resume: bool
    seed: int
    device: torch.device
    precision: str
    progress: bool


def resolve_task(model: str | type[Model], data: Any, settings: Mapping[str, Any] | None = None) -> Task:
    """The task of learning a family from data.

    Arguments:
        model: name of a family, or its class, which is then registered under its name in lower case with hyphens.
        data: a source, an `Ensemble`, or anything that `read` accepts.
        settings: of the model and of the loop by name.

    Raises:
        UsageError: for an unknown family or setting, or a family that cannot learn from these data.
        DataError: for data that cannot be read.
    """
    name, family = _family(model)
    source = _source(data)
    kind = family.load()
    check_class(kind)
    given = {key: _named(value) for key, value in (settings or {}).items()}
    _check_suits(name, family, source)
    of_model, of_loop = resolve_settings(kind, source.space, given)
    if of_loop.teacher is not None:
        source = _taught(name, source, of_loop.teacher, given)
    if source.kind not in family.sources:
        raise UsageError(_unsuited(name, family, source.kind))
    return Task(name, kind, source, kind.settled(of_model, source), of_loop, given)


def _family(model: str | type[Model]) -> tuple[str, Family]:
    if isinstance(model, str):
        return model, find(model)
    check_class(model)
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", model.__name__).lower()
    return name, register_model(name, model)


def _named(value: Any) -> Any:
    """A class among the settings by its name, as the run keeps it: ``module:Class``."""
    return f"{value.__module__}:{value.__qualname__}" if isinstance(value, type) else value


def _source(data: Any) -> Source:
    if isinstance(data, Energy):
        return EnergySource(data)
    if hasattr(data, "batches"):
        return data
    ensemble = data if isinstance(data, Ensemble) else read(data)
    return source_of(ensemble.space, ensemble)


def _taught(model: str, source: Source, run: str, given: Mapping[str, Any]) -> Teacher:
    if clash := next((name for name in UNITS if name in given), None):
        raise UsageError(f"{clash} cannot be set: {model} works in the units of its teacher; leave it out")
    if not isinstance(source, EnsembleSource):
        raise UsageError(f"a teacher needs one ensemble, not {source.kind} data; leave teacher out")
    return Teacher.read(source, run)


def _check_suits(model: str, family: Family, source: Source) -> None:
    """Raise unless the family can learn this kind of sample and condition."""
    kind = type(source.space).__name__.lower()
    if kind not in family.spaces:
        kinds = " or ".join(f"--space {each}" for each in family.spaces)
        able = ", ".join(name for name, each in registered().items() if kind in each.spaces) or "none"
        raise UsageError(
            f"{model} learns {' and '.join(family.spaces)} data, not {kind} data; families that learn {kind} data: "
            f"{able}; if these are other data, read them with {kinds} (docs/your-data.md)"
        )
    family.load().check_condition(source.condition_space)


_SOURCES = {
    "ensemble": "an ensemble",
    "pair": "two ensembles (--and names the second)",
    "energy": "an energy (--from energy)",
    "teacher": "a trained model (--set teacher=RUN)",
    "trajectories": "trajectories",
}


def _unsuited(model: str, family: Family, kind: str) -> str:
    learns = " or ".join(_SOURCES[each] for each in family.sources)
    able = ", ".join(name for name, each in REGISTRY.items() if kind in each.sources) or "none"
    return f"{model} learns from {learns}, not from {_SOURCES[kind]}; models that do are {able}"


def wanted_length(steps: int | None, budget: str | float | None) -> Length | None:
    """The requested length; None if neither steps nor budget is given.

    Raises:
        UsageError: if both are given, or the length is zero.
    """
    if steps is not None and budget is not None:
        raise UsageError("both steps and budget were given; give one of them")
    if steps is not None:
        if steps < 1:
            raise UsageError(f"steps is {steps}; give at least 1")
        return Length(steps=steps)
    if budget is None:
        return None
    seconds = parse_duration(budget)
    if seconds == 0:
        raise UsageError("the budget is 0; give the time to train for, such as 10m")
    return Length(seconds=seconds)
