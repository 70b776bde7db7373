"""Judgement of a translator in both directions: translated members compared with members of the target ensemble.

Unseen members of one ensemble are translated and compared with unseen members of the other, by every statistic of their
kind; the floor is real members of that ensemble against others. A round trip should return members to themselves; the
notes state the distance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles import Ensemble, EnsemblePair, Parameter, read
from pushforward.errors import DataError, UsageError
from pushforward.models import ends_of
from pushforward.models.pairs import direction, other_end
from pushforward.randomness import Purpose
from pushforward.validation.chosen_rows import some
from pushforward.validation.gather import Watch, assemble, most_members
from pushforward.validation.report import Report
from pushforward.validation.translation_report import TranslationReport

if TYPE_CHECKING:
    from pushforward.emulator import Emulator
    from pushforward.spaces import Space

__all__ = ["Translation", "completed_pair", "validate_translation"]

ROUND_TRIPS = 256
"""Largest number of members in the round trip."""


@dataclass
class Translation:
    """One direction of a translator, as a `Judgeable`.

    Attributes:
        name: of the model, and which way.
        space: of the ensemble that is translated into.
        config, run, model: of the emulator.
    """

    name: str
    space: Space
    config: Mapping[str, Any]
    run: Path | None
    model: torch.nn.Module
    abilities: tuple[str, ...] = ("translator",)
    parameters: tuple[Parameter, ...] = ()
    condition_space: ConditionSpace = ConditionSpace()

    def sample(self, n: int, *, seed: int | None = None) -> torch.Tensor:
        raise UsageError(f"{self.name} translates members, and draws no samples")

    def sample_at(self, condition: Condition, *, seed: int | None = None) -> torch.Tensor:
        raise UsageError(f"{self.name} translates members, and draws no samples")

    def log_prob(self, x: Any, condition: Condition | None = None) -> torch.Tensor:
        raise UsageError(f"{self.name} has no density")


def validate_translation(
    emulator: Emulator,
    pair: EnsemblePair | None,
    *,
    judged_by: Callable[..., Report],
    samples: int | None = None,
    seed: int = 0,
    watch: Watch,
) -> TranslationReport:
    """Translate unseen members of either ensemble, and compare them with unseen members of the other.

    Arguments:
        emulator: a translator.
        pair: each ensemble is judged by its test split if the emulator was trained on it, whole if it is another data
            set; None reads those of the training again.
        judged_by: the report on a direction, from it, its evaluation data and the time at which it was begun.
        samples: members to translate at most; None suits the space.

    Raises:
        UsageError: if there is nothing to judge by, or it is not what the emulator translates.
        DataError: if the training data have changed.
    """
    watch("reading the data", 0.0)
    if pair is not None and not isinstance(pair, EnsemblePair):
        raise UsageError(
            f"{emulator.name} translates between two ensembles: give both as an EnsemblePair (the second one with "
            "--and), or none to read those of its training again"
        )
    pair = completed_pair(emulator) if pair is None else pair
    for ensemble, preprocessing in zip((pair.a, pair.b), emulator.preprocessing.towards("b"), strict=True):
        expected = tuple(preprocessing.space.shape)
        if tuple(ensemble.space.shape) != expected:
            raise UsageError(
                f"{ensemble.name} has members of shape {tuple(ensemble.space.shape)}, but {emulator.name} translates "
                f"members of shape {expected}"
            )
    sides = {"a": _held_out(emulator, "a", pair.a), "b": _held_out(emulator, "b", pair.b)}
    reports = {}
    ends = ends_of(emulator.model)
    for to in (to for to in "ba" if to in ends):
        reports[to] = _direction(emulator, sides[other_end(to)].test, sides[to], to, judged_by, samples, seed, watch)
    trips = {side: _round_trip(emulator, each.test, side, seed) for side, each in sides.items() if len(ends) > 1}
    return TranslationReport(emulator.name, pair.name, reports, trips, emulator.config)


def _direction(
    emulator: Emulator,
    start: Ensemble,
    goal: _HeldOut,
    to: str,
    judged_by: Callable[..., Report],
    samples: int | None,
    seed: int,
    watch: Watch,
) -> Report:
    begun = time.perf_counter()
    space = goal.test.space
    most = min(len(start), most_members(space, samples))

    def draw(condition: Condition | None, count: int, turn: int) -> tuple[np.ndarray, float]:
        watch(f"translating to {to}", 0.0)
        rows, before = some(len(start), count, np.random.default_rng([seed, Purpose.TRANSLATIONS])), time.perf_counter()
        translated = emulator.translate(start.take(rows), to).detach().cpu().numpy()
        return translated, 1000 * (time.perf_counter() - before) / count

    name = f"{emulator.name}, {direction(to)}"
    judged = Translation(name, space, emulator.config, emulator.run, emulator.model)
    data = assemble(judged, goal.test, goal.train, draw, train=goal.train, samples=most, seed=seed)
    return judged_by(judged, data, begun)


def _round_trip(emulator: Emulator, members: Ensemble, side: str, seed: int) -> float:
    x = members.take(some(len(members), ROUND_TRIPS, np.random.default_rng([seed, Purpose.ROUND_TRIPS])))
    back = emulator.translate(emulator.translate(x, other_end(side)), side).detach().cpu().numpy()
    return float(np.sqrt(np.mean((back - x) ** 2)) / x.std())


def completed_pair(emulator: Emulator, a: Ensemble | None = None, b: Ensemble | None = None) -> EnsemblePair:
    """The two ensembles given, or those of the training in their place, read again.

    Raises:
        UsageError: if the training data were arrays in memory.
        DataError: if they have changed.
    """
    recorded = emulator.config.get("data") or {}

    def again(side: str) -> Ensemble:
        record = recorded.get(side) or {}
        if not record.get("spec"):
            raise UsageError(
                "this emulator was trained on arrays in memory; give both ensembles as an EnsemblePair to judge it by"
            )
        ensemble = read(**record["spec"])
        if ensemble.fingerprint != record.get("fingerprint"):
            raise DataError(
                f"{ensemble.name} is not the data that this run was trained on: it has changed since; give other "
                "data to judge by"
            )
        return ensemble

    return EnsemblePair(again("a") if a is None else a, again("b") if b is None else b)


@dataclass(frozen=True)
class _HeldOut:
    """Members of one ensemble unseen in training, and the training members; None if these are of another data set."""

    test: Ensemble
    train: Ensemble | None


def _held_out(emulator: Emulator, side: str, ensemble: Ensemble) -> _HeldOut:
    record = (emulator.config.get("data") or {}).get(side) or {}
    if ensemble.fingerprint == record.get("fingerprint"):
        return _HeldOut(ensemble.test, ensemble.train)
    return _HeldOut(ensemble, None)
