"""Measurements that are kept, so that a benchmark that is stopped goes on where it stopped.

Each is one small file, ``runs/benchmarks/<benchmark>/<name>.json``, with the setting that it was made at beside what
was found: at another setting it is made again. Two processes may measure side by side, since neither writes what the
other does.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["WORK", "kept", "look_up"]

WORK = Path(__file__).resolve().parent.parent / "runs" / "benchmarks"


def kept(
    benchmark: str, name: str, setting: Mapping[str, Any], measure: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Result of ``measure()``, now or from the last call at this setting.

    Arguments:
        benchmark: folder of the file.
        name: of this measurement; any text.
        setting: what the numbers depend on besides the name, as plain values.
        measure: called if the measurement is not there; what it returns is plain values too.
    """
    found = look_up(benchmark, name, setting)
    if found is None:
        found = measure()
        path = _path(benchmark, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps({"setting": _whole(setting), "found": found}, indent=1) + "\n")
        partial.replace(path)
        print(f"{benchmark}: {name}: {found}", flush=True)
    return found


def look_up(benchmark: str, name: str, setting: Mapping[str, Any]) -> dict[str, Any] | None:
    """A measurement at this setting, if it is there."""
    path = _path(benchmark, name)
    if not path.exists():
        return None
    record = json.loads(path.read_text())
    return record["found"] if record["setting"] == _whole(setting) else None


def _path(benchmark: str, name: str) -> Path:
    return WORK / benchmark / (re.sub(r"[^\w.+=-]+", "_", name).strip("_") + ".json")


def _whole(setting: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps({"pushforward": version("pushforward"), **setting}))
