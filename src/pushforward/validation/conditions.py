"""Judgement of a conditional model over the range of its conditions.

Three questions per parameter: is the model equally good at low, middle and high values; do its samples change with the
parameter as the data do; and can the parameter be estimated from its samples as well as from real ones, without bias?
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from pushforward.ensembles import Parameter
from pushforward.errors import UsageError
from pushforward.validation.curves import effect
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.features import describe
from pushforward.validation.kinds import Profile, kind_of
from pushforward.validation.statistic import Rows, Statistic
from pushforward.validation.wording import number

__all__ = [
    "Bins",
    "bins_of",
    "condition_statistics",
    "difference",
    "judged_columns",
    "profiles_of",
    "unjudged_parameters",
    "with_parameter",
]

MOST_JUDGED = 6
"""Largest number of parameters that are judged one by one."""

SMALLEST_BIN = 8
"""Smallest number of test members in a bin of a parameter."""
FOLDS = 5
SPARE = 3
"""Simulations in excess of the number of slopes, with which resampled ones rarely leave a slope undetermined."""


@dataclass(frozen=True)
class Bins:
    """Parts of the range of a parameter that hold enough test members.

    Attributes:
        cuts: lower and upper end of each. names: of each.
    """

    cuts: tuple[tuple[float, float], ...]
    names: tuple[str, ...]

    def each(self, a: np.ndarray, b: np.ndarray, distance: Callable[[np.ndarray, np.ndarray], float]) -> np.ndarray:
        """Distance in each bin, for rows whose first column is the parameter; NaN in bins with too few rows."""
        found = []
        for low, high in self.cuts:
            inside = [(rows[:, 0] > low) & (rows[:, 0] <= high) for rows in (a, b)]
            enough = all(mask.sum() > 1 for mask in inside)
            found.append(distance(a[inside[0], 1:], b[inside[1], 1:]) if enough else np.nan)
        return np.array(found)


def condition_statistics(data: EvaluationData) -> list[Statistic]:
    """Statistics of every parameter that varies among the test members."""
    if data.conditions is None:
        return []
    declared: list[Statistic] = []
    for column in judged_columns(data):
        parameter = data.parameters[column]
        if bins_of(data, column).names:
            declared.append(_worst_bin(data, parameter, column))
        if not parameter.classes:
            declared.append(_slope(data, parameter, column))
        declared += _recovered(parameter, column)
    return declared


def judged_columns(data: EvaluationData) -> list[int]:
    """Columns of the parameters that are judged one by one: those that vary among the test members.

    Of more than `MOST_JUDGED`, such as the numbers of an observation, those that real members constrain most.
    """
    varied = _varied(data)
    if len(varied) <= MOST_JUDGED:
        return varied
    explained = data.derived(_explained_variance)
    return sorted(sorted(varied, key=lambda column: -explained[column])[:MOST_JUDGED])


def unjudged_parameters(data: EvaluationData) -> list[str]:
    """Names of parameters that vary and are not judged one by one."""
    judged = judged_columns(data)
    return [data.parameters[column].name for column in _varied(data) if column not in judged]


def _varied(data: EvaluationData) -> list[int]:
    """Columns of the parameters that vary among the test members."""
    if data.conditions is None:
        return []
    return [c for c in range(len(data.parameters)) if len(np.unique(data.conditions[: data.count, c])) > 1]


def _explained_variance(data: EvaluationData) -> list[float]:
    """Fraction of the variance of each parameter that its estimates from real members explain."""
    shares = []
    for _, real in data.derived(_readings):
        read, truth = real[np.isfinite(real[:, 0])].T
        shares.append(1 - float(np.mean((read - truth) ** 2)) / (float(truth.var()) or 1.0))
    return shares


def difference(profile: Profile) -> Callable[[np.ndarray, np.ndarray], float]:
    """Distance of two sets of rows of a profile."""
    if profile.unit == "%":
        return lambda a, b: 100 * float(np.mean(np.abs(a.mean(axis=0) / b.mean(axis=0) - 1)))
    return lambda a, b: float(np.mean(np.abs(effect(a, b))))


def profiles_of(data: EvaluationData) -> tuple[Profile, Profile]:
    """Profiles for the comparison per bin and for the slope, computed once."""
    return data.derived(_profiles)


def _profiles(data: EvaluationData) -> tuple[Profile, Profile]:
    return kind_of(data.space).profiles(data)


def bins_of(data: EvaluationData, column: int) -> Bins:
    """Terciles of a parameter, or the classes that have enough members; none where that leaves only one."""
    assert data.conditions is not None
    values, classes = data.conditions[: data.count, column], data.parameters[column].classes
    if classes:
        known = [c for c in range(len(classes)) if (values == c).sum() >= SMALLEST_BIN]
        cuts = [(c - 0.5, c + 0.5) for c in known]
        names = [str(classes[c]) for c in known]
    else:
        inner = np.unique(np.quantile(values, [1 / 3, 2 / 3]))
        cuts = list(pairwise([-np.inf, *inner.tolist(), np.inf]))
        names = ["low", "middle", "high"] if len(cuts) == 3 else ["low", "high"]
        held = [((values > low) & (values <= high)).sum() >= SMALLEST_BIN for low, high in cuts]
        cuts = [cut for cut, enough in zip(cuts, held, strict=True) if enough]
        names = [name for name, enough in zip(names, held, strict=True) if enough]
    return Bins(tuple(cuts), tuple(names)) if len(cuts) > 1 else Bins((), ())


def with_parameter(data: EvaluationData, column: int, profile: Profile) -> Rows:
    """The parameter in front of the profile's rows, so that resampled rows keep it."""
    assert data.conditions is not None
    values = data.conditions[:, column]
    return np.column_stack([values[: data.count], profile.generated]), np.column_stack([values, profile.real])


