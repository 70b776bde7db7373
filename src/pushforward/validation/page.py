"""Pages: sections of pictures, and the templates that lay them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pushforward
from pushforward.spaces import Field, Series, Vector
from pushforward.validation import figures, samples, wording
from pushforward.validation.samples import Gallery
from pushforward.validation.series import series_pictures
from pushforward.validation.style import VERDICTS, Picture

if TYPE_CHECKING:
    from pushforward.validation.report import Report

__all__ = ["Section", "render", "report_sections"]


@dataclass(frozen=True)
class Section:
    """A heading of the page and what stands under it."""

    title: str
    anchor: str
    pictures: Sequence[Picture] = ()
    galleries: Sequence[Gallery] = ()


def render(template: str, **values: Any) -> str:
    """A page from one of the templates beside this file."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pushforward.validation", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=wording.number, duration=wording.duration)
    return environment.get_template(template).render(
        version=pushforward.__version__, colours=VERDICTS, anchor=_anchor, **values
    )


def report_sections(report: Report) -> list[Section]:
    """The figures of a report, drawn when the page is written."""
    material, found = report.material, []
    if isinstance(report.space, Field):
        found.append(Section("Samples beside data", "samples", galleries=[samples.field_gallery(material)]))
    elif isinstance(report.space, Vector):
        pictures = samples.vector_pictures(material)
        if report.log_prob is not None and report.space.dim == 2 and not report.parameters:
            pictures.append(samples.density_picture(material, report.log_prob))
        found.append(Section("Samples beside data", "samples", pictures))
    elif isinstance(report.space, Series):
        found.append(Section("Samples beside data", "samples", series_pictures(material)))
    curves = [figures.curve_picture(curve) for curve in report.curves]
    matrices = figures.matrices_picture(report.matrices)
    found.append(Section("Statistics", "statistics", [*curves, *([matrices] if matrices else [])]))

    general = [v for v in report.verdicts if v.group == "sets"]
    sets = [figures.scores_picture(general)]
    galleries = []
    if report.neighbours is not None:
        sets.append(figures.distances_picture(report.neighbours.generated, report.neighbours.test))
        if isinstance(report.space, Field):
            galleries.append(samples.neighbour_gallery(material, report.neighbours.index, report.neighbours.generated))
    found.append(Section("Fidelity, variety, copies", "sets", sets, galleries))
    if report.responses:
        pictures = [figures.response_picture(response) for response in report.responses]
        found.append(Section("Over the range of the condition", "conditions", pictures))
    training = figures.training_picture(report.metrics)
    if training:
        found.append(Section("Training", "training", [training]))
    return found


def _anchor(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text.lower())
