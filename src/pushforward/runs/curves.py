"""Training curves of a run: the numbers in its ``metrics.jsonl``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushforward.errors import UsageError
from pushforward.runs.directory import METRICS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["logged_lines", "training_curves"]


def logged_lines(path: Path) -> list[dict[str, Any]]:
    """Lines of a training log with their step, without those that are damaged or cut short by a crash."""
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            lines.append(line)
    return lines


def training_curves(run: Path | None) -> pd.DataFrame:
    """Training log of a run: one row per logged step, one column per quantity (``model/loss``, ...).

    Lines that are damaged, or cut short by a crash, are left out.

    Raises:
        UsageError: if there is no run, or it has no such file.
    """
    import pandas as pd

    path = None if run is None else run / METRICS
    if path is None or not path.exists():
        why = "this emulator has no run" if path is None else f"{path} is missing"
        raise UsageError(f"there are no training curves: {why}")
    lines = logged_lines(path)
    frame = pd.DataFrame(lines, columns=None if lines else ["step"])
    return frame.set_index("step").select_dtypes("number")