def _worst_bin(data: EvaluationData, parameter: Parameter, column: int) -> Statistic:
    assert data.conditions is not None
    profile, bins = profiles_of(data)[0], bins_of(data, column)
    compared, standard = difference(profile), _standard(data)
    width = standard.shape[1]
    # Two real sets have like conditions, not the same: what a linear response to them explains is taken off.
    slopes = _slopes(standard, profile.real)

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        explained = (a[:, :width].mean(axis=0) - b[:, :width].mean(axis=0)) @ slopes
        return compared(a[:, width:] - explained, b[:, width:])

    values = data.conditions[:, column]
    generated = np.column_stack([values[: data.count], standard[: data.count], profile.generated])
    real = np.column_stack([values, standard, profile.real])
    per_bin = bins.each(generated, real[: data.count], distance)
    where = bins.names[int(np.nanargmax(per_bin))] if np.isfinite(per_bin).any() else "none"
    which = "class" if parameter.classes else "third"
    meaning = "mean relative error of P(k)" if profile.unit == "%" else "mean error of means and squares"
    return Statistic(
        f"condition_range/{parameter.name}",
        f"{profile.label[:1].upper()}{profile.label[1:]} over {parameter.name}",
        f"{meaning} in the worst {which} of {parameter.name} ({where})",
        rows=lambda m: (generated, real),
        distance=lambda a, b: float(np.nanmax(bins.each(a, b, distance))),
        unit=profile.unit,
        group="conditions",
    )


def _slope(data: EvaluationData, parameter: Parameter, column: int) -> Statistic:
    """Error of the least-squares slopes on the parameter, at fixed other parameters."""
    assert data.conditions is not None
    profile, standard = profiles_of(data)[1], _standard(data)
    width, factor = standard.shape[1], 100.0 if profile.unit == "%" else 1.0
    needed, simulations = width + SPARE, len(np.unique(data.groups[: data.count]))
    place = [c for c, p in enumerate(data.parameters) if not p.classes].index(column)

    def slopes(rows: np.ndarray) -> np.ndarray:
        return _slopes(rows[:, :width], rows[:, width:])[place]

    generated = np.column_stack([standard[: data.count], profile.generated])
    real = np.column_stack([standard, profile.real])

    def rows(m: EvaluationData) -> Rows:
        if simulations < needed:
            raise UsageError(
                f"the test members are of {simulations} simulations; slopes on {width} condition{'s' * (width > 1)} "
                f"need at least {needed}"
            )
        return generated, real

    size = factor * float(np.mean(np.abs(slopes(real[: data.count]))))
    return Statistic(
        f"condition_response/{parameter.name}",
        f"Response to {parameter.name}",
        f"mean error of the slope of {profile.label} per standard deviation of {parameter.name} (real slope "
        f"{number(size, 2)})",
        rows=rows,
        distance=lambda a, b: factor * float(np.mean(np.abs(slopes(a) - slopes(b)))),
        unit=profile.unit,
        group="conditions",
    )


