"""Train through the command line and read what the report says, as a user would."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["fit_and_judge", "row_of", "run_of"]

WORK = Path("runs/benchmarks")


def fit_and_judge(name: str, *arguments: str) -> dict[str, Any]:
    """The report of ``pushforward fit ARGUMENTS`` and ``pushforward validate``, in the directory `run_of` this name.

    A run that was judged already, of the same version, with the same arguments, is not repeated.
    """
    run = run_of(name)
    done, wanted = run / "done.json", [version("pushforward"), *arguments]
    if not done.exists() or json.loads(done.read_text()) != wanted:
        shutil.rmtree(run, ignore_errors=True)
        program = Path(sys.executable).with_name("pushforward")
        subprocess.run([program, "fit", *arguments, "--out", run], check=True)
        subprocess.run([program, "validate", run], check=True)
        done.write_text(json.dumps(wanted))
    report: dict[str, Any] = json.loads((run / "report.json").read_text())
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return {**report, "steps": json.loads(lines[-1])["step"]}


def run_of(name: str) -> Path:
    """The run directory of a name."""
    return WORK / name


def row_of(report: dict[str, Any], statistics: tuple[str, ...]) -> dict[str, str]:
    """Each statistic as value with its error, then the floor with its range."""
    found = {each["statistic"]: each for each in report["verdicts"]}
    return {
        f"{found[name]['label']}{_in_unit(found[name]['unit'])}": _with_floor(found[name])
        for name in statistics
        if name in found
    }


def _in_unit(unit: str) -> str:
    return f" ({unit})" if unit else ""


def _with_floor(verdict: dict[str, Any]) -> str:
    value = f"{verdict['value']:.3g} ± {verdict['error']:.2g}"
    return f"{value}; floor {verdict['floor']:.3g} ({verdict['floor_low']:.3g} to {verdict['floor_high']:.3g})"
