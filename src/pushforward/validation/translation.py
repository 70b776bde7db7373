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
from pushforward.validation.evaluation_data import Watch, assemble, most_members, some
from pushforward.validation.page import render, save_page
from pushforward.validation.report import Report, geometric_mean
from pushforward.validation.sections import report_sections
from pushforward.validation.verdict import Verdict
from pushforward.validation.wording import number, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from pushforward.emulator import Emulator
    from pushforward.spaces import Space

__all__ = ["Translation", "TranslationReport", "validate_translation"]

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


@dataclass(frozen=True)
class TranslationReport:
    """The judgement of a translator.

    Attributes:
        model, data: names.
        reports: of each direction, by the ensemble that is translated into: ``a``, ``b``.
        round_trips: rms distance of members from where they started, there and back again, in standard deviations; by
            the ensemble that they start from.
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
        return " ".join(f"{_way(to)}: {report.summary}" for to, report in self.reports.items())

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
            "notes": self.notes,
            "config": dict(self.config),
        }
        return {**plain(values), "verdicts": lines, "directions": directions}  # type: ignore[dict-item]

    def table(self) -> RenderableType:
        """One table per direction, one verdict per line."""
        from rich.console import Group
        from rich.text import Text

        tables: list[RenderableType] = [report.table() for report in self.reports.values()]
        return Group(*tables, Text("\n".join(self.notes)))

    def html(self) -> str:
        """Both judgements as one page."""
        return render(
            "translation.html.j2",
            report=self,
            directions=[
                (to, _way(to), report, report.headline(), report_sections(report))
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
        pair: the two ensembles that it was trained on, of which the test splits are used; None reads them again.
        judged_by: the report on a direction, from it, its evaluation data and the time at which it was begun.
        samples: members to translate at most; None suits the space.

    Raises:
        UsageError: if there is nothing to judge by, or it is not what the emulator was trained on.
    """
    watch("reading the data", 0.0)
    pair = _trained_on(emulator, pair)
    sides = {"a": pair.a, "b": pair.b}
    reports = {}
    for to in ("b", "a"):
        start = sides["a" if to == "b" else "b"].test
        reports[to] = _direction(emulator, start, sides[to], to, judged_by, samples, seed, watch)
    trips = {side: _round_trip(emulator, each.test, side, seed) for side, each in sides.items()}
    return TranslationReport(emulator.name, pair.name, reports, trips, emulator.config)


def _direction(
    emulator: Emulator,
    start: Ensemble,
    goal: Ensemble,
    to: str,
    judged_by: Callable[..., Report],
    samples: int | None,
    seed: int,
    watch: Watch,
) -> Report:
    begun = time.perf_counter()
    most = min(len(start), most_members(goal.space, samples))

    def draw(condition: Condition | None, count: int, turn: int) -> tuple[np.ndarray, float]:
        watch(f"translating to {to}", 0.0)
        rows, before = some(len(start), count, np.random.default_rng([seed, 4])), time.perf_counter()
        found = emulator.translate(start.take(rows), to).detach().cpu().numpy()
        return found, 1000 * (time.perf_counter() - before) / count

    name = f"{emulator.name}, {'b to a' if to == 'a' else 'a to b'}"
    judged = Translation(name, goal.space, emulator.config, emulator.run, emulator.model)
    material = assemble(judged, goal.test, goal.train, draw, train=goal.train, samples=most, seed=seed)
    return judged_by(judged, material, begun)


def _round_trip(emulator: Emulator, members: Ensemble, side: str, seed: int) -> float:
    x = members.take(some(len(members), ROUND_TRIPS, np.random.default_rng([seed, 5])))
    other = "b" if side == "a" else "a"
    back = emulator.translate(emulator.translate(x, other), side).detach().cpu().numpy()
    return float(np.sqrt(np.mean((back - x) ** 2)) / x.std())


def _trained_on(emulator: Emulator, pair: EnsemblePair | None) -> EnsemblePair:
    recorded = emulator.config.get("data") or {}
    fingerprints = [(recorded.get(side) or {}).get("fingerprint") for side in ("a", "b")]
    if pair is not None:
        if not isinstance(pair, EnsemblePair):
            raise UsageError(
                f"{emulator.name} translates between two ensembles: give both as an EnsemblePair, or none to read "
                "those of its training again"
            )
    elif not recorded.get("spec"):
        raise UsageError("this emulator was trained on arrays in memory; give the EnsemblePair to judge it by")
    else:
        pair = EnsemblePair(*(read(**recorded["spec"][side]) for side in ("a", "b")))
    if [pair.a.fingerprint, pair.b.fingerprint] != fingerprints:
        raise DataError(
            f"{pair.name} are not the data that this run was trained on, so their test split is not held out; "
            "give those data"
        )
    return pair


def _way(to: str) -> str:
    return "From a to b" if to == "b" else "From b to a"
