"""Which family should I use? Five of them on three built-in sets, each with the same time to train.

What `pushforward compare` measures, as one table; its pages stay in ``runs/benchmarks``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.judged import run_of
from benchmarks.timing import report

MODELS = ("flow-matching", "ddpm", "wgan-gp", "realnvp", "vae")
BUDGETS = {"two-moons": "30s", "digits": "1m", "cosmic-web": "2m"}
STATISTICS = {
    "two-moons": ("wasserstein2", "nll", "classifier"),
    "digits": ("one_point_pdf", "classifier", "coverage"),
    "cosmic-web": ("power_spectrum", "one_point_pdf", "classifier"),
}


def main() -> None:
    rows = []
    for name, budget in BUDGETS.items():
        for entry in compare(name, budget)["models"]:
            rows.append({"set": name, "training": budget, **_row(name, entry)})
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


def compare(name: str, budget: str) -> dict[str, Any]:
    """What ``pushforward compare`` writes for a set."""
    out = run_of(f"compare-{name}")
    shutil.rmtree(out, ignore_errors=True)
    program = Path(sys.executable).with_name("pushforward")
    models = ",".join(MODELS)
    subprocess.run([program, "compare", name, "--models", models, "--budget", budget, "--out", out], check=True)
    comparison: dict[str, Any] = json.loads((out / "compare.json").read_text())
    return comparison


def _row(name: str, entry: dict[str, Any]) -> dict[str, str | float]:
    if entry["failure"]:
        return {"model": entry["model"], "quality": entry["failure"]}
    verdicts = {each["statistic"]: each for each in entry["verdicts"]}
    found = [verdicts[each] for each in STATISTICS[name] if each in verdicts]
    return {
        "model": entry["model"],
        "quality": entry["quality"],
        "ms a sample": entry["milliseconds_per_sample"],
        "weights": entry["weights"],
        "statistics": ", ".join(f"{v['label']} {v['value']:.3g}{v['unit']} ({v['floor']:.3g})" for v in found),
    }


if __name__ == "__main__":
    main()
