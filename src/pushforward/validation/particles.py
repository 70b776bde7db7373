"""Judgement of particles by their distances, which are invariant under rotations, translations and relabelling."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch

from pushforward import statistics
from pushforward.spaces import Particles, Space
from pushforward.validation.curves import Curve, Summary
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.features import standardised
from pushforward.validation.kinds import Profile
from pushforward.validation.labels import labelled, length_unit, power
from pushforward.validation.statistic import Rows, Statistic
from pushforward.validation.vectors import root_energy_distance

__all__ = [
    "nearest_particles",
    "particle_classified",
    "particle_curves",
    "particle_features",
    "particle_profiles",
    "particle_statistics",
]

BINS = 40
MOST = 64
"""Quantiles of the sorted distances that describe a sample."""
PAIRED = 1500


def particle_statistics(data: EvaluationData) -> list[Statistic]:
    """Radial distribution, and the energy distance of sorted distances."""
    return [
        Statistic(
            "distances",
            "Radial distribution",
            "Wasserstein-1 distance of the distances of particles, in per cent of their standard deviation",
            rows=particle_distances,
            distance=_pooled,
            unit="%",
            headline=True,
        ),
        Statistic(
            "size",
            "Radius of gyration",
            "difference of the mean radius of gyration, in per cent of that of real samples",
            rows=_radii,
            distance=lambda a, b: 100 * float(a.mean() / b.mean() - 1),
            unit="%",
            kind="score",
            headline=True,
        ),
        Statistic(
            "energy_distance",
            "Energy distance",
            "square root of the energy distance of the sorted distances of particles",
            rows=particle_features,
            distance=root_energy_distance,
            unit="σ",
            set_distance=True,
            most=PAIRED,
            headline=True,
        ),
    ]


def particle_distances(data: EvaluationData) -> Rows:
    """Distances of each sample, ascending for each pair of species, shapes (n, pairs) and (n + m, pairs)."""
    return data.derived(_distances)


def _distances(data: EvaluationData) -> Rows:
    return _sorted(data.generated, data.space), _sorted(data.real, data.space)


def _sorted(x: np.ndarray, space: Space) -> np.ndarray:
    particles = cast(Particles, space)
    return statistics.configuration_features(x, particles.box, particles.species).numpy()


def _pooled(a: np.ndarray, b: np.ndarray) -> float:
    quantiles = (np.arange(200) + 0.5) / 200
    difference = np.abs(np.quantile(a, quantiles) - np.quantile(b, quantiles)).mean()
    return 100 * float(difference / max(float(b.std()), 1e-300))


def _radii(data: EvaluationData) -> Rows:
    a, b = (np.sqrt((x**2).mean(axis=1, keepdims=True)) for x in particle_distances(data))
    return a, b


def particle_features(data: EvaluationData) -> Rows:
    """Sorted distances, thinned evenly and standardised."""
    a, b = particle_distances(data)
    chosen = np.unique(np.linspace(0, b.shape[1] - 1, min(MOST, b.shape[1])).round().astype(int))
    a, b = standardised(a[:, chosen], b[:, chosen])
    return a / np.sqrt(a.shape[1]), b / np.sqrt(b.shape[1])


def particle_classified(data: EvaluationData) -> tuple[Rows, tuple[str, ...]]:
    """The same features, with their names."""
    rows = particle_features(data)
    return rows, tuple(f"distance {i + 1} of {rows[1].shape[1]}, ascending" for i in range(rows[1].shape[1]))


def nearest_particles(samples: np.ndarray, members: np.ndarray, data: EvaluationData) -> statistics.NearestMembers:
    """The nearest member to each sample up to rotations, translations and relabelling: by all distances, in order."""
    return statistics.nearest_members(*(torch.from_numpy(_sorted(x, data.space)) for x in (samples, members)))


def particle_profiles(data: EvaluationData) -> tuple[Profile, Profile]:
    """Mean distances, followed over the range of a condition."""
    a, b = particle_features(data)
    columns = np.unique(np.linspace(0, b.shape[1] - 1, 4).round().astype(int))
    names = tuple(f"distance {c + 1}" for c in columns)
    profile = Profile("distances", names, a[:, columns], b[:, columns], "σ")
    return profile, profile


def particle_curves(data: EvaluationData) -> list[Curve]:
    """Density of the distances of particles."""
    generated, real = particle_distances(data)
    edges = np.linspace(0.0, float(np.quantile(real, 0.999)) * 1.05, BINS + 1)
    width = edges[1] - edges[0]

    def density(x: np.ndarray) -> np.ndarray:
        bins = np.clip((x / width).astype(int), 0, BINS - 1)
        rows = np.zeros((len(x), BINS))
        np.add.at(rows, (np.arange(len(x))[:, None], bins), 1.0)
        return rows[:, None] / (x.shape[1] * width)

    summary = Summary(
        name="distances",
        title="Radial distribution",
        x_label=labelled("distance of two particles", length_unit(data)),
        y_label=labelled("probability density", power(length_unit(data), -1)),
        x=(edges[1:] + edges[:-1]) / 2,
        generated=density(generated),
        real=density(real),
        versus="ratio",
        caption="Distances of all pairs of particles. Below, the ratio of generated to real density with its standard "
        "error: it should stay within the grey band. Larger distances are counted in the last bin.",
    )
    return summary.curves(data.floor)
