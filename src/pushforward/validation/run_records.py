"""Records that a run wrote during training."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["RunRecords", "records_of"]

Line = dict[str, Any]


@dataclass(frozen=True)
class RunRecords:
    """Training curves of a run.

    Attributes:
        lines: one per record of ``metrics.jsonl``; one cut short by a crash is left out.
        failures: a line for the report if the file holds bytes that are not text.
    """

    lines: tuple[Line, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def seconds(self) -> float | None:
        """Seconds of training; None if they are not known."""
        told = [line["seconds"] for line in self.lines if isinstance(line.get("seconds"), int | float)]
        return told[-1] if told else None


def records_of(run: Path | None) -> RunRecords:
    """Read ``metrics.jsonl`` of a run directory; empty if there is none."""
    path = None if run is None else Path(run) / "metrics.jsonl"
    if path is None or not path.exists():
        return RunRecords()
    texts = path.read_text(encoding="utf-8", errors="replace").splitlines()
    damaged = sum("\N{REPLACEMENT CHARACTER}" in text for text in texts)
    failures = (f"Training curves: {damaged} damaged line{'s' * (damaged > 1)} of {path} left out",) if damaged else ()
    return RunRecords(tuple(_parsed(texts)), failures)


def _parsed(texts: Iterable[str]) -> Iterable[Line]:
    """Complete records; a line cut short by a crash is skipped."""
    for text in texts:
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(line, Mapping) and "step" in line:
            yield dict(line)
