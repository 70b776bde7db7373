"""Measurement of declared statistics: verdicts from shared repetitions of real data against real data.

Because every statistic is measured on the same draws, a draw is a whole report of real data against real data. The
joint p-value, the probability that the most extreme statistic of a perfect emulator is as extreme as here, then
accounts for their correlations (`statistics.joint_p_value`). B draws cannot rank it below 1 / (B + 1): beyond all of
them it is Bonferroni's, the smallest p-value times the number of statistics, if that is smaller. Tests with their own
p-values are combined by

    p = 1 - (1 - min(p_draws, p_1, ..., p_T))^(T + 1)        (Sidak 1967, exact for independent tests).

Of tests of counts, which have p = 1 where nothing was found to count, only those with p < 1 are among the T.

A draw that was too costly to be made is filled in from the predictive law of those that were: Student's t, of the cube
root of the square for a discrepancy, which is nearly Gaussian (Wilson and Hilferty 1931).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import numpy as np

from pushforward.errors import UsageError
from pushforward.statistics import joint_p_value, p_value
from pushforward.statistics.calibration import Alternative
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.floor import Measured
from pushforward.validation.statistic import SingleTest, Statistic, TestResult
from pushforward.validation.verdict import UNJUDGED, Verdict, alternative_of, judge, level_of, natural_scale, ruled

__all__ = ["Judgement", "Tolerances", "attempt", "measure"]

Tolerances = Mapping[str, float | str]

T = TypeVar("T")


@dataclass
class Judgement:
    """Verdicts, and their joint properties.

    Attributes:
        verdicts: one per statistic, in the order of their declaration.
        p_values: that of all statistics with draws together, then one for each test.
        joint_p_value: joint p-value; NaN if no statistic has a p-value.
        expected_beyond: mean number of verdicts beyond the floor for a perfect emulator.
        reasons: labels of the statistics that could not be computed, by the reason.
        failures: the same as one line per reason.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    p_values: list[float] = field(default_factory=list)
    reasons: dict[str, list[str]] = field(default_factory=dict)

    def fail(self, declared: Statistic | SingleTest, reason: str) -> None:
        """Note that a statistic could not be computed."""
        self.reasons.setdefault(reason, []).append(declared.label)

    def add(self, verdicts: Iterable[Verdict]) -> None:
        """Take in verdicts of tests that stand apart from the others, such as that of a density."""
        for verdict in verdicts:
            self.verdicts.append(verdict)
            if math.isfinite(verdict.p_value) and verdict.verdict != UNJUDGED:
                self.p_values.append(verdict.p_value)

    @property
    def joint_p_value(self) -> float:
        if not self.p_values:
            return math.nan
        telling = [p for p in self.p_values if p < 1]
        return 1 - (1 - min(telling)) ** len(telling) if telling else 1.0

    @property
    def failures(self) -> list[str]:
        return [f"{', '.join(labels)}: {reason}" for reason, labels in self.reasons.items()]

    @property
    def expected_beyond(self) -> float:
        return sum(level_of(v.kind) for v in self.verdicts if v.verdict != UNJUDGED)


def measure(
    data: EvaluationData,
    statistics: Sequence[Statistic],
    tests: Sequence[SingleTest] = (),
    tolerances: Tolerances | None = None,
    watch: Callable[[float], None] = lambda _: None,
) -> Judgement:
    """Value, error, floor, p-value and smallest noticeable defect of each statistic.

    A statistic that fails is left out and named in ``failures``.

    Arguments:
        tolerances: by name, in the statistics' units, or with one (``"2%"``); ``condition_bias`` stands for
            ``condition_bias/Omega_m``, too.
        watch: function called with the completed fraction.
    """
    tolerances, judgement = dict(tolerances or {}), Judgement()
    _check_tolerances(tolerances, (*statistics, *tests))
    shared: dict[object, Mapping[str | None, Measured] | str] = {}
    columns: list[tuple[float, np.ndarray, Alternative]] = []
    total = max(1, len(statistics) + len(tests))
    for index, statistic in enumerate(statistics):
        watch(index / total)
        key: object = statistic.name if statistic.part is None else (statistic.rows, statistic.distance)
        if key not in shared:
            shared[key] = attempt(partial(_measured, statistic, data))
        outcome = shared[key]
        if isinstance(outcome, str):
            judgement.fail(statistic, outcome)
            continue
        measured = outcome[statistic.part]
        value, draws = float(measured.value), measured.floor
        if statistic.level is not None:
            level = statistic.level(statistic.measured_rows(data)[1][: data.count])
            value, draws = value + level, draws + level
        if math.isnan(value) and not np.isfinite(draws).any():
            judgement.fail(statistic, "it has no value for these samples")
            continue
        tolerance = _tolerance(statistic, tolerances)
        verdict = attempt(partial(_verdict_of, statistic, value, float(measured.error), draws, tolerance))
        if isinstance(verdict, str):
            judgement.fail(statistic, verdict)
            continue
        judgement.verdicts.append(verdict)
        if math.isfinite(verdict.p_value):
            scaled = [natural_scale(np.asarray(x), statistic.kind) for x in (value, draws)]
            columns.append((float(scaled[0]), scaled[1], alternative_of(statistic.kind)))
    for index, test in enumerate(tests):
        watch((len(statistics) + index) / total)
        result = attempt(partial(test.run, data))
        if isinstance(result, str):
            judgement.fail(test, result)
        elif result is not None:
            judgement.add([_of_test(test, result, tolerances)])
    if columns:
        judgement.p_values.insert(0, _joint(columns, np.random.default_rng(data.count)))
    return judgement


