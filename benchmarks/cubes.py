"""Cubes of 32 x 32 x 32 cells of the cosmic web: what it costs to train and to sample them, and how good they are."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.judged import fit_and_judge, row_of, run_of
from benchmarks.timing import report

BUDGET = "8m"
BATCH = 4
ARGUMENTS = ("cosmic-cubes", "--model", "flow-matching", "--set", f"batch_size={BATCH}")
STATISTICS = ("power_spectrum", "power_scatter", "one_point_pdf", "bispectrum", "peaks", "coverage", "classifier")


def main() -> None:
    memory = peak_memory()
    found = fit_and_judge("cubes", *ARGUMENTS, "--budget", BUDGET)
    lines = [json.loads(line) for line in (run_of("cubes") / "metrics.jsonl").read_text().splitlines()]
    seconds = next(line["seconds"] for line in reversed(lines) if "seconds" in line)
    milliseconds = found["timing"]["milliseconds_per_sample"]
    report(
        "cubes",
        "Cubes of the cosmic web, 32 x 32 x 32",
        [
            {
                "weights": found["counts"]["weights"],
                "steps": found["steps"],
                "seconds a step": seconds / found["steps"],
                "cubes a second in training": BATCH * found["steps"] / seconds,
                "seconds a sample": milliseconds / 1000,
                "samples a minute": 60_000 / milliseconds,
                "peak memory (GiB)": memory,
            }
        ],
        notes=[
            f"`pushforward fit {' '.join(ARGUMENTS)} --budget {BUDGET}`, one run (seed 0), 20 network calls a sample, "
            "the data made beforehand.",
            "Report, on cubes of simulations that were held out: "
            + "; ".join(f"{name}: {value}" for name, value in row_of(found, STATISTICS).items())
            + ".",
            "Peak memory: of a process that trains 20 steps and holds all 800 cubes (0.1 GiB).",
        ],
    )


def peak_memory() -> float:
    """Peak resident memory of a short training, GiB; the data are made on the way, if they are not kept yet."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(sys.executable).with_name("pushforward")
        subprocess.run([program, "fit", *ARGUMENTS, "--steps", "20", "--out", f"{folder}/run"], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
