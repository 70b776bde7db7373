"""The judgement of vectors: marginals, correlations, distances between distributions, and the density."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from pushforward import statistics
from pushforward.spaces import Vector
from pushforward.validation.curves import Curve, Summary
from pushforward.validation.fields import correlation
from pushforward.validation.material import Material
from pushforward.validation.verdict import AT_FLOOR, NEAR, OFF, UNJUDGED, Verdict, judge

if TYPE_CHECKING:
    from pushforward.emulator import Emulator

__all__ = ["coordinate_names", "judge_density", "judge_vectors"]

ALIKE = 3.0
"""Coordinates whose scatters differ by more than this factor are measured in standard deviations."""
TRANSPORTED = 2000
"""Points of each set for the exact optimal transport, which costs about their number cubed."""
PAIRED = 3000
DENSITY_MEMBERS, FEWEST_DENSITIES, DENSITY_VALUES = 2000, 8, 2**16
"""At most and at least so many members are asked for their density; between them, as many as hold so many values.

A density that is an integral over time costs many times a sample. The members must not depend on that cost: models are
compared by the mean over the same ones.
"""
MARGINAL_BINS = 40
DRAWN = 6
"""Coordinates whose marginals are drawn."""
NATS_A_DIMENSION = 0.05
"""A log-density this far below the exact one, for each dimension, still counts as close."""


def coordinate_names(space: Vector) -> tuple[str, ...]:
    """The coordinates' own names, or x1, x2, ..."""
    return space.names or tuple(f"x{i + 1}" for i in range(space.dim))


def judge_vectors(material: Material) -> tuple[list[Verdict], list[Curve]]:
    """Every statistic of a `Vector`, each beside its floor, and the marginals as curves."""
    floor, space = material.floor, material.space
    assert isinstance(space, Vector)
    scatter = material.test.std(axis=0)
    scatter = np.where(scatter > 0, scatter, 1.0)
    alike = scatter.max() <= ALIKE * scatter.min()
    unit = "" if alike else "σ"
    generated, real = material.generated.astype(float), material.real.astype(float)
    if not alike:
        generated, real = generated / scatter, real / scatter

    def marginals(a: np.ndarray, b: np.ndarray) -> float:
        size = min(len(a), len(b))
        difference = np.abs(_quantiles(a, size) - _quantiles(b, size)).mean(axis=0)
        return 100 * float(np.mean(difference / np.maximum(b.std(axis=0), 1e-300)))

    found = floor.measure(marginals, generated, real)
    verdicts = [
        judge(
            "marginals",
            "Marginals",
            "Wasserstein-1 distance of each coordinate, in per cent of its standard deviation, averaged",
            found.value,
            found.error,
            found.floor,
            unit="%",
            headline=True,
        )
    ]
    if space.dim > 1:
        found = floor.measure(_correlations, generated, real)
        verdicts.append(
            judge(
                "correlations",
                "Correlations",
                "root mean square error of the correlation coefficients",
                found.value,
                found.error,
                found.floor,
                headline=True,
            )
        )
    for key, label, quantity, distance, most in (
        ("sliced_wasserstein", "Sliced Wasserstein", "sliced 2-Wasserstein distance", _sliced, None),
        ("wasserstein2", "Wasserstein", "exact 2-Wasserstein distance", _transport, TRANSPORTED),
        ("energy_distance", "Energy distance", "square root of the energy distance", _energy, PAIRED),
    ):
        if space.dim == 1 and key == "sliced_wasserstein":
            continue
        [found] = floor.measure_sets(distance, generated, real, most)
        verdicts.append(judge(key, label, quantity, found.value, found.error, found.floor, unit=unit, headline=True))
    return verdicts, _marginals(material).curves(floor, coordinate_names(space)[:DRAWN])


