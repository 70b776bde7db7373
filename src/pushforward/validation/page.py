"""Pages: sections of pictures, and the templates that lay them out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pushforward
from pushforward.errors import UsageError
from pushforward.runs.files import replace_file
from pushforward.spaces import Field, Series, Vector
from pushforward.validation import figures, samples, wording
from pushforward.validation.samples import Gallery
from pushforward.validation.series import series_pictures
from pushforward.validation.style import VERDICTS, Picture

if TYPE_CHECKING:
    from pushforward.validation.report import Report

__all__ = ["Section", "render", "report_sections", "save_page"]


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


class Page(Protocol):
    """What can be written as a page and as numbers."""

    def html(self) -> str: ...

    def to_dict(self) -> dict[str, Any]: ...


def save_page(path: str | Path, page: Page, what: str) -> None:
    """Write a page (``.html``) or its numbers (``.json``), all or nothing.

    Raises:
        UsageError: for another ending, or a folder that cannot be written to.
    """
    path = Path(path)
    if path.suffix not in (".html", ".json"):
        raise UsageError(f"a {what} is written as .html or .json, not {path.name!r}")
    text = page.html() if path.suffix == ".html" else json.dumps(page.to_dict(), indent=1)

    def write(partial: Path) -> None:
        partial.write_text(text, encoding="utf-8")

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, write)
    except OSError as problem:
        raise UsageError(f"{path} cannot be written: {problem.strerror or problem}") from None


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
