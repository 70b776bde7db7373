"""The judgement of a conditional model over the range of its conditions.

Three questions for every parameter: is the model as good at low, middle and high values; do its samples change with the
parameter as the data do; and can the parameter be read off its samples as well as off real ones?
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from pushforward.spaces import Field, Series
from pushforward.validation.curves import Summary, effect
from pushforward.validation.fields import log_spectra
from pushforward.validation.material import Material
from pushforward.validation.verdict import Verdict, judge
from pushforward.validation.wording import plain

__all__ = ["Response", "judge_conditions"]

SMALLEST_BIN = 8
RESPONSE_BINS = 5
FOLDS = 5
MOMENTS = 6
"""Coordinates of a vector whose mean and square are followed."""


@dataclass(frozen=True)
class Response:
    """How a summary changes with a parameter: means in bins of it, of real test members and of generated samples.

    Attributes:
        parameter: its name; ticks: names of the classes of a label.
        x: mean of the parameter in each bin, shape (B,).
        values: the parameter of each test member, shape (n,).
        lines: for each summary (a band of k, say): its name, and in each bin mean and standard error of either set.
        per_bin: the discrepancy in each of the bins in ``per_bin_names``, and the same for real against real.
    """

    parameter: str
    ticks: tuple[str, ...]
    x: np.ndarray
    lines: tuple[dict[str, Any], ...]
    per_bin_names: tuple[str, ...]
    per_bin: np.ndarray
    per_bin_floor: np.ndarray
    unit: str

    def to_dict(self) -> dict[str, Any]:
        return plain(  # type: ignore[return-value]
            {
                "parameter": self.parameter,
                "x": self.x,
                "lines": list(self.lines),
                "bins": list(self.per_bin_names),
                "discrepancy": self.per_bin,
                "floor": self.per_bin_floor,
                "unit": self.unit,
            }
        )


@dataclass(frozen=True)
class _Profile:
    """What is followed over the condition: columns of numbers a sample, and how two sets of them are compared."""

    label: str
    names: tuple[str, ...]
    generated: np.ndarray
    real: np.ndarray
    unit: str

    def distance(self, a: np.ndarray, b: np.ndarray) -> float:
        if self.unit == "%":
            return 100 * float(np.mean(np.abs(a.mean(axis=0) / b.mean(axis=0) - 1)))
        return float(np.mean(np.abs(effect(a, b))))


def judge_conditions(
    material: Material, summaries: dict[str, Summary] | None, features: tuple[np.ndarray, np.ndarray]
) -> tuple[list[Verdict], list[Response]]:
    """Lines and curves for every parameter that varies among the test members."""
    if material.conditions is None:
        return [], []
    profile, slopes = _profiles(material, summaries, features)
    verdicts, responses = [], []
    for column, parameter in enumerate(material.parameters):
        values = material.conditions[: material.count, column]
        if len(np.unique(values)) < 2:
            continue
        cuts, names = _bins(values, parameter.classes)
        if len(names) > 1:
            verdict, per_bin, floors = _worst_bin(material, profile, column, cuts, names)
            verdicts.append(verdict)
            responses.append(_response(material, slopes, column, names, per_bin, floors, profile.unit))
        if not parameter.classes:
            verdicts.append(_slope(material, slopes, column))
        verdicts.append(_recovered(material, features, column))
    return verdicts, responses


def _profiles(
    material: Material, summaries: dict[str, Summary] | None, features: tuple[np.ndarray, np.ndarray]
) -> tuple[_Profile, _Profile]:
    """What is compared bin by bin, and what is followed by its slope."""
    if isinstance(material.space, Field) and summaries:
        spectrum = summaries["power_spectrum"]
        generated, real = (
            values[..., spectrum.within].reshape(len(values), -1) for values in (spectrum.generated, spectrum.real)
        )
        k = spectrum.x[spectrum.within]
        logs = log_spectra(spectrum)
        blocks = np.array_split(k, logs[0].shape[1] // material.space.channels)
        names = tuple(f"k = {block.mean():.3g}" for block in blocks)
        return (
            _Profile("P(k)", (), generated, real, "%"),
            _Profile("ln P(k)", names * material.space.channels, *logs, unit="%"),
        )
    # of a series, whose values may be missing, the description is followed instead, evenly over its numbers
    found = features if isinstance(material.space, Series) else (material.generated, material.real)
    generated, real = (x.reshape(len(x), -1).astype(float) for x in found)
    step = max(1, real.shape[1] // MOMENTS) if isinstance(material.space, Series) else 1
    generated, real = (x[:, ::step][:, :MOMENTS] for x in (generated, real))
    centre, scatter = real.mean(axis=0), np.maximum(real.std(axis=0), 1e-300)
    generated, real = (generated - centre) / scatter, (real - centre) / scatter
    names = tuple(f"x{i + 1}" for i in range(real.shape[1]))
    names += tuple(f"{name}²" for name in names)
    moments = _Profile("moments", names, np.hstack([generated, generated**2]), np.hstack([real, real**2]), "σ")
    return moments, moments


def _bins(values: np.ndarray, classes: tuple[str, ...]) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Lower and upper ends of terciles, or the classes that have enough members."""
    if classes:
        known = [c for c in range(len(classes)) if (values == c).sum() >= SMALLEST_BIN]
        return [np.array([c - 0.5, c + 0.5]) for c in known], tuple(str(classes[c]) for c in known)
    edges = np.quantile(values, [0, 1 / 3, 2 / 3, 1])
    edges = np.unique(np.concatenate([[-np.inf], edges[1:-1], [np.inf]]))
    cuts = [np.array([low, high]) for low, high in pairwise(edges)]
    held = [((values > cut[0]) & (values <= cut[1])).sum() >= SMALLEST_BIN for cut in cuts]
    names = ("low", "middle", "high") if len(cuts) == 3 else ("low", "high")
    return [c for c, h in zip(cuts, held, strict=True) if h], tuple(n for n, h in zip(names, held, strict=False) if h)


