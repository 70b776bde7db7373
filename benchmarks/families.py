"""Which family should I use? Five of them on three built-in sets, each with the same time to train.

What `pushforward compare` measures, as one table. Runs are kept in ``runs/benchmarks``; delete them to start anew.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.command_line_runs import run_of
from benchmarks.timing import report

MODELS = ("flow-matching", "ddpm", "wgan-gp", "realnvp", "vae")
BUDGETS = {"two-moons": "30s", "digits": "1m", "cosmic-web": "2m"}
STATISTICS = {
    "two-moons": ("wasserstein2", "nll", "classifier"),
    "digits": ("one_point_pdf", "classifier", "coverage"),
    "cosmic-web": ("power_spectrum", "one_point_pdf", "classifier"),
}


def main() -> None:
    rows = [
        {"set": name, "training": BUDGETS[name], **_row(name, cell(name, model))}
        for name in BUDGETS
        for model in MODELS
    ]
    report(
        "families",
        "Five families with the same time to train",
        rows,
        notes=[
            "One run each (seed 0), default settings. Quality: how many times as far from the data as other real data "
            "are, the geometric mean over the headline statistics, none counted as less than 1.",
            "In brackets, the same statistic of real data against other real data.",
        ],
    )


def cell(name: str, model: str) -> dict[str, Any]:
    """Result of ``pushforward compare`` for one model on a set, computed or read."""
    out = run_of(f"families-{name}-{model}")
    if not (out / "compare.json").exists():
        program = Path(sys.executable).with_name("pushforward")
        budget = BUDGETS[name]
        subprocess.run([program, "compare", name, "--models", model, "--budget", budget, "--out", out], check=True)
    (result,) = json.loads((out / "compare.json").read_text())["models"]
    return dict(result)


def _row(name: str, result: dict[str, Any]) -> dict[str, str | float]:
    if result["failure"]:
        return {"model": result["model"], "quality": result["failure"]}
    verdicts = {each["statistic"]: each for each in result["verdicts"]}
    shown = [verdicts[each] for each in STATISTICS[name] if each in verdicts]
    return {
        "model": result["model"],
        "quality": result["quality"],
        "ms a sample": result["milliseconds_per_sample"],
        "weights": result["weights"],
        "statistics": ", ".join(f"{v['label']} {v['value']:.3g}{v['unit']} ({v['floor']:.3g})" for v in shown),
    }


if __name__ == "__main__":
    main()
