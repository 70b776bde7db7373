"""`judge`: comparison of the samples of any code with data, in the report of an emulator."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.arguments import checked
from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles import Ensemble, Parameter
from pushforward.ensembles.source import FEWEST_TO_JUDGE
from pushforward.errors import UsageError
from pushforward.randomness import Purpose
from pushforward.spaces import Space, Vector
from pushforward.validation.battery import statistics_named
from pushforward.validation.chosen_rows import halves, some
from pushforward.validation.floor import match
from pushforward.validation.gap_flags import GapFlags
from pushforward.validation.gather import assemble, most_members
from pushforward.validation.measure import Tolerances
from pushforward.validation.report import Report
from pushforward.validation.sample_report import report_on
from pushforward.validation.statistic import Statistic
from pushforward.validation.validate import judging, write

__all__ = ["judge"]

_INSPECTED = 65536
"""Members whose medians stand in the place of missing values."""
LogProb = Callable[[Tensor, Condition | None], Tensor]


@dataclass
class _Given:
    """Existing samples as a `Judgeable`."""

    name: str
    space: Space
    parameters: tuple[Parameter, ...]
    condition_space: ConditionSpace
    density: LogProb | None = None
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def abilities(self) -> tuple[str, ...]:
        return ("density",) if self.density is not None else ()

    def sample(self, n: int, *, seed: int | None = None) -> Tensor:
        raise UsageError(f"{self.name} are given; no others can be drawn")

    def sample_at(self, condition: Condition, *, seed: int | None = None) -> Tensor:
        raise UsageError(f"{self.name} are given; no others can be drawn")

    def log_prob(self, x: Any, condition: Condition | None = None) -> Tensor:
        if self.density is None:
            raise UsageError(f"{self.name} come without a density; give log_prob=")
        return self.density(x, condition)


@checked(most=2)
def judge(
    samples: Ensemble | ArrayLike | Tensor,
    data: Ensemble | ArrayLike | Tensor,
    *,
    condition: ArrayLike | Literal[False] | None = None,
    train: Ensemble | ArrayLike | Tensor | None = None,
    log_prob: LogProb | None = None,
    name: str = "samples",
    out: str | Path | None = None,
    statistics: Sequence[Statistic | str] = (),
    tolerances: Tolerances | None = None,
    most: int | None = None,
    seed: int = 0,
    command: str = "",
    progress: bool = True,
) -> Report:
    """Compare samples of any code with unseen data, in the same report as `validate`.

    Arguments:
        samples: shape ``(n, *shape)``, in the units of the data. Where the data come with conditions, the samples
            belong to the members of ``data`` row by row, unless ``condition`` says at which conditions they were made.
        data: members that the code has not seen, an `Ensemble` or an array.
        condition: of the samples, shape ``(n, parameters)``; each sample is set beside the member at the nearest
            condition. Where ``data`` has no conditions and as many members, it is theirs, too. False: the samples have
            none; classes among the conditions of ``data`` are then counted in both sets.
        train: training members of the code, for the search for copies and for the floor. Without them, or if they lack
            the conditions of ``data``, half of ``data`` gives the floor.
        log_prob: log-density of the code, ``(x, condition) -> (n,)``, in nats.
        name: of the samples, for the head of the page.
        out: directory for ``report.html`` and ``report.json``; None writes nothing.
        statistics, tolerances: as in `validate`.
        most: largest number of samples and members to compare; None for the default of the space.
        seed: seed of all random numbers.
        command: command that repeats the judgement.

    Raises:
        UsageError: if the shapes do not fit, there are too few members, or samples are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> report = judge(rng.normal(size=(400, 2)), rng.normal(size=(800, 2)), progress=False)
        >>> report.verdict("marginals").verdict
        'at the floor'
    """
    begun = time.perf_counter()
    test = _ensemble(data, None, "data")
    more = statistics_named(statistics, test.space)
    made = _ensemble(samples, test.space, name)
    trained = None if train is None else _ensemble(train, test.space, "training data")
    flags = _flags_of(test, made, trained)
    if flags is not None:
        test, made = flags.of_ensemble(test), flags.of_ensemble(made)
        trained = None if trained is None else flags.of_ensemble(trained)
        log_prob = None if log_prob is None else _of_gaps(log_prob, flags)
    test, made = _with_conditions(test, made, trained, condition)
    beside = test.with_conditions(None) if condition is False else test
    rng = np.random.default_rng([seed, Purpose.PARTNERS])
    others, unseen = _others(test, trained, rng)
    given = None if condition is False else condition
    chosen, members = _paired(made, beside, unseen, given, rng, most_members(test.space, most))
    if made.space.shape != test.space.shape:
        raise UsageError(
            f"{name} have shape {tuple(made.space.shape)} each, but members of {test.name} {tuple(test.space.shape)}"
        )
    _refuse_too_few(made, test, len(members), halved=others is not trained)
    emulator = _Given(name, test.space, beside.parameters, beside.condition_space, log_prob)
    drawn = made.take(chosen)
    with judging(progress) as watch:
        evaluation = assemble(
            emulator,
            test.subset(members),
            others,
            lambda *_: (drawn, float("nan")),
            train=trained,
            seed=seed,
            whole=True,
        )
        report = report_on(emulator, evaluation, seed, begun, watch, more, tolerances, command)
        write(report, out, watch)
    return report


def _ensemble(values: Any, space: Space | None, name: str) -> Ensemble:
    if isinstance(values, Ensemble):
        return values
    array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    return Ensemble.from_array(array, space=space, name=name)


def _flags_of(test: Ensemble, made: Ensemble, trained: Ensemble | None) -> GapFlags | None:
    """Flags of the gaps of any of these sets of vectors, with the medians of the data; None if there is no gap."""
    gaps = {gap for each in (test, made, trained) if each is not None for gap in getattr(each.space, "gaps", ())}
    if not gaps or not hasattr(test.space, "gaps") or made.space.shape != test.space.shape:
        return None
    space = cast(Vector, test.space)
    seen = test.take(np.arange(min(len(test), _INSPECTED)))
    return GapFlags(replace(space, gaps=tuple(sorted(gaps))), np.nan_to_num(np.nanmedian(seen, axis=0)))


def _of_gaps(log_prob: LogProb, flags: GapFlags) -> LogProb:
    return lambda x, condition: log_prob(flags.inverse(x), condition)


def _with_conditions(
    test: Ensemble, made: Ensemble, trained: Ensemble | None, condition: ArrayLike | Literal[False] | None
) -> tuple[Ensemble, Ensemble]:
    """Data and samples, both with conditions where the data or the user have them for the data.

    Raises:
        UsageError: if conditions are given for data without any, and are not one row per member.
    """
    if condition is False:
        return test, made.with_conditions(None)
    if test.conditions is not None:
        return test, made
    if condition is not None:
        rows = np.atleast_1d(np.asarray(condition))
        if len(rows) != len(test) or (trained is not None and trained.conditions is None):
            raise UsageError(
                f"{len(rows)} conditions were given for {len(test)} members of {test.name}, which has none; read the "
                "data (and the training data) with their conditions"
            )
        return test.with_conditions(rows), made
    if test.condition_field is None and made.conditions is not None:
        return test, made.with_conditions(None)
    return test, made


def _others(test: Ensemble, trained: Ensemble | None, rng: np.random.Generator) -> tuple[Ensemble, np.ndarray]:
    """Members that give the floor, and the rows of ``test`` that are left to judge by.

    The first are the training members if they have the conditions of ``test``, else half of ``test``.
    """
    if (
        trained is not None
        and trained.parameters == test.parameters
        and trained.condition_field == test.condition_field
    ):
        return trained, np.arange(len(test))
    unseen, rest = halves(test, rng)
    return test.subset(rest), unseen


def _refuse_too_few(made: Ensemble, test: Ensemble, count: int, *, halved: bool) -> None:
    """Raise unless there are enough members to judge by.

    Arguments:
        count: members that samples are compared with.
        halved: whether half of the data give the floor.
    """
    if count >= FEWEST_TO_JUDGE:
        return
    half = ", half of which give the floor; training members (train=, --train) spare them" if halved else ""
    raise UsageError(
        f"{len(made)} samples and {len(test)} members of {test.name}{half}: too few to judge by; at least "
        f"{FEWEST_TO_JUDGE} samples are compared with as many members"
    )


def _paired(
    made: Ensemble, test: Ensemble, unseen: np.ndarray, condition: ArrayLike | None, rng: np.random.Generator, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the samples and of the members that they are set beside."""
    if test.conditions is None and test.condition_field is None:
        count = min(len(made), len(unseen), most)
        return some(len(made), count, rng), unseen[some(len(unseen), count, rng)]
    given = condition if condition is not None else made.conditions
    if given is None or test.condition_field is not None:
        if len(made) != len(test):
            raise UsageError(
                f"{test.name} has conditions, and {len(made)} samples belong to its {len(test)} members row by row; "
                "give as many samples, or their conditions (condition=, or columns of that name in their file)"
            )
        rows = unseen[some(len(unseen), most, rng)]
        return rows, rows
    wanted = np.asarray(given, dtype=float).reshape(len(made), -1)
    conditions = cast(np.ndarray, test.conditions)
    if wanted.shape[1] != conditions.shape[1]:
        raise UsageError(
            f"conditions of {wanted.shape[1]} numbers were given for samples, but {test.name} has {conditions.shape[1]}"
        )
    rows = unseen[some(len(unseen), most, rng)]
    labels = [column for column, parameter in enumerate(test.parameters) if parameter.classes]
    beside, own = match(conditions[rows], wanted, labels)
    return own, rows[beside]
