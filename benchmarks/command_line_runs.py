"""Train through the command line and read what the report says, as a user would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["WAYS", "fit_and_validate", "row_of", "run_of", "training_cost"]

WORK = Path("runs/benchmarks")
# Of using two cores: threads of each process, and processes.
WAYS = {"one thread": (1, 1), "two threads": (2, 1), "two processes": (1, 2)}


def fit_and_validate(name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The report of ``pushforward fit ARGUMENTS`` and ``pushforward validate``, in the directory `run_of` this name.

    A run that was judged already, of the same version, with the same arguments and environment, is not repeated.
    """
    run, limits = run_of(name), dict(environment or {})
    done, wanted = run / "done.json", [version("pushforward"), *arguments, *(f"{k}={v}" for k, v in limits.items())]
    if not done.exists() or json.loads(done.read_text()) != wanted:
        shutil.rmtree(run, ignore_errors=True)
        program = Path(sys.executable).with_name("pushforward")
        for words in (["fit", *arguments, "--out", run], ["validate", run]):
            subprocess.run([program, *words], env={**os.environ, **limits}, check=True)
        done.write_text(json.dumps(wanted))
    report: dict[str, Any] = json.loads((run / "report.json").read_text())
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return {**report, "steps": json.loads(lines[-1])["step"]}


def run_of(name: str) -> Path:
    """The run directory of a name."""
    return WORK / name


def training_cost(*arguments: str, threads: int, processes: int = 1, steps: int = 60) -> tuple[float, float]:
    """Seconds a step of ``pushforward fit ARGUMENTS`` once it is under way, and GiB at most in a process's memory."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        program = Path(sys.executable).with_name("pushforward")
        options = ("--set", "log_every=0.0", "--steps", str(steps), "--devices", str(processes), "--out", run)
        threaded = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        process = subprocess.Popen([program, "fit", *arguments, *options], env=threaded)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), process.args)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    marks = [(line["step"], line["seconds"]) for line in lines if "seconds" in line and line["step"] >= steps // 6]
    (first, begun), (last, ended) = marks[0], marks[-1]
    return (ended - begun) / (last - first), used.ru_maxrss / 2**20


def row_of(report: dict[str, Any], statistics: tuple[str, ...]) -> dict[str, str]:
    """Each statistic as value with its error, then the floor with its range."""
    verdicts = {each["statistic"]: each for each in report["verdicts"]}
    return {
        f"{verdicts[name]['label']}{_in_unit(verdicts[name]['unit'])}": _with_floor(verdicts[name])
        for name in statistics
        if name in verdicts
    }


def _in_unit(unit: str) -> str:
    return f" ({unit})" if unit else ""


def _with_floor(verdict: dict[str, Any]) -> str:
    value = f"{verdict['value']:.3g} ± {verdict['error']:.2g}"
    return f"{value}; floor {verdict['floor']:.3g} ({verdict['floor_low']:.3g} to {verdict['floor_high']:.3g})"
