"""Display of reports: their table as plain text where they are printed, as HTML in a notebook."""

from __future__ import annotations

from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.table import Table

__all__ = ["Printed", "TextGroup", "TextTable", "as_text"]

_WIDTH = 120
"""Characters per line."""
_HTML = '<pre style="font-family: monospace; line-height: 1.3">{code}</pre>'


def _printed(shown: RenderableType) -> Console:
    """A recording console without colours, after printing."""
    console = Console(file=StringIO(), width=_WIDTH, color_system=None, record=True, force_jupyter=False)
    console.print(shown)
    return console


def as_text(shown: RenderableType) -> str:
    """Table for the terminal as lines of plain text."""
    return "\n".join(line.rstrip() for line in _printed(shown).export_text().splitlines()).rstrip()


class _AsText:
    """Mix-in of what rich renders: its text is what a terminal shows."""

    def __str__(self) -> str:
        return as_text(self)  # type: ignore[arg-type]

    __repr__ = __str__


class TextTable(_AsText, Table):
    """Table for the terminal that `print` shows as text."""


class TextGroup(_AsText, Group):
    """Tables and lines for the terminal that `print` shows as text."""


class Printed:
    """Base of reports: `print` shows the table, a notebook its HTML, and the repr is one line."""

    def table(self) -> RenderableType:
        """Table for the terminal."""
        raise NotImplementedError

    def __str__(self) -> str:
        return as_text(self.table())

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {str(self).strip().partition(chr(10))[0].rstrip()}>"

    def _repr_html_(self) -> str:
        return _printed(self.table()).export_html(inline_styles=True, code_format=_HTML)
