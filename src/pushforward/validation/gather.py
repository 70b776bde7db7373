"""Gather evaluation data: choose members, generate samples at their conditions, and plan the repetitions.

Samples are drawn at the conditions of the test members, as many as there are test members. The other real members come
from the training split, so that they also serve the search for copies.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from pushforward.conditions import Condition
from pushforward.ensembles.source import FEWEST_TO_JUDGE
from pushforward.errors import DataError, UsageError
from pushforward.randomness import Purpose, seed_for
from pushforward.spaces import Space
from pushforward.validation.chosen_rows import halves, some
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.floor import Floor
from pushforward.validation.gap_flags import FlaggedEmulator
from pushforward.validation.judgeable import Judgeable
from pushforward.validation.kinds import kind_of

if TYPE_CHECKING:
    from pushforward.ensembles import Ensemble

__all__ = ["Watch", "assemble", "gather", "home_ensemble", "most_members"]

OTHERS = 3
"""Number of other real members per test member: enough to find one at nearly the same condition."""
FEWEST_OTHERS = 2048
"""Number of other real members that are taken in any case, where there are so many."""
SET_BYTES = 2**27
"""Largest memory of the test members, in bytes of float32."""
SMALLEST = FEWEST_TO_JUDGE
REPEATED = 64
"""Number of test members with two further samples at their condition field."""
FEW_GROUPS = 5
"""Number of independent groups below which a note says so."""

Watch = Callable[[str, float], None]
"""Function called with the name of the current task and its completed fraction."""
Draw = Callable[[Condition | None, int, int], tuple[np.ndarray, float]]
"""Samples at conditions, and milliseconds per sample; arguments as in `assemble`."""


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
    if isinstance(emulator, FlaggedEmulator):
        _check(emulator, test, emulator.flags.given)
        test, others = (each and emulator.flags.of_ensemble(each) for each in (test, others))

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
    _check(emulator, test, emulator.space)
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
    notes += _notes_on(levels, len(np.unique(groups[:count])))
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


def _notes_on(levels: np.ndarray | None, independent: int) -> list[str]:
    """Notes on discrete values and on few independent groups of test members."""
    notes = []
    if levels is not None:
        notes.append(
            f"Real cells have but {len(levels)} values, {levels[0]:g} to {levels[-1]:g}; the PDF, peaks and Minkowski "
            "functionals of generated ones are taken after rounding to them."
        )
    if independent < FEW_GROUPS:
        notes.append(
            f"The test members are of {independent} independent group(s) only: their common fluctuations cannot be "
            "distinguished from a defect."
        )
    return notes


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


def _check(emulator: Judgeable, test: Ensemble, space: Space) -> None:
    if tuple(test.space.shape) != tuple(space.shape):
        raise UsageError(
            f"{test.name} has samples of shape {tuple(test.space.shape)}, but the emulator makes samples of shape "
            f"{tuple(space.shape)}"
        )
    columns, others = (getattr(each, "names", ()) for each in (space, test.space))
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