def _worst_bin(
    material: Material, profile: _Profile, column: int, cuts: list[np.ndarray], names: tuple[str, ...]
) -> tuple[Verdict, np.ndarray, np.ndarray]:
    conditions = material.conditions
    assert conditions is not None
    parameter = material.parameters[column]

    def by_bin(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        found = []
        for low, high in cuts:
            inside = [(rows[:, 0] > low) & (rows[:, 0] <= high) for rows in (a, b)]
            enough = all(mask.sum() > 1 for mask in inside)
            found.append(profile.distance(a[inside[0], 1:], b[inside[1], 1:]) if enough else np.nan)
        return np.array(found)

    def worst(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.nanmax(by_bin(a, b)))

    generated = np.column_stack([conditions[: material.count, column], profile.generated])
    real = np.column_stack([conditions[:, column], profile.real])
    found = material.floor.measure(worst, generated, real)
    floors = np.array([by_bin(real[a], real[b]) for a, b in material.floor.pairs])
    per_bin = by_bin(generated, real[: material.count])
    where = names[int(np.nanargmax(per_bin))]
    which = "class" if parameter.classes else "third"
    meaning = "mean relative error of P(k)" if profile.unit == "%" else "mean error of means and squares"
    verdict = judge(
        f"condition_range/{parameter.name}",
        f"{profile.label} over {parameter.name}",
        f"{meaning} in the worst {which} of {parameter.name} ({where})",
        found.value,
        found.error,
        found.floor,
        unit=profile.unit,
        group="conditions",
    )
    return verdict, per_bin, np.nanmedian(floors, axis=0) if len(floors) else np.full(len(per_bin), np.nan)


def _slope(material: Material, profile: _Profile, column: int) -> Verdict:
    """Error of the least-squares slopes on the parameter, at fixed other parameters."""
    assert material.conditions is not None
    parameter = material.parameters[column]
    numeric = [c for c, p in enumerate(material.parameters) if not p.classes]
    test = material.conditions[: material.count, numeric]
    scatter = np.where(test.std(axis=0) > 0, test.std(axis=0), 1.0)
    standard = (material.conditions[:, numeric] - test.mean(axis=0)) / scatter
    width = standard.shape[1]
    factor = 100.0 if profile.unit == "%" else 1.0

    def slopes(rows: np.ndarray) -> np.ndarray:
        design = np.column_stack([np.ones(len(rows)), rows[:, :width]])
        return np.linalg.lstsq(design, rows[:, width:], rcond=None)[0][1 + numeric.index(column)]

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return factor * float(np.mean(np.abs(slopes(a) - slopes(b))))

    generated = np.column_stack([standard[: material.count], profile.generated])
    real = np.column_stack([standard, profile.real])
    found = material.floor.measure(distance, generated, real)
    size = factor * float(np.mean(np.abs(slopes(real[: material.count]))))
    return judge(
        f"condition_response/{parameter.name}",
        f"Response to {parameter.name}",
        f"mean error of the slope of {profile.label} per standard deviation of {parameter.name} (real slope "
        f"{size:.2g})",
        found.value,
        found.error,
        found.floor,
        unit=profile.unit,
        group="conditions",
    )


def _recovered(material: Material, features: tuple[np.ndarray, np.ndarray], column: int) -> Verdict:
    """How well a regression or a classifier that knows real members reads the parameter off generated samples."""
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    assert material.conditions is not None
    parameter, n = material.parameters[column], material.count
    generated, real = features
    truth = material.conditions[:, column].astype(float)
    scatter = truth.std()
    if parameter.classes:
        reader = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
        truth = truth.astype(int)
    else:
        reader = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 7)))
    folds = KFold(FOLDS, shuffle=True, random_state=0)
    read_real = cross_val_predict(reader, real, truth, cv=folds)
    read_generated = reader.fit(real[n:], truth[n:]).predict(generated) if len(real) > n else read_real[:n]

    def misread(rows: np.ndarray) -> float:
        if parameter.classes:
            return 100 * float(np.mean(rows[:, 0] == rows[:, 1]))
        return 100 * float(np.sqrt(np.mean((rows[:, 0] - rows[:, 1]) ** 2))) / scatter

    rows_generated = np.column_stack([read_generated, truth[:n]])
    rows_real = np.column_stack([read_real, truth])
    found = material.floor.measure(lambda a, _: misread(a), rows_generated, rows_real)
    if parameter.classes:
        quantity = f"share of generated samples whose {parameter.name} a classifier of real ones reads off rightly"
    else:
        quantity = f"error of {parameter.name} read off by a regression on real samples, in per cent of its scatter"
    return judge(
        f"condition_recovered/{parameter.name}",
        f"{parameter.name} recovered",
        quantity,
        found.value,
        found.error,
        found.floor,
        unit="%",
        kind="score",
        group="conditions",
    )


