"""Stored results of measurements, so that a benchmark that is stopped goes on where it stopped.

Each is one small file, ``runs/benchmarks/<benchmark>/<name>.json``, with the setting that it was measured at: at
another setting it is measured again. Two processes may measure side by side, since neither writes the other's file.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["WORK", "measure_in_turn", "measure_once", "run_part", "stored"]

Row = TypeVar("Row")

WORK = Path(__file__).resolve().parent.parent / "runs" / "benchmarks"


def measure_once(
    benchmark: str, name: str, setting: Mapping[str, Any], measure: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Result of ``measure()``, now or from the last call at this setting.

    Arguments:
        benchmark: folder of the file.
        name: of this measurement; any text.
        setting: everything else that the numbers depend on, as plain values.
        measure: called if there is no stored result; returns plain values.
    """
    result = stored(benchmark, name, setting)
    if result is None:
        result = measure()
        path = _path(benchmark, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps({"setting": _whole(setting), "found": result}, indent=1) + "\n")
        partial.replace(path)
        print(f"{benchmark}: {name}: {result}", flush=True)
    return result


def stored(benchmark: str, name: str, setting: Mapping[str, Any]) -> dict[str, Any] | None:
    """The stored result at this setting, if there is one."""
    path = _path(benchmark, name)
    if not path.exists():
        return None
    record = json.loads(path.read_text())
    return record["found"] if record["setting"] == _whole(setting) else None


def measure_in_turn(rows: Iterable[Row], measure: Callable[[Row], object], seconds: float) -> bool:
    """Measure row by row, beginning none after so many seconds; whether all were measured."""
    began = time.perf_counter()
    for row in rows:
        if time.perf_counter() - began > seconds:
            return False
        measure(row)
    return True


def run_part(words: Sequence[str], main: Callable[..., None], tabulate: Callable[[], None]) -> None:
    """Run what the words of a command line ask for: ``measure [SECONDS]``, without a table, or ``table``."""
    if words[0] == "table":
        tabulate()
    else:
        main(float(words[1]) if len(words) > 1 else float("inf"), table=False)


def _path(benchmark: str, name: str) -> Path:
    return WORK / benchmark / (re.sub(r"[^\w.+=-]+", "_", name).strip("_") + ".json")


def _whole(setting: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps({"pushforward": version("pushforward"), **setting}))
