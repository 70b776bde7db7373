"""Sections of the page: pictures of samples, statistics, sets and conditions, drawn when the page is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pushforward.validation import figures, galleries, samples
from pushforward.validation.galleries import Gallery
from pushforward.validation.kinds import kind_of
from pushforward.validation.labels import wavenumber
from pushforward.validation.series import series_pictures
from pushforward.validation.style import Picture

if TYPE_CHECKING:
    from pushforward.validation.report import Report

__all__ = [
    "Section",
    "field_sections",
    "particle_sections",
    "report_sections",
    "series_sections",
    "vector_sections",
]

SAMPLES = "Samples beside data"


@dataclass(frozen=True)
class Section:
    """Heading of the page and its content."""

    title: str
    anchor: str
    pictures: Sequence[Picture] = ()
    galleries: Sequence[Gallery] = ()


def field_sections(report: Report) -> list[Section]:
    """Fields beside data, and the nearest training members."""
    found = [Section(SAMPLES, "samples", galleries=galleries.field_galleries(report.evaluation))]
    if report.neighbours is not None:
        gallery = galleries.neighbour_gallery(report.evaluation, report.neighbours)
        found.append(Section("Nearest training members", "neighbours", galleries=[gallery]))
    return found


def vector_sections(report: Report) -> list[Section]:
    """Points beside data; in the plane, the model's density."""
    pictures = samples.vector_pictures(report.evaluation)
    if report.log_prob is not None and report.evaluation.real.shape[1] == 2 and not report.parameters:
        pictures.append(samples.density_picture(report.evaluation, report.log_prob))
    return [Section(SAMPLES, "samples", pictures)]


def series_sections(report: Report) -> list[Section]:
    """Series beside data."""
    return [Section(SAMPLES, "samples", series_pictures(report.evaluation))]


def particle_sections(report: Report) -> list[Section]:
    """Configurations beside data."""
    return [Section(SAMPLES, "samples", samples.particle_pictures(report.evaluation))]


def report_sections(report: Report) -> list[Section]:
    """All sections of a report."""
    first, *rest = kind_of(report.space).pictures(report)
    found = [first]
    curves = [figures.curve_picture(curve) for curve in report.curves]
    matrices = figures.matrices_picture(report.matrices, wavenumber(report.evaluation) if report.matrices else "")
    found.append(Section("Statistics", "statistics", [*curves, *([matrices] if matrices else [])]))

    sets = [figures.scores_picture([v for v in report.verdicts if v.group == "sets" and np.isfinite(v.floor)])]
    if report.neighbours is not None:
        sets.append(figures.distances_picture(report.neighbours.generated, report.neighbours.test))
    found.append(Section("Fidelity, variety, copies", "sets", sets))
    found += rest
    if report.responses:
        pictures = [figures.response_picture(response) for response in report.responses]
        found.append(Section("Over the range of the condition", "conditions", pictures))
    training = [figures.training_picture(report.metrics), figures.training_log_picture(report.metrics)]
    if any(training):
        found.append(Section("Training", "training", [picture for picture in training if picture]))
    return found
