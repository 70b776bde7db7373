"""Evaluation data: generated samples, the test members that they should resemble, other real members for the floor.

Samples are drawn at the conditions of the test members, as many as there are test members. The other real members come
from the training split, so that they also serve the search for copies.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import numpy as np
import torch

from pushforward.conditions import Condition, refined
from pushforward.ensembles.source import FEWEST_TO_JUDGE
from pushforward.errors import DataError, UsageError
from pushforward.randomness import Purpose, seed_for
from pushforward.spaces import Space
from pushforward.validation.chosen_rows import halves, some
from pushforward.validation.floor import Floor
from pushforward.validation.judgeable import Judgeable
from pushforward.validation.kinds import kind_of

if TYPE_CHECKING:
    from pushforward.ensembles import Ensemble, Parameter

__all__ = ["EvaluationData", "Watch", "assemble", "gather", "halves", "home_ensemble", "most_members", "some"]

OTHERS = 3
"""Number of other real members per test member: enough to find one at nearly the same condition."""
FEWEST_OTHERS = 2048
SET_BYTES = 2**27
SMALLEST = FEWEST_TO_JUDGE
REPEATED = 64
"""Number of test members with two further samples at their condition field."""

_ALONG = {"field": "channel ", "series": "observation ", "particles": "particle "}
"""Words for the places along the first axis of a sample; coordinates of a vector are x1, x2, ..."""

T = TypeVar("T")
S = TypeVar("S", bound=Space)

FEW_GROUPS = 5
Watch = Callable[[str, float], None]
"""Function called with the name of the current task and its completed fraction."""
Draw = Callable[[Condition | None, int, int], tuple[np.ndarray, float]]


@dataclass(frozen=True)
class EvaluationData(Generic[S]):
    """Data available to a statistic, in the user's units.

    Attributes:
        space: space of a sample.
        parameters: parameters in the columns of ``conditions``.
        generated: samples, shape (n, *space.shape).
        real: real members, shape (n + m, *space.shape); the first n are the test members.
        conditions: conditions of the real members, shape (n + m, P); the generated samples have the first n.
        floor: repetitions of real against real.
        groups: groups of the real members, shape (n + m,).
        train: all training members; None if unavailable.
        training_members: number of all training members.
        milliseconds: wall-clock time to generate one sample.
        units: units of the values, of each coordinate or channel, or one for all; empty if unknown.
        unit: unit of the box's sides, if known.
        levels: possible values of cells in ascending order, if real ones have only a few (digits, labels, counts).
        notes: notes for the reader on the selection of the sets.
        given: condition fields of the real members, shape (n + m, channels, *grid), on their own grid; the generated
            samples have the first n. None without condition fields.
        repeats: further samples at the first of the test members' condition fields, shape (2, q, *space.shape).
        classes: names of the classes of the data, if the samples were not asked for a class.
        of_class: class of each real member, from 0; None without such classes.
    """

    space: S
    parameters: tuple[Parameter, ...]
    generated: np.ndarray
    real: np.ndarray
    conditions: np.ndarray | None
    floor: Floor
    groups: np.ndarray
    train: Ensemble | None
    milliseconds: float
    name: str
    exact: Any = None
    units: tuple[str, ...] = ()
    unit: str = ""
    levels: np.ndarray | None = None
    notes: tuple[str, ...] = field(default=())
    given: np.ndarray | None = None
    repeats: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    of_class: np.ndarray | None = None
    memo: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def derived(self, function: Callable[[EvaluationData], T]) -> T:
        """Result of a function of the evaluation data, computed once."""
        if function not in self.memo:
            self.memo[function] = function(self)
        return cast(T, self.memo[function])

    @property
    def training_members(self) -> int:
        return 0 if self.train is None else len(self.train)

    @property
    def own_groups(self) -> np.ndarray | None:
        """Groups of the test members, shared by the samples at their conditions; None if all are independent."""
        groups = self.groups[: self.count]
        names = len(np.unique(groups))
        return groups if 2 <= names < self.count and self.conditioned else None

    @property
    def conditioned(self) -> bool:
        """Whether each sample belongs to a test member."""
        return self.conditions is not None or self.given is not None

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the coordinates or channels along the first axis of a sample."""
        names, count = tuple(getattr(self.space, "names", ())), self.real.shape[1]
        if names or (self.space.kind == "field" and count == 1):
            return names or ("value",)
        word = _ALONG.get(self.space.kind, "x")
        return tuple(f"{word}{i + 1}" for i in range(count))

    @property
    def count(self) -> int:
        return len(self.generated)

    @property
    def test(self) -> np.ndarray:
        return self.real[: self.count]

    @property
    def rounded(self) -> np.ndarray:
        """Generated samples; for discrete fields, with each value replaced by the nearest value of real cells.

        Otherwise every statistic of cell values would reject all samples: if a third of the real cells are zero, none
        of them has the value 0.1.
        """
        if self.levels is None:
            return self.generated
        return self.levels[np.searchsorted((self.levels[1:] + self.levels[:-1]) / 2, self.generated)]

    @property
    def refined(self) -> np.ndarray | None:
        """``given`` on the grid of the members."""
        if self.given is None:
            return None
        return refined(torch.from_numpy(self.given), self.real.shape[2:]).numpy()

    def given_to(self, rows: np.ndarray) -> Condition | None:
        """Conditions of some real members, in the form that an emulator accepts; None without conditions."""
        if self.conditions is None and self.given is None:
            return None
        parts = (self.conditions, self.given)
        return Condition(*(None if part is None else torch.from_numpy(part[rows]) for part in parts))

    @property
    def labels(self) -> tuple[int, ...]:
        """Columns of ``conditions`` that hold a class."""
        return tuple(column for column, parameter in enumerate(self.parameters) if parameter.classes)