def judge_density(material: Material, emulator: Emulator) -> list[Verdict]:
    """How well the model's density explains test members: the mean of -log p, beside the entropy where it is known.

    The gap to the exact density on the same members estimates the Kullback-Leibler divergence KL(data | model), with
    less noise than either mean. A model at the floor is within 1.96 standard errors of none.
    """
    members = min(material.count, DENSITY_MEMBERS, max(FEWEST_DENSITIES, DENSITY_VALUES // material.space.size))
    # Evenly over the test set, whose members come simulation by simulation.
    rows = np.linspace(0, material.count - 1, members).round().astype(int)
    x = material.test[rows]
    conditions = material.given_to(rows)
    with torch.no_grad():
        model = np.asarray(emulator.log_prob(torch.from_numpy(x), conditions).detach().cpu(), dtype=float)
    value, error = -float(model.mean()), float(model.std(ddof=1)) / math.sqrt(members)
    exact = _exact_log_prob(material, x)
    if exact is None:
        low = high = entropy = math.nan
        word = UNJUDGED
    else:
        gap = exact - model
        reach = 1.96 * float(gap.std(ddof=1)) / math.sqrt(members)
        entropy = -float(exact.mean())
        low, high = entropy - reach, entropy + reach
        allowed = NATS_A_DIMENSION * material.space.size
        word = AT_FLOOR if value <= high else NEAR if value - entropy <= allowed else OFF
    note = "" if exact is None else f"The exact entropy is {float(material.exact.entropy):.4f} nats."
    return [
        Verdict(
            "nll",
            "Negative log-density",
            f"mean of −log p over {members:,} test members",
            "nats",
            value,
            error,
            entropy,
            low,
            high,
            word,
            kind="excess",
            group="density",
            note=note,
        )
    ]


def _exact_log_prob(material: Material, x: np.ndarray) -> np.ndarray | None:
    log_prob = getattr(material.exact, "log_prob", None)
    if log_prob is None or getattr(material.exact, "entropy", None) is None or material.conditions is not None:
        return None
    return np.asarray(log_prob(x), dtype=float)


def _quantiles(values: np.ndarray, size: int) -> np.ndarray:
    """Order statistics of each column, thinned evenly to ``size``."""
    ordered = np.sort(values, axis=0)
    return ordered if len(ordered) == size else np.quantile(ordered, (np.arange(size) + 0.5) / size, axis=0)


def _correlations(a: np.ndarray, b: np.ndarray) -> float:
    difference = correlation(a) - correlation(b)
    return float(np.sqrt(np.mean(difference[~np.eye(len(difference), dtype=bool)] ** 2)))


def _sliced(a: np.ndarray, b: np.ndarray) -> list[float]:
    return [float(statistics.sliced_wasserstein(torch.from_numpy(a), torch.from_numpy(b), directions=128).distance)]


def _transport(a: np.ndarray, b: np.ndarray) -> list[float]:
    return [float(statistics.wasserstein2(torch.from_numpy(a), torch.from_numpy(b)).distance)]


def _energy(a: np.ndarray, b: np.ndarray) -> list[float]:
    """With every pair counted, a sample's with itself too: never negative, so that it can be set against a floor."""
    found = statistics.energy_distance(torch.from_numpy(a), torch.from_numpy(b))
    within = float(found.within_x) * (1 - 1 / len(a)) + float(found.within_y) * (1 - 1 / len(b))
    return [math.sqrt(max(0.0, 2 * float(found.between) - within))]


def _marginals(material: Material) -> Summary:
    """Each sample's bin along each coordinate; all coordinates share one axis, in standard deviations of their own."""
    drawn = material.test[:, :DRAWN]
    centre, scatter = drawn.mean(axis=0), drawn.std(axis=0)
    scatter = np.where(scatter > 0, scatter, 1.0)
    low, high = np.quantile((drawn - centre) / scatter, [0.001, 0.999])
    edges = np.linspace(low - 0.25, high + 0.25, MARGINAL_BINS + 1)
    width = edges[1] - edges[0]

    def bins(x: np.ndarray) -> np.ndarray:
        index = np.clip(((x[:, :DRAWN] - centre) / scatter - edges[0]) / width, 0, MARGINAL_BINS - 1).astype(int)
        return np.eye(MARGINAL_BINS, dtype=np.float32)[index] / width

    return Summary(
        name="marginals",
        title="Marginal",
        x_label="standardised value",
        y_label="probability density",
        x=(edges[1:] + edges[:-1]) / 2,
        generated=bins(material.generated),
        real=bins(material.real),
        versus="ratio",
        caption="Each coordinate on its own, standardised by the real mean and scatter. Below, the ratio of "
        "generated to "
        "real density with its standard error: it should stay within the grey band. Beyond the ends, "
        "values are counted in the last bins.",
    )
