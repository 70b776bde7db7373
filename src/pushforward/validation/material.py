"""What is judged: generated samples, the test members that they should resemble, and other real members for the floor.

Samples are drawn at the test members' own conditions, as many as there are test members. The other real members come
from the training split, so that they also answer whether samples were copied from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pushforward.conditions import Condition, refined
from pushforward.errors import DataError, UsageError
from pushforward.randomness import seed_for
from pushforward.spaces import Field, Series, Space
from pushforward.validation.floor import Floor

if TYPE_CHECKING:
    from pushforward.emulator import Emulator
    from pushforward.ensembles import Ensemble, Parameter

__all__ = ["Material", "gather", "home_ensemble"]

FIELD_SAMPLES = 512
VECTOR_SAMPLES = 5000
OTHERS = 3
"""Other real members for each test member: enough to find one at nearly the same condition."""
FEWEST_OTHERS = 2048
SET_BYTES = 2**27
SMALLEST = 8
CHUNK = 64
REPEATED = 64
"""Test members for whose condition field two further samples are drawn."""
MOST_LEVELS = 64
"""Fields whose real cells have at most so many values are taken to be discrete."""

Watch = Callable[[str, float], None]
"""Called with what is being done and the part of the whole that is done."""


@dataclass(frozen=True)
class Material:
    """Everything that a statistic may look at, in the user's units.

    Attributes:
        space: what one sample is.
        parameters: the columns of ``conditions``.
        generated: shape (n, *space.shape).
        real: shape (n + m, *space.shape); the first n are the test members, the rest other real members.
        conditions: of the real members, shape (n + m, P); the generated samples have the first n.
        floor: real against real.
        training: rows of ``real`` that the model was trained on.
        training_members: how many training members there are in all.
        milliseconds: wall-clock time to generate one sample.
        unit: of the box's sides, where it is known.
        levels: the values that cells can have, rising, where real ones have but few (digits, labels, counts).
        notes: what a reader must know about how the sets were chosen.
        given: the fields that the real members are given with, shape (n + m, channels, *grid), on a grid of their own;
            the generated samples were given the first n. None where conditions are no fields.
        repeats: further samples for the first of the test members' fields, shape (2, q, *space.shape).
    """

    space: Space
    parameters: tuple[Parameter, ...]
    generated: np.ndarray
    real: np.ndarray
    conditions: np.ndarray | None
    floor: Floor
    training: np.ndarray
    training_members: int
    milliseconds: float
    data: str
    exact: Any = None
    unit: str = ""
    levels: np.ndarray | None = None
    notes: tuple[str, ...] = field(default=())
    given: np.ndarray | None = None
    repeats: np.ndarray | None = None

    @property
    def count(self) -> int:
        return len(self.generated)

    @property
    def test(self) -> np.ndarray:
        return self.real[: self.count]

    @property
    def rounded(self) -> np.ndarray:
        """The generated samples, of discrete fields with each value replaced by the nearest one that real cells have.

        What counts cells by their value would otherwise find every sample at fault: where a third of the real cells
        are zero, 0.1 is a value that none of them has.
        """
        if self.levels is None:
            return self.generated
        return self.levels[np.searchsorted((self.levels[1:] + self.levels[:-1]) / 2, self.generated)]

    @property
    def refined(self) -> np.ndarray | None:
        """``given`` on the grid of the members."""
        if self.given is None or not isinstance(self.space, Field):
            return None
        return refined(torch.from_numpy(self.given), self.space.grid).numpy()

    def given_to(self, rows: np.ndarray) -> Condition | None:
        """What some real members are given with, as an emulator takes it; None for nothing."""
        if self.conditions is None and self.given is None:
            return None
        parts = (self.conditions, self.given)
        return Condition(*(None if part is None else torch.from_numpy(part[rows]) for part in parts))

    @property
    def labels(self) -> tuple[int, ...]:
        """Columns of ``conditions`` that hold a class."""
        return tuple(column for column, parameter in enumerate(self.parameters) if parameter.classes)


def home_ensemble(emulator: Emulator) -> Ensemble | None:
    """The data that the emulator was trained on, read again; None if it was an array in memory.

    Raises:
        DataError: if the data are not where they were, or have changed.
    """
    recorded = emulator.config.get("data") or {}
    if not recorded.get("spec"):
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
    emulator: Emulator, ensemble: Ensemble | None, *, samples: int | None = None, seed: int = 0, watch: Watch
) -> Material:
    """Choose the members, generate the samples, and plan the repetitions.

    Arguments:
        ensemble: judged by its test split if the emulator was trained on it, whole if it is another data set; None
            reads the training data again.
        samples: how many to generate at most; None suits the space.
        watch: told about the progress.

    Raises:
        UsageError: if there are no data to judge by, or they are not what the emulator makes.
    """
    watch("reading the data", 0.0)
    test, others, trained = _sources(emulator, ensemble)
    _check(emulator, test)
    rng = np.random.default_rng([seed, 0])
    space, notes = emulator.space, []

    most = FIELD_SAMPLES if isinstance(space, Field) else VECTOR_SAMPLES
    most = max(SMALLEST, min(samples or most, SET_BYTES // (4 * space.size)))
    if others is None:
        test, others = _halves(test, rng)
        notes.append("Half of these data are the reference, the other half tells the floor.")
    chosen = _some(len(test), most, rng)
    if len(chosen) < len(test):
        notes.append(f"{len(chosen):,} of {len(test):,} test members are used.")
    rest = _some(len(others), min(max(OTHERS * len(chosen), FEWEST_OTHERS), 2 * SET_BYTES // (4 * space.size)), rng)
    if trained and len(rest) < len(others):
        notes.append(f"Copies are looked for among {len(rest):,} of {len(others):,} training members.")

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

    generated, milliseconds = _generate(emulator, count, condition, seed, watch)
    repeats = None
    if given is not None:
        again = [_generate(emulator, min(count, REPEATED), condition, seed + number, watch)[0] for number in (1, 2)]
        repeats = np.stack(again)
    # a value of a series may be missing, but not all of them
    missing = np.isnan(generated) if isinstance(space, Series) else np.zeros(generated.shape, bool)
    broken = ~(np.isfinite(generated) | missing).reshape(count, -1).all(axis=1)
    if isinstance(space, Series):
        broken |= missing[..., int(space.timed) :].reshape(count, -1).all(axis=1)
    if broken.any():
        raise UsageError(
            f"{int(broken.sum())} of {count} generated samples hold values that are not finite; train the model "
            "longer, "
            "or with a smaller learning rate, before it is judged"
        )
    levels = _levels(real) if isinstance(space, Field) else None
    if levels is not None:
        notes.append(
            f"Real cells have but {len(levels)} values, {levels[0]:g} to {levels[-1]:g}; the PDF, peaks and Minkowski "
            "functionals of generated ones are taken after rounding to them."
        )
    return Material(
        space=space,
        parameters=tuple(emulator.parameters),
        generated=generated,
        real=real,
        conditions=conditions,
        floor=floor,
        training=np.arange(count, len(real)) if trained else np.arange(0),
        training_members=len(others) if trained else 0,
        milliseconds=milliseconds,
        data=test.name,
        exact=getattr(test, "exact", None),
        levels=levels,
        unit="Mpc/h" if any("Mpc/h" in note for note in test.notes) else "",
        notes=tuple(notes),
        given=given,
        repeats=repeats,
    )


def _with_conditions(
    test: Ensemble, chosen: np.ndarray, others: Ensemble, rest: np.ndarray
) -> tuple[np.ndarray, Condition | None]:
    """Members of two ensembles, the first of them first, and what they are given with."""
    (x, given), (y, more) = test.take_given(chosen), others.take_given(rest)
    joined = None if given is None or more is None else Condition.cat([given, more])
    return np.concatenate([x, y]), joined


def _sources(emulator: Emulator, ensemble: Ensemble | None) -> tuple[Ensemble, Ensemble | None, bool]:
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


def _check(emulator: Emulator, test: Ensemble) -> None:
    if tuple(test.space.shape) != tuple(emulator.space.shape):
        raise UsageError(
            f"{test.name} has samples of shape {tuple(test.space.shape)}, but the emulator makes samples of shape "
            f"{tuple(emulator.space.shape)}"
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
            f"the emulator is given {f'fields of shape {own}' if own else 'no fields'}, but {test.name} comes with "
            f"{have}; read it with condition=... (--condition FILE), or with condition=False"
        )
    if len(test) < SMALLEST:
        raise UsageError(f"{len(test)} test members are too few to judge by; at least {SMALLEST} are needed")


def _halves(ensemble: Ensemble, rng: np.random.Generator) -> tuple[Ensemble, Ensemble]:
    names, member = np.unique(ensemble.groups, return_inverse=True)
    if len(names) < SMALLEST:
        first = rng.permutation(len(ensemble)) < len(ensemble) // 2
    else:
        first = (rng.permutation(len(names)) < len(names) // 2)[member]
    return ensemble.subset(np.flatnonzero(first)), ensemble.subset(np.flatnonzero(~first))


def _some(total: int, most: int, rng: np.random.Generator) -> np.ndarray:
    return np.arange(total) if total <= most else np.sort(rng.choice(total, most, replace=False))


def _levels(fields: np.ndarray) -> np.ndarray | None:
    """The values of discrete fields, rising; None if they are not discrete."""
    # Most fields are seen to be continuous by their first cells.
    if len(np.unique(fields.ravel()[: 4 * MOST_LEVELS])) > MOST_LEVELS:
        return None
    levels = np.unique(fields)
    return levels if 1 < len(levels) <= MOST_LEVELS and fields.size > 4 * MOST_LEVELS else None


def _generate(
    emulator: Emulator, count: int, condition: Condition | None, seed: int, watch: Watch
) -> tuple[np.ndarray, float]:
    """Samples at the first of the conditions, and milliseconds a sample (without the first chunk, which warms up)."""
    chunk = CHUNK if isinstance(emulator.space, Field) else count
    parts, times = [], []
    for index, start in enumerate(range(0, count, chunk)):
        watch("generating samples", start / count)
        size = min(chunk, count - start)
        begun = time.perf_counter()
        with torch.no_grad():
            if condition is not None:
                x = emulator.sample_at(condition[start : start + size], seed=seed_for(seed, index))
            else:
                x = emulator.sample(size, seed=seed_for(seed, index))
        parts.append(x.detach().cpu().numpy())
        times.append((time.perf_counter() - begun) / size)
    watch("generating samples", 1.0)
    return np.concatenate(parts), 1000 * float(np.median(times[1:] or times))
