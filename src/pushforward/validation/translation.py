"""Judgement of a translator in both directions: translated members compared with members of the target ensemble.

Unseen members of one ensemble are translated and compared with unseen members of the other, by every statistic of their
kind; the floor is real members of that ensemble against others. A round trip should return members to themselves; the
notes state the distance.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles import Ensemble, EnsemblePair, Parameter, read
from pushforward.errors import DataError, UsageError
from pushforward.models import ends_of
from pushforward.randomness import Purpose
from pushforward.validation.chosen_rows import some
from pushforward.validation.gather import Watch, assemble, most_members
from pushforward.validation.page import render, save_page
from pushforward.validation.printing import Printed, TextGroup
from pushforward.validation.report import Report, geometric_mean
from pushforward.validation.sections import report_sections
from pushforward.validation.verdict import Verdict
from pushforward.validation.wording import number, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from pushforward.emulator import Emulator
    from pushforward.spaces import Space

__all__ = ["Translation", "TranslationReport", "completed_pair", "validate_translation"]

_COUNTED = ("generated", "test", "training", "weights")
"""Counts of a direction's report, of which the larger is quoted."""
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


@dataclass(frozen=True, repr=False)
class TranslationReport(Printed):
    """The judgement of a translator.

    Attributes:
        model, data: names.
        reports: of each direction that it has, by the ensemble that is translated into: ``a``, ``b``.
        round_trips: rms distance of members from where they started, there and back again, in standard deviations; by
            the ensemble that they start from. Empty for a translator of one way.
        config: of the run.
    """

    model: str
    data: str
    reports: Mapping[str, Report]
    round_trips: Mapping[str, float]
    config: Mapping[str, Any]

    @property
    def verdicts(self) -> tuple[tuple[str, Verdict], ...]:
        """Every line of both directions under a name such as ``to_b/power_spectrum``."""
        return tuple((f"to_{to}/{v.statistic}", v) for to, report in self.reports.items() for v in report.verdicts)

    def verdict(self, statistic: str) -> Verdict:
        """The line of one statistic of one direction: ``to_b/power_spectrum``.

        Raises:
            UsageError: if it is not in this report.
        """
        known = dict(self.verdicts)
        if statistic not in known:
            raise UsageError(f"there is no statistic {statistic!r} in this report; there are {', '.join(known)}")
        return known[statistic]

    @property
    def quality(self) -> float:
        """Geometric mean of both directions' (see `Report.quality`)."""
        return geometric_mean([report.quality for report in self.reports.values()])

    @property
    def joint_p_value(self) -> float:
        """Joint p-value of both directions (Sidak 1967)."""
        return 1 - (1 - min(report.joint_p_value for report in self.reports.values())) ** len(self.reports)

    @property
    def summary(self) -> str:
        """Both judgements in a few sentences."""
        return " ".join(f"{_direction_name(to)}: {report.summary}" for to, report in self.reports.items())

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"Members of {start}, there and back again, end {number(value, 2)} standard deviations (rms) from where "
            "they started."
            for start, value in self.round_trips.items()
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values under the keys of `Report.to_dict`, statistics named by their direction."""
        lines = [verdict.to_dict() | {"statistic": name} for name, verdict in self.verdicts]
        directions = {f"to_{to}": report.to_dict() for to, report in self.reports.items()}
        for each in directions.values():
            each.pop("config")
        values = {
            "model": self.model,
            "data": self.data,
            "summary": self.summary,
            "quality": self.quality,
            "joint_p_value": self.joint_p_value,
            "round_trips": dict(self.round_trips),
            "abilities": ("translator",),
            "timing": self._timing,
            "counts": {name: max(report.counts[name] for report in self.reports.values()) for name in _COUNTED},
            "notes": self.notes,
            "config": dict(self.config),
        }
        return {**plain(values), "verdicts": lines, "directions": directions}  # type: ignore[dict-item]

    @property
    def _timing(self) -> dict[str, float | None]:
        """Milliseconds per translated member, the mean of both directions; seconds of training and of judging."""
        each = [report.timing for report in self.reports.values()]
        milliseconds = [timing["milliseconds_per_sample"] or 0.0 for timing in each]
        return {
            "milliseconds_per_sample": sum(milliseconds) / len(milliseconds),
            "validation_seconds": sum(timing["validation_seconds"] or 0.0 for timing in each),
            "training_seconds": each[0]["training_seconds"],
        }

    def table(self) -> TextGroup:
        """One table per direction, one verdict per line."""
        from rich.text import Text

        tables: list[RenderableType] = [report.table() for report in self.reports.values()]
        return TextGroup(*tables, Text("\n".join(self.notes)))

    def html(self) -> str:
        """Both judgements as one page."""
        return render(
            "translation.html.j2",
            report=self,
            directions=[
                (to, _direction_name(to), report, report.headline(), report_sections(report))
                for to, report in self.reports.items()
            ],
        )

    def save(self, path: str | Path) -> None:
        """Write ``.html`` or ``.json``.

        Raises:
            UsageError: for another ending, or a folder that cannot be written to.
        """
        save_page(path, self, "report")


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
        start = sides["a" if to == "b" else "b"].test
        reports[to] = _direction(emulator, start, sides[to], to, judged_by, samples, seed, watch)
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

    name = f"{emulator.name}, {'b to a' if to == 'a' else 'a to b'}"
    direction = Translation(name, space, emulator.config, emulator.run, emulator.model)
    data = assemble(direction, goal.test, goal.train, draw, train=goal.train, samples=most, seed=seed)
    return judged_by(direction, data, begun)


def _round_trip(emulator: Emulator, members: Ensemble, side: str, seed: int) -> float:
    x = members.take(some(len(members), ROUND_TRIPS, np.random.default_rng([seed, Purpose.ROUND_TRIPS])))
    other = "b" if side == "a" else "a"
    back = emulator.translate(emulator.translate(x, other), side).detach().cpu().numpy()
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


def _direction_name(to: str) -> str:
    return "From a to b" if to == "b" else "From b to a"
