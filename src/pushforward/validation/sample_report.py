"""Report that compares samples, of a model or of any other code, with data."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch

from pushforward.validation.common_statistics import COMMON_STATISTICS, COMMON_TESTS, nearest_training
from pushforward.validation.condition_fields import pair_curves, pair_statistics
from pushforward.validation.conditions import condition_statistics, unjudged_parameters
from pushforward.validation.density import judge_density
from pushforward.validation.energies import energy_statistics, judge_weights
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.forecasts import judge_forecasts
from pushforward.validation.gather import Watch
from pushforward.validation.judgeable import Judgeable
from pushforward.validation.kinds import kind_of
from pushforward.validation.measure import Judgement, Tolerances, attempt, measure
from pushforward.validation.posteriors import calibrated, calibration_curves, judge_calibration
from pushforward.validation.report import Report
from pushforward.validation.responses import responses_of
from pushforward.validation.run_records import records_of
from pushforward.validation.statistic import Statistic
from pushforward.validation.wording import listing

__all__ = ["report_on"]

T = TypeVar("T")

MOST_NAMED = 8
"""Largest number of conditions named in one line."""


class _Parts:
    """Parts of a report; one whose computation fails is left out, and a line in ``failures`` says why."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    def some(self, what: str, function: Callable[[], Iterable[T]]) -> list[T]:
        """The results of a function; none if it fails."""
        found = attempt(lambda: list(function()))
        if isinstance(found, str):
            self.failures.append(f"{what}: {found}")
            return []
        return found

    def one(self, what: str, function: Callable[[], T]) -> T | None:
        """The result of a function; None if it fails."""
        return next(iter(self.some(what, lambda: [function()])), None)


def report_on(
    emulator: Judgeable,
    data: EvaluationData,
    seed: int,
    begun: float,
    watch: Watch,
    statistics: Sequence[Statistic] = (),
    tolerances: Tolerances | None = None,
    judging_command: str = "",
) -> Report:
    """Report on generated samples.

    Arguments:
        emulator: model of the samples, or what stands for one.
        data: samples and real members.
        seed: of the samples and of resampling.
        begun: value of `time.perf_counter` when the judgement began.
        watch: function called with the name and the completed fraction of a stage.
        statistics: further statistics.
        tolerances: of discrepancies; None uses those of each statistic.
        judging_command: command that repeats the judgement; empty derives it from the run.
    """
    watch("comparing with data", 0.0)
    kind, parts = kind_of(data.space), _Parts()
    found = measure(
        data,
        _declared(data, statistics, parts),
        (*kind.tests, *COMMON_TESTS),
        tolerances,
        lambda part: watch("comparing with data", 0.9 * part),
    )
    _judge_abilities(found, emulator, data, parts, watch)
    calibration = parts.one("Calibration", lambda: calibrated(data, emulator, seed))
    if calibration is not None:
        found.add(judge_calibration(calibration, data))
    curves = parts.some("Curves", lambda: [*kind.curves(data), *pair_curves(data)])
    run = getattr(emulator, "run", None)
    trained = records_of(run)
    repeating = shlex.join(["pushforward", "validate", str(run), "--seed", str(seed)]) if run else ""
    report = Report(
        model=emulator.name,
        data=data.name,
        space=data.space,
        parameters=tuple(parameter.name for parameter in data.parameters),
        verdicts=tuple(found.verdicts),
        curves=(*curves, *(() if calibration is None else calibration_curves(calibration, data))),
        responses=tuple(parts.some("Responses to the condition", lambda: responses_of(data))),
        matrices=dict(parts.some("Correlation matrices", lambda: kind.matrices(data).items())),
        timing={
            "milliseconds_per_sample": data.milliseconds,
            "validation_seconds": time.perf_counter() - begun,
            "training_seconds": trained.seconds,
        },
        counts={
            "generated": data.count,
            "test": data.count,
            "training": data.training_members,
            "weights": _weights(emulator),
        },
        abilities=tuple(emulator.abilities),
        notes=(*data.notes, *((emulator.config.get("data") or {}).get("notes") or ())),
        config=dict(emulator.config),
        command=str(emulator.config.get("command", "")),
        judging=judging_command or repeating,
        seed=seed,
        evaluation=data,
        neighbours=parts.one("Memorisation", lambda: data.derived(nearest_training)),
        metrics=trained.lines,
        log_prob=_density_of(emulator) if "density" in emulator.abilities else None,
        joint_p_value=found.joint_p_value,
        expected_beyond=found.expected_beyond,
        failures=tuple(dict.fromkeys((*parts.failures, *trained.failures, *found.failures))),
        unseen=_unseen(data, emulator),
    )
    watch("comparing with data", 1.0)
    return report


def _declared(data: EvaluationData, further: Sequence[Statistic], parts: _Parts) -> list[Statistic]:
    """Statistics of samples like these, in the order of the page."""
    kind = kind_of(data.space)
    return [
        *parts.some("Statistics of the data", lambda: kind.statistics(data)),
        *energy_statistics(data),
        *parts.some("Samples and the fields that they are given with", lambda: pair_statistics(data)),
        *COMMON_STATISTICS,
        *parts.some("Over the range of the condition", lambda: condition_statistics(data)),
        *(each for each in further if each.applies(data.space)),
    ]


def _judge_abilities(found: Judgement, emulator: Judgeable, data: EvaluationData, parts: _Parts, watch: Watch) -> None:
    """Add verdicts on what the model can do besides drawing samples."""
    if "density" in emulator.abilities:
        watched = partial(watch, "evaluating densities")
        found.add(parts.some("Negative log-density", lambda: judge_density(data, emulator, watched)))
        found.add(parts.some("Statistical weights", lambda: judge_weights(data, emulator)))
    if "forecaster" in emulator.abilities:
        found.add(parts.some("Forecasts", lambda: judge_forecasts(data, emulator)))


def _unseen(data: EvaluationData, emulator: Judgeable) -> tuple[str, ...]:
    """Properties that are not tested, one line each."""
    lines = list(kind_of(data.space).unseen)
    if data.train is None:
        lines.append("Copies of training members: the training data are not at hand.")
    if "density" not in emulator.abilities:
        lines.append("The density: the model has none, or it was not given.")
    if not data.conditioned:
        lines.append("Conditions: there are none, or they were not given.")
    elif data.conditions is not None:
        lines.append("Conditions beyond and between those of the test members.")
        if left := unjudged_parameters(data):
            shown = left if len(left) <= MOST_NAMED else [*left[:MOST_NAMED], f"{len(left) - MOST_NAMED} more"]
            lines.append(f"The ranges of {len(left)} conditions that members constrain least: {listing(shown)}.")
    return tuple(lines)


def _weights(emulator: Judgeable) -> int:
    model = getattr(emulator, "model", None)
    return sum(p.numel() for p in model.parameters()) if isinstance(model, torch.nn.Module) else 0


def _density_of(emulator: Judgeable) -> Any:
    def log_prob(points: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return np.asarray(emulator.log_prob(torch.from_numpy(points)).detach().cpu(), dtype=float)

    return log_prob