def _response(
    material: Material,
    profile: _Profile,
    column: int,
    names: tuple[str, ...],
    per_bin: np.ndarray,
    floors: np.ndarray,
    unit: str,
) -> Response:
    assert material.conditions is not None
    parameter, n = material.parameters[column], material.count
    values = material.conditions[:n, column]
    if parameter.classes:
        members = [values == c for c in np.unique(values)]
        ticks = tuple(str(parameter.classes[int(c)]) for c in np.unique(values))
    else:
        edges = np.quantile(values, np.linspace(0, 1, RESPONSE_BINS + 1))
        members = [(values >= low) & (values <= high) for low, high in pairwise(edges)]
        ticks = ()
    members = [mask for mask in members if mask.any()]
    followed = [0, len(profile.names) // 2] if len(profile.names) > 1 else [0]
    lines = []
    for index in followed:
        name = profile.names[index]
        line: dict[str, Any] = {"name": f"{profile.label} at {name}" if unit == "%" else name}
        for key, rows in (("real", profile.real[:n]), ("generated", profile.generated)):
            line[key] = np.array([rows[mask, index].mean() for mask in members])
            line[f"{key}_error"] = np.array([rows[mask, index].std() / np.sqrt(mask.sum()) for mask in members])
        lines.append(line)
    x = np.array([values[mask].mean() for mask in members])
    return Response(parameter.name, ticks, x, tuple(lines), names, per_bin, floors, unit)
