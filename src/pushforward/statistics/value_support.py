r"""Values a set may take: exact zeros, allowed values, bounds, angles and missing values.

Distances between distributions hardly see that a calorimeter's zeros came out as small numbers, that a spin is 0.98, or
that one flux is negative: these are differences of support. For each column of vectors or channel of fields:

- "zeros": share of values that are exactly 0.
- "repeated values": share at values that at least `ATOM` of the real ones have, such as a sentinel or a saturation; and
  "values repeated by the samples", such as the end of a range to which they were clipped.
- "half precision": share of values with a significand of 11 bits, where only one of the sets has them.
- "allowed values": share at one of the real values, where these are few (classes, spins, counts); "whole numbers" where
  all real values are whole but many.
- "bounds", where values are many: share beyond the smallest and largest real value. Of m new values, k or more lie
  above the largest of n with probability prod_{i<k} (m - i) / (n + m - i).
- "missing": share of NaN; and for all columns together, "pattern of missing values", by chi^2 of their counts.
- "direction" of a periodic column: with <e^{i theta}> = R e^{i mu} (Mardia and Jupp 2000, ch. 2), the difference of the
  mean angle mu and of the resultant length R, its p-value from the two components.

Repeated values are chosen in one half of a set and counted in its other half: in the same half, chance repetitions
would speak against the set. Shares are compared by Fisher's exact test, or by Student's t over samples (fields) or
groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
from jaxtyping import Float
from scipy import stats

from pushforward.errors import UsageError
from pushforward.statistics.arrays import Array, as_tensor, same_device
from pushforward.statistics.difference import degrees_of_freedom, mean_difference, student_p_value
from pushforward.statistics.mode_counts import compare_counts
from pushforward.statistics.uncertainty import Groups

__all__ = ["SupportDifference", "circular_moments", "value_support"]

# Share of the real values from which one value counts as repeated.
ATOM = 0.01
# The same for generated samples, and fewest repetitions: continuous values do not repeat, and a clipped tail is thin.
CLIPPED, FEWEST = 0.002, 2
# At most so many distinct values, each ten times on average, are the allowed ones.
FEW_VALUES = 256
# Values of a column that are sorted to look for repeated ones.
MANY_VALUES = 1 << 20
# Largest number of values beyond a bound, by chance, that is drawn.
MOST_BEYOND = 40
# Bits of the significand of a number in half precision.
HALF_PRECISION = 11
# Patterns of missing values that are counted one by one; the rarer ones are counted together.
PATTERNS = 16


@dataclass(frozen=True)
class SupportDifference:
    """One property of the values, in both sets.

    Attributes:
        kind: such as "zeros" or "bounds".
        column: name of the column or channel; empty for a property of all together.
        generated, real: share of the values, between 0 and 1; of "bounds", share of the samples with a value beyond; of
            a direction, its resultant length; of a pattern, the share of complete rows.
        p_value: probability of a difference as large for two sets of one distribution.
        size: "bounds": how far the farthest value lies beyond, in widths of the real range; "direction": difference of
            the mean angles, radians; "pattern of missing values": half the summed differences of the patterns' shares;
            otherwise the difference of the shares.
        error: standard error of the difference between ``generated`` and ``real``.
        step: of "bounds", share of the samples that one more sample, or group, beyond a bound adds; otherwise 0.
        units: of "bounds", generated and real samples, or groups.
    """

    kind: str
    column: str
    generated: float
    real: float
    p_value: float
    size: float
    error: float
    step: float = 0.0
    units: tuple[int, int] = (0, 0)

    @property
    def name(self) -> str:
        return f"{self.kind} of {self.column}" if self.column else self.kind

    def of_like_sets(self, draws: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """P-values and absolute differences of two sets of one distribution.

        A share is normal. The number of n generated values beyond the outermost of m real ones is k or more with
        probability n! (n + m - k)! / ((n - k)! (n + m)!); both bounds have a number of their own.
        """
        if not self.step:
            z = np.abs(rng.standard_normal(draws))
            return 2 * stats.norm.sf(z), self.error * z
        tail = np.array([_beyond(count, *self.units) for count in range(MOST_BEYOND)])
        beyond = (rng.random((draws, 2, 1)) < tail[1:]).sum(2)
        return np.minimum(1.0, 2 * tail[beyond.max(1)]), self.step * beyond.sum(1)


def value_support(
    generated: Float[Array, "n columns *cells"],
    real: Float[Array, "m columns *cells"],
    *,
    names: Sequence[str] = (),
    periods: Mapping[int, float] | None = None,
    groups: Groups = None,
    real_groups: Groups = None,
) -> list[SupportDifference]:
    """Differences of support that apply to these data: a property is left out where neither set has it.

    Arguments:
        generated, real: vectors ``(samples, dim)`` or fields ``(samples, channels, *grid)``; NaN is a missing value.
        names: of the columns; x1, x2, ... where there are none.
        periods: period of each column that is an angle, by its number from 0.
        groups, real_groups: groups of samples that are not independent.

    Raises:
        UsageError: if the shapes, the names or the groups do not fit.

    Example:
        >>> import torch
        >>> real = torch.randn(500, 1, generator=torch.Generator().manual_seed(0)).clamp_min(0)
        >>> found = {difference.kind: difference for difference in value_support(real + 1e-6, real)}
        >>> found["zeros"].generated, round(found["zeros"].real, 1), found["zeros"].p_value < 1e-10
        (0.0, 0.5, True)
    """
    a, b = same_device(as_tensor(generated), as_tensor(real))
    if a.ndim < 2:
        raise UsageError(f"samples of shape {tuple(a.shape)} were given; give (samples, columns) or fields")
    x, y = (part.cpu().double().numpy().reshape(len(part), part.shape[1], -1) for part in (a, b))
    listed = [*names, *(f"x{i + 1}" for i in range(len(names), x.shape[1]))]
    if len(listed) > x.shape[1]:
        raise UsageError(f"{len(names)} names were given for {x.shape[1]} columns")
    test = _Shares(groups, real_groups)
    found = list(_missing(x, y, listed, test))
    for column, name in enumerate(listed):
        period = (periods or {}).get(column)
        found += _of_column(x[:, column], y[:, column], name, period, test)
    return found


def circular_moments(angles: Float[Array, "samples *shape"], period: float = 2 * pi) -> tuple[np.ndarray, np.ndarray]:
    """Mean angle mu, in units of the angles and within half a period of 0, and resultant length R in [0, 1].

    Example:
        >>> mean, length = circular_moments([350.0, 10.0], 360.0)
        >>> abs(round(float(mean), 6)), round(float(length), 3)
        (0.0, 0.985)
    """
    vectors = np.exp(2j * pi * as_tensor(angles).double().cpu().numpy() / period)
    mean = np.nanmean(vectors, axis=0)
    return np.angle(mean) * period / (2 * pi), np.abs(mean)


@dataclass(frozen=True)
class _Shares:
    """Test of a share of each sample's values in two sets."""

    groups: Groups
    real_groups: Groups

    def difference(self, kind: str, column: str, a: np.ndarray, b: np.ndarray) -> SupportDifference:
        share, other = float(a.mean()), float(b.mean())
        return SupportDifference(kind, column, share, other, self.p_value(a, b), share - other, self.error(a, b))

    def error(self, a: np.ndarray, b: np.ndarray) -> float:
        return float(mean_difference(a, b, self.groups, self.real_groups).error) if min(len(a), len(b)) > 1 else np.nan

    def p_value(self, a: np.ndarray, b: np.ndarray) -> float:
        whole = all(bool(((part == 0) | (part == 1)).all()) for part in (a, b))
        if self.groups is None and self.real_groups is None and whole:
            hits = [int(part.sum()) for part in (a, b)]
            table = [[hits[0], len(a) - hits[0]], [hits[1], len(b) - hits[1]]]
            return float(stats.fisher_exact(table).pvalue)
        return student_p_value(a, b, self.groups, self.real_groups)

    def halves(self, count: int, real: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Two halves of the samples of one set, which do not part groups."""
        groups = self.real_groups if real else self.groups
        who = np.arange(count) if groups is None else as_tensor(groups).cpu().numpy()
        first = np.unique(who, return_inverse=True)[1].ravel() % 2 == 0
        return first, ~first

    def among(self, rows: np.ndarray, real: bool = True) -> _Shares:
        """The same test with some of the samples of one set."""
        groups = self.real_groups if real else self.groups
        some = None if groups is None else as_tensor(groups).cpu()[rows]
        return _Shares(self.groups, some) if real else _Shares(some, self.real_groups)

    def degrees(self, count: int, real_count: int) -> int:
        return degrees_of_freedom(count, real_count, self.groups, self.real_groups)


def _missing(x: np.ndarray, y: np.ndarray, names: Sequence[str], test: _Shares) -> Iterator[SupportDifference]:
    holes = [np.isnan(part) for part in (x, y)]
    columns = [column for column in range(x.shape[1]) if any(hole[:, column].any() for hole in holes)]
    for column in columns:
        a, b = (hole[:, column].mean(1) for hole in holes)
        yield test.difference("missing", names[column], a, b)
    if len(columns) < 2:
        return
    rows = [hole.all(2)[:, columns] for hole in holes]
    patterns, number = np.unique(np.concatenate(rows), axis=0, return_inverse=True)
    common = np.argsort(-np.bincount(number.ravel()), kind="stable")[:PATTERNS]
    rank = np.full(len(patterns), len(common))
    rank[common] = np.arange(len(common))
    a, b = np.split(rank[number.ravel()], [len(x)])
    titles = [str(index) for index in range(len(common) + 1)]
    counts = compare_counts(a, b, titles, groups=test.groups, real_groups=test.real_groups)
    shares = counts.generated.double() / len(x), counts.real.double() / len(y)
    apart = float((shares[0] - shares[1]).abs().sum() / 2)
    a, b = ((~row.any(1)).astype(float) for row in rows)
    kind, p, error = "pattern of missing values", float(counts.p_value), test.error(a, b)
    yield SupportDifference(kind, "", float(a.mean()), float(b.mean()), p, apart, error)


def _of_column(
    x: np.ndarray, y: np.ndarray, name: str, period: float | None, test: _Shares
) -> Iterator[SupportDifference]:
    """Properties of one column, shapes (n, cells) and (m, cells), in which NaN equals nothing."""
    known = y[~np.isnan(y)]
    if known.size == 0:
        return
    if period is not None:
        yield _direction(x, y, name, period, test)
    zeros = [(part == 0).mean(1) for part in (x, y)]
    if zeros[0].any() or zeros[1].any():
        yield test.difference("zeros", name, *zeros)
    some = known[:: max(1, known.size // MANY_VALUES)]
    values = np.unique(some)
    choosing, counting = test.halves(len(y))
    # Where each sample has values of its own, the cells of one say nothing about those of another.
    alike = not counting.any() or np.isin(y[counting], y[choosing]).mean() > 0.9 * np.mean(~np.isnan(y[counting]))
    if len(values) <= min(FEW_VALUES, some.size // 10) and alike:
        values = np.union1d(values, known[~np.isin(known, values)]) if some.size < known.size else values
        yield test.difference("allowed values", name, *((np.isin(part, values)).mean(1) for part in (x, y)))
        return
    repeated = _repeated(y[choosing], ATOM, 2)
    if len(repeated) and counting.any():
        shares = (np.isin(part, repeated).mean(1) for part in (x, y[counting]))
        yield test.among(counting).difference("repeated values", name, *shares)
    choosing, counting = test.halves(len(x), real=False)
    added = np.setdiff1d(_repeated(x[choosing], CLIPPED, FEWEST), repeated)
    if len(added) and counting.any():
        shares = (np.isin(part, added).mean(1) for part in (x[counting], y))
        yield test.among(counting, real=False).difference("values repeated by the samples", name, *shares)
    coarse = [_coarse(part).mean(1) for part in (x, y)]
    if (coarse[0].mean() > 0.5) != (coarse[1].mean() > 0.5):
        yield test.difference("half precision", name, *coarse)
    if np.all(known == np.round(known)):
        yield test.difference("whole numbers", name, *((part == np.round(part)).mean(1) for part in (x, y)))
    yield _bounds(x, known, name, test)


def _repeated(values: np.ndarray, share: float, fewest: int) -> np.ndarray:
    """Values other than 0 that a share of the values have."""
    found, counts = np.unique(values, return_counts=True)
    return found[(counts >= max(fewest, share * counts.sum())) & (found != 0) & ~np.isnan(found)]


def _coarse(values: np.ndarray) -> np.ndarray:
    """Whether a value other than 0 would not change in half precision, whatever its magnitude."""
    significand = np.ldexp(np.frexp(values)[0], HALF_PRECISION)
    return np.asarray((significand == np.round(significand)) & (values != 0))


def _bounds(x: np.ndarray, known: np.ndarray, name: str, test: _Shares) -> SupportDifference:
    low, high = float(known.min()), float(known.max())
    below, above = x < low, x > high
    share = float((below | above).any(1).mean())
    width = high - low if high > low else max(abs(high), 1.0)
    overshoot = float(max(0.0, np.nanmax(x, initial=high) - high, low - np.nanmin(x, initial=low)) / width)
    # Cells of one sample are not independent: only samples, or groups, count.
    who = np.arange(len(x)) if test.groups is None else as_tensor(test.groups).cpu().numpy()
    hits = [len(np.unique(who[side.any(1)])) for side in (below, above)]
    new, old = len(np.unique(who)), test.degrees(len(x), known.size // x.shape[1] or 1) + 1
    p = min(1.0, 2 * min(_beyond(count, new, old) for count in hits))
    # The number beyond one bound follows a geometric law of mean k and variance k (k + 1); of like sets, k = 1.
    step = max(share / max(1, sum(hits)), 1 / len(x))
    error = step * max(4.0, sum(count * (count + 1) for count in hits)) ** 0.5
    return SupportDifference("bounds", name, share, 0.0, p, overshoot, error, step, (new, old))


def _beyond(count: int, new: int, old: int) -> float:
    """Probability that ``count`` or more of ``new`` values lie above the largest of ``old``."""
    steps = np.arange(min(count, new))
    return float(np.exp(np.sum(np.log(new - steps) - np.log(new + old - steps))))


def _direction(x: np.ndarray, y: np.ndarray, name: str, period: float, test: _Shares) -> SupportDifference:
    vectors = [np.exp(2j * pi * part / period) for part in (x, y)]
    means = [np.nanmean(part) for part in vectors]
    a, b = (np.nan_to_num(np.stack([part.real.mean(1), part.imag.mean(1)], 1)) for part in vectors)
    found = mean_difference(a, b, test.groups, test.real_groups)
    # Of the two components, the larger z, doubled in probability: their correlation is not needed.
    z = float(np.nanmax(np.abs(found.z.numpy()), initial=0.0))
    p = min(1.0, float(4 * stats.t.sf(z, test.degrees(len(x), len(y)))))
    turn = float(np.angle(means[0] / means[1])) if abs(means[1]) > 0 else 0.0
    error = float(found.error.max())
    return SupportDifference("direction", name, float(abs(means[0])), float(abs(means[1])), p, turn, error)
