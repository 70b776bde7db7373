"""Time alternatives in turn, and write down what was found.

Two functions timed one after the other see two different machines: a clock that throttles, a neighbour that wakes up.
`time_in_turn` calls A B A B ... instead, so that what slows one slows the other, and compares medians. `report` prints
a table, adds its rows to ``benchmarks/results/<name>.json`` and writes ``docs/benchmarks/<name>.md``: documents hold
only what scripts printed.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["Timing", "report", "time_in_turn"]

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pushforward", "torch", "numpy")


@dataclass(frozen=True)
class Timing:
    """Seconds a call took: the median of several, the fastest and the slowest."""

    median: float
    minimum: float
    maximum: float

    def __str__(self) -> str:
        return f"{_milliseconds(self.median)} ({_milliseconds(self.minimum)} - {_milliseconds(self.maximum)})"


def time_in_turn(
    functions: Mapping[str, Callable[[], Any]], repeats: int = 7, *, calls: int = 1, warmup: int = 2
) -> dict[str, Timing]:
    """Seconds per call of each function, measured A B A B ...

    Arguments:
        functions: what to time, by name; each is called without arguments.
        repeats: rounds; the median is over rounds.
        calls: calls that make up one measurement, for functions too short for the clock.
        warmup: calls of each function before the first measurement (compilation, caches).
    """
    for function in functions.values():
        for _ in range(warmup):
            function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            for _ in range(calls):
                function()
            seconds[name].append((time.perf_counter() - start) / calls)
    return {name: Timing(statistics.median(s), min(s), max(s)) for name, s in seconds.items()}


def report(
    name: str,
    title: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    notes: Sequence[str] = (),
    packages: Sequence[str] = (),
    figure: str = "",
    further: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> None:
    """Print a table and keep it: rows are added to the JSON file, the markdown page is written anew.

    Arguments:
        name: stem of the two files.
        title: heading of the page.
        rows: one mapping a row; the columns are the keys of the first. Write units into the column's name.
        notes: one line each, what a reader must know to read the numbers (settings, floors, what differs).
        packages: peers whose version belongs beside the numbers.
        figure: a picture below the table, as markdown.
        further: more tables by their heading; those without rows are left out.
    """
    if not rows:
        raise ValueError(f"the table {name!r} has no rows to report")
    setting = _setting(packages)
    lines = [f"# {title}", "", *_markdown_table(rows), "", *([figure, ""] if figure else [])]
    for heading, more in (further or {}).items():
        lines += [f"## {heading}", "", *_markdown_table(more), ""] if more else []
    lines += [f"- {note}" for note in notes]
    recipe = f"Written by `python -m benchmarks {name}` on {setting['date']}: " + ", ".join(
        f"{key} {value}" for key, value in setting.items() if key != "date"
    )
    text = "\n".join([*lines, "", recipe + ".", ""])
    print(text, flush=True)

    results = ROOT / "benchmarks" / "results" / f"{name}.json"
    results.parent.mkdir(parents=True, exist_ok=True)
    history = json.loads(results.read_text()) if results.exists() else []
    record: dict[str, Any] = {"setting": setting, "rows": [dict(row) for row in rows]}
    if further:
        record["further"] = {heading: [dict(row) for row in more] for heading, more in further.items()}
    history.append(record)
    results.write_text(json.dumps(history, indent=1, default=str) + "\n")

    page = ROOT / "docs" / "benchmarks" / f"{name}.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text)


def _markdown_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    columns = list(rows[0])
    cells = [columns, *[[_cell(row.get(column, "")) for column in columns] for row in rows]]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms"


def _setting(packages: Sequence[str]) -> dict[str, str]:
    setting = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "python": platform.python_version(),
    }
    for package in (*PACKAGES, *packages):
        try:
            setting[package] = version(package)
        except PackageNotFoundError:
            setting[package] = "absent"
    return setting


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
