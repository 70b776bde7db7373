"""Table of the statistics of each kind of sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pushforward import statistics
from pushforward.spaces import Field, Particles, Series, Vector
from pushforward.validation import fields, galleries, particles, series, vectors
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.features import field_classified, field_clustered, field_features
from pushforward.validation.kinds import KindOfSample, Profile, kind_of
from pushforward.validation.labels import column_units, length_unit, wavenumber
from pushforward.validation.sections import field_sections, particle_sections, series_sections, vector_sections
from pushforward.validation.spectra import log_spectra, power_matrices
from pushforward.validation.summaries import half_nyquist, summarise
from pushforward.validation.wording import listing, number

__all__: list[str] = []

MOMENTS = 6
"""Coordinates of a vector whose mean and square are followed over a condition."""
MOST_LEVELS = 64
"""Fields whose real cells have at most so many values are taken to be discrete."""


@kind_of.register
def _(space: Field) -> KindOfSample:
    return KindOfSample(
        statistics=fields.field_statistics,
        features=field_features,
        classified=field_classified,
        clustered=field_clustered,
        nearest=_nearest_fields,
        profiles=_spectra,
        pictures=field_sections,
        shown=galleries.shown_fields,
        headline=("power_spectrum", "one_point_pdf", "coverage", "classifier"),
        unseen=(
            "Phases beyond triangles, peaks and contours: two fields that agree in these may still differ.",
            "Places away from the border: moments are compared ring by ring, not cell by cell.",
        ),
        curves=fields.field_curves,
        matrices=lambda data: power_matrices(data.derived(summarise)["power_spectrum"], data),
        card_names=_power_card,
        facts=_field_facts,
        samples=512,
        chunk=64,
        levels=_levels,
    )


@kind_of.register
def _(space: Vector) -> KindOfSample:
    return KindOfSample(
        statistics=vectors.vector_statistics,
        features=vectors.vector_features,
        classified=vectors.vector_classified,
        nearest=vectors.nearest_vectors,
        profiles=_moments,
        pictures=vector_sections,
        headline=("wasserstein2", "calibration_width", "calibration_coverage", "nll", "coverage", "classifier"),
        unseen=("Dependences of three and more coordinates, but for what classifiers and distances see of them.",),
        curves=vectors.vector_curves,
    )


@kind_of.register
def _(space: Series) -> KindOfSample:
    return KindOfSample(
        statistics=series.series_statistics,
        features=series.describe_series,
        classified=series.series_classified,
        nearest=series.nearest_series,
        profiles=_description,
        pictures=series_sections,
        headline=("values_over_time", "structure_function", "coverage", "classifier"),
        unseen=("Three-point statistics in time, and the sampling pattern, which is that of real series.",),
        curves=series.series_curves,
        broken=series.broken_series,
    )


@kind_of.register
def _(space: Particles) -> KindOfSample:
    return KindOfSample(
        statistics=particles.particle_statistics,
        features=particles.particle_features,
        classified=particles.particle_classified,
        nearest=particles.nearest_particles,
        profiles=particles.particle_profiles,
        pictures=particle_sections,
        headline=("distances", "energy_distance", "coverage", "classifier"),
        unseen=("Angles and handedness: distances do not tell a configuration from its mirror image.",),
        curves=particles.particle_curves,
    )


def _nearest_fields(samples: np.ndarray, members: np.ndarray, data: EvaluationData[Field]) -> statistics.NearestMembers:
    return statistics.nearest_fields(
        *(torch.from_numpy(x) for x in (samples, members, data.test)),
        periodic=data.space.periodic,
        isotropic=data.space.isotropic,
    )


def _power_card(data: EvaluationData[Field]) -> dict[str, str]:
    """Name of the card of the power spectrum, with the wavenumber that its figure reaches to."""
    unit = wavenumber(data) if length_unit(data) else ""
    return {"power_spectrum": f"Power spectrum to k = {number(half_nyquist(data.space), 2)} {unit}".rstrip()}


def _field_facts(data: EvaluationData[Field]) -> list[tuple[str, str]]:
    """Side of a map, and the units of its values."""
    units = column_units(data)
    stated = [("unit", listing([unit or "none" for unit in units]))] if any(units) else []
    return [("side", galleries.side_text(data)), *stated]


def _spectra(data: EvaluationData[Field]) -> tuple[Profile, Profile]:
    spectrum = data.derived(summarise)["power_spectrum"]
    generated, real = (
        values[..., spectrum.within].reshape(len(values), -1) for values in (spectrum.generated, spectrum.real)
    )
    logs, channels = log_spectra(spectrum), data.space.channels
    blocks = np.array_split(spectrum.x[spectrum.within], logs[0].shape[1] // channels)
    unit = wavenumber(data)
    names = tuple(f"k = {block.mean():.3g} {unit}" for block in blocks) * channels
    return Profile("P(k)", (), generated, real, "%"), Profile("ln P(k)", names, *logs, unit="%")


def _moments(data: EvaluationData) -> tuple[Profile, Profile]:
    return _followed(data.generated, data.real, 1, vectors.coordinate_names(data.space))


def _description(data: EvaluationData) -> tuple[Profile, Profile]:
    """Profiles of the features of series, evenly selected, since their values may be missing."""
    generated, real = series.describe_series(data)
    step = max(1, real.shape[1] // MOMENTS)
    return _followed(generated, real, step, tuple(f"x{i + 1}" for i in range(real.shape[1])))


def _followed(generated: Any, real: Any, step: int, names: tuple[str, ...]) -> tuple[Profile, Profile]:
    """Means and squares of some columns, standardised."""
    names = names[::step][:MOMENTS]
    a, b = (x.reshape(len(x), -1).astype(float)[:, ::step][:, :MOMENTS] for x in (generated, real))
    centre, scatter = b.mean(axis=0), np.maximum(b.std(axis=0), 1e-300)
    a, b = (a - centre) / scatter, (b - centre) / scatter
    names += tuple(f"{name}²" for name in names)
    moments = Profile("moments", names, np.hstack([a, a**2]), np.hstack([b, b**2]), "σ")
    return moments, moments


def _levels(fields: np.ndarray) -> np.ndarray | None:
    """The values of discrete fields, rising; None if they are not discrete."""
    # Most fields are seen to be continuous by their first cells.
    if len(np.unique(fields.ravel()[: 4 * MOST_LEVELS])) > MOST_LEVELS:
        return None
    levels = np.unique(fields)
    return levels if 1 < len(levels) <= MOST_LEVELS and fields.size > 4 * MOST_LEVELS else None
