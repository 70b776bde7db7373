"""Real data against real data, and error bars from the finite number of samples.

Every statistic is a function D(a, b) of two sets of rows, one row per sample. Its value is D(generated, test); its
floor is D(a, b) for two real sets as large, at the same conditions; its error is the scatter of D over resamplings.

**The floor.** Without conditions, a and b are random disjoint halves of the real members. With conditions, every test
member is paired with the real member that is nearest to it in standardised conditions (an optimal assignment, so no
member is used twice), and a coin decides for every group which of the two goes into a and which into b. This repeats
the comparison of generated with test samples, with the same scatter of conditions, where the truth is "no difference".

**The error.** Groups (simulations) of the test set are drawn with replacement, and the generated samples with them if
they were made at the test members' conditions; otherwise the generated samples are independent and drawn separately.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from pushforward.randomness import Purpose
from pushforward.statistics import discrepancy_error, half_sample_error, half_samples

__all__ = ["Floor", "Measure", "Measured", "match", "silent"]

Measure = Callable[[np.ndarray, np.ndarray], Any]
Pairs = tuple[tuple[np.ndarray, np.ndarray], ...]

REPETITIONS = 100
"""Numbers of draws of the floor, and of resamplings for an error, of a cheap statistic."""
FEWEST, CHEAP = 20, 300
"""Draws of a statistic of points and their neighbours: fewer the more points beyond `CHEAP`, but so many at least."""
HALVES = 8
"""Half samples for the error of such a statistic."""
MATCHINGS, FEW = 5, 500
"""Assignments of other members to the test members; twice as many where few members make them cheap."""
SMALLEST_GROUPS = 5


@dataclass(frozen=True)
class Measured:
    """One or several statistics, their standard errors, and draws of their floor.

    Attributes:
        value, error: numbers, or arrays of one shape.
        floor: with an axis of draws in front; NaN where a draw was not made.
    """

    value: Any
    error: Any
    floor: np.ndarray


@dataclass(frozen=True)
class Floor:
    """Repetitions shared by all statistics.

    Attributes:
        count: test members; they are the first rows of the real ones, and as many samples are generated.
        pairs: two arrays of rows of the real members, for each repetition of real against real.
        resamplings: rows of the generated samples and rows of the test members, for each bootstrap.
        halves: the same for random halves without replacement, for distances that repeated points would distort.
        units: independent samples, or groups, of the test set; 0 if not known.
    """

    count: int
    pairs: Pairs
    resamplings: Pairs
    halves: Pairs
    units: int = 0

    @classmethod
    def build(
        cls,
        groups: np.ndarray,
        count: int,
        *,
        conditions: np.ndarray | None = None,
        labels: Sequence[int] = (),
        together: bool = False,
        seed: int = 0,
    ) -> Floor:
        """Choose all repetitions.

        Arguments:
            groups: of the real members, shape (R,); the first ``count`` are the test members.
            conditions: of the real members, shape (R, P); None if there are none.
            labels: columns of ``conditions`` that hold a class, not a number.
            together: whether each generated sample belongs to its test member, as it does with conditions.
        """
        together = together or conditions is not None
        rng = np.random.default_rng([seed, Purpose.FLOOR])
        if conditions is None:
            pairs = tuple(_split(groups, count, rng) for _ in range(REPETITIONS))
        else:
            pairs = _matched(groups, count, conditions, labels, rng)
        units = groups[:count] if len(np.unique(groups[:count])) >= SMALLEST_GROUPS else np.arange(count)
        resamplings, halves = [], []
        for _ in range(REPETITIONS):
            rows = _bootstrap(units, rng)
            resamplings.append((rows if together else rng.integers(count, size=count), rows))
        for half in half_samples(count, HALVES, units, seed=seed) if len(np.unique(units)) > 1 else ():
            rows = half.numpy()
            halves.append((rows if together else rng.permutation(count)[: len(rows)], rows))
        return cls(count, pairs, tuple(resamplings), tuple(halves), len(np.unique(units)))

    def measure(
        self, distance: Measure, generated: np.ndarray, real: np.ndarray, *, positive: bool = False
    ) -> Measured:
        """A statistic of means and covariances, with 100 repetitions and a bootstrap.

        Arguments:
            distance: D(a, b) of two arrays of rows; one number, or an array of them.
            generated: shape (count, ...), real: shape (R, ...): one row per sample.
            positive: whether D is positive by construction, so that its error near the floor is that of the floor.
        """
        test = real[: self.count]
        value = np.asarray(distance(generated, test), dtype=float)
        again = np.array([distance(generated[i], test[j]) for i, j in self.resamplings], dtype=float)
        floor = np.array([distance(real[a], real[b]) for a, b in self.pairs], dtype=float)
        floor = floor.reshape(len(self.pairs), *value.shape)
        # Drawing U units with replacement gives (U - 1) / U of the variance of their mean.
        again = value + math.sqrt(self.units / max(1, self.units - 1)) * (again - value) if self.units else again
        with silent():
            error = np.nanstd(again, axis=0, ddof=1)
        if positive and len(floor) > 1 and np.isfinite(again).all() and np.isfinite(floor).all():
            error = discrepancy_error(value, again, floor).numpy()
        return Measured(value, error, floor)

    def measure_sets(
        self, distance: Measure, generated: np.ndarray, real: np.ndarray, most: int | None = None
    ) -> Measured:
        """Statistics of points and their neighbours, with half samples instead of a bootstrap.

        The repetitions are those of `measure`; where they are too costly to be made, draws are NaN.

        Arguments:
            distance: as in `measure`.
            most: points that a set may have; larger ones are thinned, so that value and floor stay comparable.
        """
        test = real[: self.count]
        size = min([self.count, most or self.count, *(len(a) for a, _ in self.pairs)])
        rng = np.random.default_rng(size)
        rows = rng.permutation(self.count)[:size]
        value = np.asarray(distance(generated[rows], test[rows]), dtype=float)
        half = max(2, size // 2)

        def halves(one: np.ndarray, other: np.ndarray) -> np.ndarray:
            rows = [(_thinned(i, half), _thinned(j, half)) for i, j in self.halves]
            return np.array([distance(one[i], other[j]) for i, j in rows], dtype=float)

        again = halves(generated, test)
        floor = np.full((len(self.pairs), *value.shape), math.nan)
        draws = int(np.clip(len(self.pairs) * (CHEAP / size) ** 2, min(FEWEST, len(self.pairs)), len(self.pairs)))
        for index in np.unique(np.linspace(0, len(self.pairs) - 1, draws).round().astype(int)) if draws else ():
            a, b = self.pairs[index]
            keep = rng.permutation(len(a))[:size]
            floor[index] = distance(real[a[keep]], real[b[keep]])
        error = value * math.nan
        made = floor[np.isfinite(floor).reshape(len(floor), -1).all(axis=1)]
        if len(again) > 1 and len(made) > 1 and np.isfinite(value).all() and np.isfinite(again).all():
            # Half samples have other neighbours than the whole: their scatter is set against that of real ones.
            a, b = self.pairs[0]
            real_halves = halves(real[a], real[b]) if len(a) >= self.count else again
            with silent():
                scale = made.std(axis=0, ddof=1) / real_halves.std(axis=0, ddof=1)
            again = again * np.where(np.isfinite(scale), np.clip(scale, 0.5, 1.0), 1.0)
            error = discrepancy_error(value, again, made, both_sides=True).numpy()
        elif len(again) > 1:
            error = half_sample_error(torch.as_tensor(again)).numpy()
        return Measured(value, error, floor)

    def band(
        self, curve: Callable[[np.ndarray, np.ndarray], np.ndarray], real: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Central 95 % range of a curve of two sets (a ratio or a difference, bin by bin), over real against real."""
        draws = np.stack([curve(real[a], real[b]) for a, b in self.pairs])
        with silent():
            low, high = np.nanquantile(draws, [0.025, 0.975], axis=0)
        return low, high

    def scatter(
        self, curve: Callable[[np.ndarray, np.ndarray], np.ndarray], generated: np.ndarray, real: np.ndarray
    ) -> np.ndarray:
        """Standard error of a curve of the generated and the test samples, bin by bin."""
        test = real[: self.count]
        again = np.stack([curve(generated[i], test[j]) for i, j in self.resamplings])
        with silent():
            return np.nanstd(again, axis=0, ddof=1)