def _check_tolerances(tolerances: Tolerances, declared: Sequence[Statistic | SingleTest]) -> None:
    """Raise for a tolerance of an unknown statistic, or one that is not a size in its unit."""
    for name, value in tolerances.items():
        meant = [each for each in declared if _named(each.name, name)]
        if not meant:
            known = ", ".join(each.name for each in declared)
            raise UsageError(f"a tolerance was given for {name}; there are {known}")
        for each in meant:
            _in_unit(name, value, each.unit)


def attempt(function: Callable[[], T]) -> T | str:
    """Result of a function, or the reason of its failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            return function()
        except UsageError as problem:
            return str(problem)
        except Exception as problem:  # one failed statistic must not prevent the report
            return f"{type(problem).__name__}: {problem}"


def _measured(statistic: Statistic, data: EvaluationData) -> Mapping[str | None, Measured]:
    """A measurement for each part, or of the whole under None."""
    generated, real = statistic.measured_rows(data)
    if statistic.part is None:
        names: list[str | None] = [None]
        distance = statistic.two_sets
    else:
        names = []

        def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            found = statistic.two_sets(a, b)
            names[:] = names or list(found)
            return np.array([found[name] for name in names], dtype=float)

    floor = data.floor if statistic.floor is None else data.derived(statistic.floor)
    if statistic.set_distance:
        found = floor.measure_sets(distance, generated, real, statistic.most)
    else:
        found = floor.measure(distance, generated, real, positive=statistic.kind == "discrepancy")
    if names == [None]:
        return {None: found}
    return {name: Measured(found.value[i], found.error[i], found.floor[:, i]) for i, name in enumerate(names)}


def _verdict_of(
    statistic: Statistic, value: float, error: float, draws: np.ndarray, tolerance: float | None
) -> Verdict:
    return judge(
        statistic.name,
        statistic.label,
        statistic.quantity or statistic.label.lower(),
        value,
        error,
        draws,
        tolerance=tolerance,
        kind=statistic.kind,
        unit=statistic.unit,
        group=statistic.group,
        headline=statistic.headline,
        note=statistic.note,
    )


def _of_test(test: SingleTest, result: TestResult, tolerances: Tolerances) -> Verdict:
    bare = Verdict(
        test.name, test.label, test.quantity, test.unit, result.value, result.error, result.floor, result.low,
        result.high, UNJUDGED, test.kind, test.group, test.headline, result.note, result.p_value,
        result.smallest_noticeable,
    )  # fmt: skip
    tolerance = _tolerance(test, tolerances)
    verdict = ruled(bare, result.tolerance if tolerance is None else tolerance)
    return replace(verdict, tolerance_set=tolerance is not None)


def _tolerance(declared: Statistic | SingleTest, tolerances: Tolerances) -> float | None:
    given = [(name, value) for name, value in tolerances.items() if _named(declared.name, name)]
    return _in_unit(*given[-1], declared.unit) if given else declared.tolerance


def _in_unit(name: str, value: float | str, unit: str) -> float:
    """A tolerance as a number in a statistic's unit."""
    text = str(value).strip()
    bare = text.removesuffix("%").strip()
    try:
        size = float(bare)
    except ValueError:
        size = math.nan
    if not 0 <= size < math.inf or (bare != text and unit != "%"):
        kind = {"": "a pure number", "%": "a percentage"}.get(unit, f"a number of {unit}")
        raise UsageError(f"the tolerance of {name} is {text!r}; it takes {kind}, finite and at least 0")
    return size


def _named(statistic: str, name: str) -> bool:
    return name in (statistic, statistic.partition("/")[0], statistic.rpartition(": ")[2])


def _joint(columns: Sequence[tuple[float, np.ndarray, Alternative]], rng: np.random.Generator) -> float:
    """The joint p-value of statistics with draws."""
    draws = np.stack([_completed(draws, side, rng) for _, draws, side in columns], axis=1)
    values = np.array([value for value, _, _ in columns])
    alternatives = [side for _, _, side in columns]
    joint = float(joint_p_value(values, draws, alternatives))
    if joint > 1.5 / (len(draws) + 1):
        return joint
    each = [
        float(p_value(value, column, side)) for value, column, side in zip(values, draws.T, alternatives, strict=True)
    ]
    return min(joint, len(each) * float(np.nanmin(each)))


def _completed(draws: np.ndarray, side: Alternative, rng: np.random.Generator) -> np.ndarray:
    """Draws with those that were not made filled in from their predictive law."""
    known = draws[np.isfinite(draws)]
    if len(known) == len(draws) or len(known) < 2:
        return draws
    power = 2 / 3 if side == "discrepancy" else 1.0
    scale = np.sign(known) * np.abs(known) ** power
    spread = scale.std(ddof=1) * math.sqrt(1 + 1 / len(known))
    filled = scale.mean() + spread * rng.standard_t(len(known) - 1, len(draws))
    filled = np.sign(filled) * np.abs(filled) ** (1 / power)
    return np.where(np.isfinite(draws), draws, filled)
