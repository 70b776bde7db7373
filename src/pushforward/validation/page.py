"""Pages: rendering of templates, and writing to files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import pushforward
from pushforward.errors import UsageError
from pushforward.runs.files import replace_file
from pushforward.validation import wording
from pushforward.validation.style import VERDICTS

__all__ = ["render", "save_page"]


def render(template: str, **values: Any) -> str:
    """Page from one of the templates in this package."""
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
    """Object that can be written as a page and as numbers."""

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


def _anchor(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text.lower())