def _standard(data: EvaluationData) -> np.ndarray:
    """Numeric parameters of the real members, in standard deviations of the test members from their mean."""
    assert data.conditions is not None
    numeric = [c for c, p in enumerate(data.parameters) if not p.classes]
    test = data.conditions[: data.count, numeric]
    scatter = np.where(test.std(axis=0) > 0, test.std(axis=0), 1.0)
    return np.asarray((data.conditions[:, numeric] - test.mean(axis=0)) / scatter, dtype=float)


def _slopes(conditions: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Least-squares slopes of values (N, K) on conditions (N, P), shape (P, K)."""
    design = np.column_stack([np.ones(len(conditions)), conditions])
    return np.asarray(np.linalg.lstsq(design, values, rcond=None)[0][1:])


def _recovered(parameter: Parameter, column: int) -> list[Statistic]:
    """Error and bias of a parameter estimated from samples by a regression trained on real members."""

    def rows(data: EvaluationData) -> Rows:
        return data.derived(_readings)[column]

    if parameter.classes:

        def right(x: np.ndarray) -> float:
            return 100 * float(np.mean(x[:, 0] == x[:, 1]))

        return [
            Statistic(
                f"condition_recovered/{parameter.name}",
                f"{parameter.name} recovered",
                f"fraction of {parameter.name} classified correctly by a classifier trained on real data",
                rows=rows,
                distance=lambda a, b: right(a) - right(b),
                level=right,
                unit="%",
                kind="score",
                group="conditions",
            )
        ]

    def error(x: np.ndarray) -> float:
        return 100 * float(np.sqrt(np.mean((x[:, 0] - x[:, 1]) ** 2)))

    def bias(x: np.ndarray) -> float:
        return 100 * float(np.mean(x[:, 0] - x[:, 1]))

    return [
        Statistic(
            f"condition_recovered/{parameter.name}",
            f"Error of {parameter.name} recovered",
            f"error of {parameter.name} estimated by a regression on real samples, in per cent of its scatter: 100 % "
            "where samples say nothing of it",
            rows=rows,
            distance=lambda a, b: error(a) - error(b),
            level=error,
            unit="%",
            kind="score",
            group="conditions",
        ),
        Statistic(
            f"condition_bias/{parameter.name}",
            f"Bias of {parameter.name}",
            f"mean of {parameter.name} estimated by a regression on real samples, minus the truth, in per cent of its "
            "scatter",
            rows=rows,
            distance=lambda a, b: bias(a) - bias(b),
            unit="%",
            kind="score",
            group="conditions",
        ),
    ]


def _readings(data: EvaluationData) -> list[Rows]:
    """Estimates of each parameter with the truth, in units of its scatter, for generated and real members.

    The regressions are trained on folds of the other real members, split by group. Another real member is estimated by
    the regression that has not seen its group; a test member and the sample at its condition by the same regression.
    """
    assert data.conditions is not None
    n = data.count
    generated, real = describe(data)
    others = np.arange(n, len(real)) if len(real) - n >= 2 * FOLDS else np.arange(len(real))
    folds = _folds(data.groups[others])
    found = []
    for column, parameter in enumerate(data.parameters):
        truth = data.conditions[:, column].astype(float)
        scatter = 1.0 if parameter.classes else truth[:n].std() or 1.0
        read, of_generated = truth * np.nan, np.full(n, np.nan)
        turns = np.arange(n) % FOLDS
        for fold in range(FOLDS):
            training = others[folds != fold]
            reader = _reader(parameter, truth[training])
            reader.fit(real[training], truth[training])
            held = others[folds == fold]
            if others[0] >= n:
                held = np.union1d(held, np.flatnonzero(turns == fold))
            if len(held):
                read[held] = reader.predict(real[held])
            if (turns == fold).any():
                of_generated[turns == fold] = reader.predict(generated[turns == fold])
        found.append(
            (
                np.column_stack([of_generated, truth[:n]]) / scatter,
                np.column_stack([read, truth]) / scatter,
            )
        )
    return found


def _folds(groups: np.ndarray) -> np.ndarray:
    names, member = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(0).permutation(max(len(names), FOLDS))
    return np.asarray(order[member] % FOLDS if len(names) >= FOLDS else np.arange(len(groups)) % FOLDS)


def _reader(parameter: Parameter, truth: np.ndarray) -> Any:
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not parameter.classes:
        return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 7)))
    if len(np.unique(truth)) < 2:
        return DummyClassifier()
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
