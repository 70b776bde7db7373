"""One reader a format. Each has `open_file(path, field)`, and imports its library when it is first needed."""

from __future__ import annotations

from pushforward.ensembles.formats.contents import Contents
from pushforward.ensembles.formats.recognise import find_files, open_file

__all__ = ["Contents", "find_files", "open_file"]