def home_ensemble(emulator: Judgeable) -> Ensemble | None:
    """Training data of the emulator, read again; None if they were an array in memory, or not an ensemble.

    Raises:
        DataError: if the data have moved or changed.
    """
    recorded = emulator.config.get("data") or {}
    if not recorded.get("spec") or recorded.get("kind") in ("energy", "pair"):
        return None
    from pushforward.ensembles import read

    ensemble = read(**recorded["spec"])
    if recorded.get("fingerprint") not in (None, ensemble.fingerprint):
        raise DataError(
            f"{ensemble.name} is not the data that this run was trained on: it has changed since; "
            "give the data to judge it by after the run directory"
        )
    return ensemble


def gather(
    emulator: Judgeable, ensemble: Ensemble | None, *, samples: int | None = None, seed: int = 0, watch: Watch
) -> EvaluationData:
    """Choose the members, generate the samples, and plan the repetitions.

    Arguments:
        ensemble: judged by its test split if the emulator was trained on it, whole if it is another data set; None
            reads the training data again.
        samples: how many to generate at most; None suits the space.
        watch: function called with the progress.

    Raises:
        UsageError: if there are no data to judge by, or they are not what the emulator makes.
    """
    watch("reading the data", 0.0)
    test, others, trained = _sources(emulator, ensemble)

    def draw(condition: Condition | None, count: int, turn: int) -> tuple[np.ndarray, float]:
        return _generate(emulator, count, condition, seed + turn, watch)

    return assemble(emulator, test, others, draw, train=others if trained else None, samples=samples, seed=seed)