def match(wanted: np.ndarray, offered: np.ndarray, labels: Sequence[int] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Pair rows of conditions so that the sum of squared standardised differences is least; none is used twice.

    Arguments:
        wanted: shape (n, P); offered: shape (m, P).
        labels: columns that hold a class; two classes differ by ten standard deviations, whichever they are.

    Returns:
        Rows of ``wanted`` and rows of ``offered``, ``min(n, m)`` each.
    """
    spread = wanted.std(axis=0)
    cost = np.zeros((len(wanted), len(offered)))
    for column in range(wanted.shape[1]):
        difference = wanted[:, column, None] - offered[None, :, column]
        if column in labels:
            cost += 100.0 * (difference != 0)
        elif spread[column] > 0:
            cost += (difference / spread[column]) ** 2
    rows, columns = linear_sum_assignment(cost)
    return rows, columns


@contextmanager
def silent() -> Iterator[None]:
    """Suppress warnings on bins that are NaN in every repetition (ratios to zero) and stay NaN in the result."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _thinned(rows: np.ndarray, most: int) -> np.ndarray:
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]


def _split(groups: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint sets of ``count`` rows, or of half of all if there are fewer; groups stay together."""
    names, member = np.unique(groups, return_inverse=True)
    if len(names) < 2 * SMALLEST_GROUPS:
        order = rng.permutation(len(groups))
    else:
        order = np.argsort(rng.permutation(len(names))[member], kind="stable")
    size = min(count, len(groups) // 2)
    return order[:size], order[len(order) - size :]


def _matched(
    groups: np.ndarray, count: int, conditions: np.ndarray, labels: Sequence[int], rng: np.random.Generator
) -> Pairs:
    """Pairs of real sets at the test members' conditions: several matchings, and coins within each."""
    others = np.arange(count, len(groups))
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    matchings = 2 * MATCHINGS if count <= FEW else MATCHINGS
    # At a class any member will do: then test members take part in every other matching only, since statistics of
    # neighbours depend on which members there are altogether.
    plenty, classes = len(others) >= 3 * count, len(labels) == conditions.shape[1]
    for turn in range(matchings if len(others) else 0):
        # Half of the others at a time, so that the matchings differ; all of them where that would leave too few.
        mixed = rng.permutation(others)
        offered, rest = (mixed[: len(others) // 2], mixed[len(others) // 2 :]) if plenty else (others, others)
        test, chosen = match(conditions[:count], conditions[offered], labels)
        other = offered[chosen]
        if turn % 2 and plenty and classes:
            test = rest[match(conditions[:count][test], conditions[rest], labels)[1]]
        names, member = np.unique(groups[test], return_inverse=True)
        for _ in range(REPETITIONS // matchings):
            coins = rng.random(len(names) if len(names) >= SMALLEST_GROUPS else len(test)) < 0.5
            swap = coins[member] if len(names) >= SMALLEST_GROUPS else coins
            pairs.append((np.where(swap, other, test), np.where(swap, test, other)))
    return tuple(pairs)


def _bootstrap(units: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of as many units as there are, drawn with replacement."""
    names, member = np.unique(units, return_inverse=True)
    if len(names) == len(units):
        return rng.integers(len(units), size=len(units))
    rows = [np.flatnonzero(member == index) for index in range(len(names))]
    return np.concatenate([rows[index] for index in rng.integers(len(names), size=len(names))])
