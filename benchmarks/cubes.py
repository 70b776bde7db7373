"""Cubes of 32 x 32 x 32 cells of the cosmic web: what it costs to train and to sample them, and how good they are."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pushforward as pf
from benchmarks.judged import fit_and_judge, row_of, run_of
from benchmarks.timing import report

BUDGET = "6m"
BATCH = 4
ARGUMENTS = ("cosmic-cubes", "--model", "flow-matching", "--set", f"batch_size={BATCH}")
STATISTICS = ("power_spectrum", "power_scatter", "one_point_pdf", "bispectrum", "peaks", "coverage", "classifier")


def main() -> None:
    found = fit_and_judge("cubes", *ARGUMENTS, "--budget", BUDGET)
    step, memory = training_cost()
    sampling = sampling_cost()
    report(
        "cubes",
        "Cubes of the cosmic web, 32 x 32 x 32",
        [
            {
                "weights": found["counts"]["weights"],
                "seconds a step": step,
                "cubes a second in training": BATCH / step,
                "seconds a sample": sampling,
                "samples a minute": 60 / sampling,
                "peak memory (GiB)": memory,
            }
        ],
        notes=[
            f"`pushforward fit {' '.join(ARGUMENTS)}`, 20 network calls a sample. Cost: of 30 steps, and of 8 samples.",
            f"Quality after --budget {BUDGET}, in which it came to {found['steps']} steps, "
            f"{found['steps'] * step / 60:.1f} min at the cost above; one run (seed 0), on cubes of "
            "simulations that were held out: "
            + "; ".join(f"{name}: {value}" for name, value in row_of(found, STATISTICS).items())
            + ".",
            "Peak memory: of the training process, which holds all 800 cubes (0.1 GiB).",
        ],
    )


def training_cost() -> tuple[float, float]:
    """Seconds a step once it is under way, and peak resident memory in GiB."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(sys.executable).with_name("pushforward")
        logged = ("--set", "log_every=0.0")
        subprocess.run([program, "fit", *ARGUMENTS, *logged, "--steps", "30", "--out", f"{folder}/run"], check=True)
        lines = [json.loads(line) for line in Path(folder, "run", "metrics.jsonl").read_text().splitlines()]
    marks = [(line["step"], line["seconds"]) for line in lines if "seconds" in line and line["step"] >= 5]
    (first, begun), (last, ended) = marks[0], marks[-1]
    return (ended - begun) / (last - first), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def sampling_cost() -> float:
    """Seconds a sample, after one that warms up."""
    emulator = pf.Emulator.load(run_of("cubes"))
    emulator.sample(1)
    start = time.perf_counter()
    emulator.sample(8)
    return (time.perf_counter() - start) / 8


if __name__ == "__main__":
    main()