def assemble(
    emulator: Judgeable,
    test: Ensemble,
    others: Ensemble | None,
    draw: Draw,
    *,
    train: Ensemble | None = None,
    samples: int | None = None,
    seed: int = 0,
    whole: bool = False,
) -> EvaluationData:
    """Evaluation data from test members, other real members, and a function that samples at the test conditions.

    Arguments:
        others: None takes half of the test members.
        draw: of a condition, a number of samples and the turn (0; 1 and 2 for repeats) to samples and milliseconds
            per sample.
        train: members that the model was trained on.
        samples: at most; None suits the space.
        whole: whether ``draw`` has as many samples as there are test members, in their order.

    Raises:
        UsageError: if the data are not what is judged, or samples are not finite.
    """
    _check(emulator, test)
    rng = np.random.default_rng([seed, Purpose.JUDGED_MEMBERS])
    space, notes, kind = emulator.space, [], kind_of(emulator.space)
    most = most_members(space, samples)
    if others is None:
        first, second = halves(test, rng)
        test, others = test.subset(first), test.subset(second)
        notes.append(
            "Half of these data are the reference, half give the floor: more statistics of a perfect set lie beyond it "
            "than stated, though the joint p-value holds. Training members spare this."
        )
    chosen = np.arange(len(test)) if whole else some(len(test), most, rng)
    if len(chosen) < len(test):
        notes.append(f"{len(chosen):,} of {len(test):,} test members are used.")
    rest = some(len(others), min(max(OTHERS * len(chosen), FEWEST_OTHERS), 2 * SET_BYTES // (4 * space.size)), rng)

    classes, of_class = ((), None) if emulator.parameters else _classes((test, chosen), (others, rest))
    if not emulator.parameters:
        test, others = test.with_conditions(None), others.with_conditions(None)
    real, condition = _with_conditions(test, chosen, others, rest)
    conditions = None if condition is None or condition.numbers is None else condition.numbers.numpy()
    given = None if condition is None or condition.field is None else condition.field.numpy()
    # Groups are numbered within an ensemble; members of two ensembles are never one group.
    groups = np.concatenate([test.groups[chosen], others.groups[rest] + 1 + test.groups.max()])
    labels = [column for column, parameter in enumerate(emulator.parameters) if parameter.classes]
    count = len(chosen)
    floor = Floor.build(groups, count, conditions=conditions, labels=labels, together=given is not None, seed=seed)

    generated, milliseconds = draw(condition, count, 0)
    repeats = None
    if given is not None and not whole:
        repeats = np.stack([draw(condition, min(count, REPEATED), turn)[0] for turn in (1, 2)])
    _check_finite(generated, space)
    levels = kind.levels(real)
    if levels is not None:
        notes.append(
            f"Real cells have but {len(levels)} values, {levels[0]:g} to {levels[-1]:g}; the PDF, peaks and Minkowski "
            "functionals of generated ones are taken after rounding to them."
        )
    if len(np.unique(groups[:count])) < FEW_GROUPS:
        notes.append(
            f"The test members are of {len(np.unique(groups[:count]))} independent group(s) only: their common "
            "fluctuations cannot be told from a defect."
        )
    return EvaluationData(
        space=space,
        parameters=tuple(emulator.parameters),
        generated=generated,
        real=real,
        conditions=conditions,
        floor=floor,
        groups=groups,
        train=train if emulator.parameters or train is None else train.with_conditions(None),
        milliseconds=milliseconds,
        name=test.name,
        exact=getattr(test, "exact", None),
        levels=levels,
        units=tuple(getattr(test, "units", ())),
        unit=test.length_unit,
        notes=tuple(notes),
        given=given,
        repeats=repeats,
        classes=classes,
        of_class=of_class,
    )


def _classes(*parts: tuple[Ensemble, np.ndarray]) -> tuple[tuple[str, ...], np.ndarray | None]:
    """Names of the classes of the data, and that of each chosen member, where some condition is a class."""
    first = parts[0][0]
    for column, parameter in enumerate(first.parameters):
        if parameter.classes and all(part.parameters == first.parameters for part, _ in parts):
            values = [part.conditions[rows, column] for part, rows in parts if part.conditions is not None]
            return tuple(map(str, parameter.classes)), np.concatenate(values).round().astype(int)
    return (), None


def _check_finite(generated: np.ndarray, space: Space) -> None:
    broken, count = kind_of(space).broken(generated, space), len(generated)
    if broken.any():
        raise UsageError(
            f"{int(broken.sum())} of {count} generated samples hold values that are not finite; train the model "
            "longer, or with a smaller learning rate, before it is judged"
        )


def _with_conditions(
    test: Ensemble, chosen: np.ndarray, others: Ensemble, rest: np.ndarray
) -> tuple[np.ndarray, Condition | None]:
    """Members of two ensembles, concatenated, and their conditions."""
    (x, given), (y, more) = test.take_given(chosen), others.take_given(rest)
    joined = None if given is None or more is None else Condition.cat([given, more])
    return np.concatenate([x, y]), joined


def _sources(emulator: Judgeable, ensemble: Ensemble | None) -> tuple[Ensemble, Ensemble | None, bool]:
    """The test members, other real members (None: take them from the test ones), and whether those are trained on."""
    fingerprint = (emulator.config.get("data") or {}).get("fingerprint")
    if ensemble is not None and ensemble.fingerprint == fingerprint:
        return ensemble.test, ensemble.train, True
    home = home_ensemble(emulator)
    if ensemble is None:
        if home is None:
            raise UsageError("this emulator was trained on an array in memory; give the ensemble to judge it by")
        return home.test, home.train, True
    if home is not None and ensemble.fingerprint == home.test.fingerprint:
        return ensemble, home.train, True
    return ensemble, None, False


def _check(emulator: Judgeable, test: Ensemble) -> None:
    if tuple(test.space.shape) != tuple(emulator.space.shape):
        raise UsageError(
            f"{test.name} has samples of shape {tuple(test.space.shape)}, but the emulator makes samples of shape "
            f"{tuple(emulator.space.shape)}"
        )
    columns, others = (getattr(each.space, "names", ()) for each in (emulator, test))
    if columns != others and set(columns) & set(others):
        raise UsageError(
            f"{test.name} has the columns {', '.join(others)}, but the emulator makes {', '.join(columns)}; read it "
            "with columns=... in that order"
        )
    wanted, given = [p.name for p in emulator.parameters], [p.name for p in test.parameters]
    if wanted and wanted != given:
        raise UsageError(
            f"the emulator is conditional on {', '.join(wanted)}, but {test.name} comes with "
            f"{', '.join(given) or 'no conditions'}; read it with condition=..."
        )
    own, its = (None if each is None else each.shape for each in (emulator.condition_space.field, test.condition_field))
    if own != its:
        have = f"fields of shape {its}" if its else "no condition fields"
        raise UsageError(
            f"the emulator needs {f'fields of shape {own}' if own else 'no fields'}, but {test.name} comes with "
            f"{have}; read it with condition=... (--condition FILE), or with condition=False"
        )
    if len(test) < SMALLEST:
        raise UsageError(f"{len(test)} test members of {test.name} are too few to judge by; give at least {SMALLEST}")


def most_members(space: Space, samples: int | None = None) -> int:
    """Largest number of samples, and of test members, in the comparison."""
    return max(SMALLEST, min(samples or kind_of(space).samples, SET_BYTES // (4 * space.size)))


def _generate(
    emulator: Judgeable, count: int, condition: Condition | None, seed: int, watch: Watch
) -> tuple[np.ndarray, float]:
    """Samples at the first conditions, and milliseconds per sample (without the first chunk, a warm-up)."""
    chunk = kind_of(emulator.space).chunk or count
    parts, times = [], []
    for index, start in enumerate(range(0, count, chunk)):
        watch("generating samples", start / count)
        size = min(chunk, count - start)
        begun = time.perf_counter()
        with torch.no_grad():
            if condition is not None:
                x = emulator.sample_at(
                    condition[start : start + size], seed=seed_for(seed, index, Purpose.JUDGED_SAMPLES)
                )
            else:
                x = emulator.sample(size, seed=seed_for(seed, index, Purpose.JUDGED_SAMPLES))
        parts.append(x.detach().cpu().numpy())
        times.append((time.perf_counter() - begun) / size)
    watch("generating samples", 1.0)
    return np.concatenate(parts), 1000 * float(np.median(times[1:] or times))
