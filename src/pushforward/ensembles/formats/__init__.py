"""Formats, one module each, imported on first use.

Each has `open_file(path, field)`, and those that can be written also have `write_file(simulated, path)`.
"""

from __future__ import annotations

from pushforward.ensembles.formats.contents import Contents
from pushforward.ensembles.formats.recognise import find_files, open_file

__all__ = ["Contents", "find_files", "open_file"]
