"""Cubes of 32 x 32 x 32 cells of the cosmic web: what it costs to train and to sample them, and how good they are."""

from __future__ import annotations

import time

import torch

import pushforward as pf
from benchmarks.command_line_runs import WAYS, fit_and_validate, row_of, run_of, training_cost
from benchmarks.timing import report

BUDGET = "15m"
BATCH = 4
ARGUMENTS = ("cosmic-cubes", "--model", "flow-matching", "--set", f"batch_size={BATCH}")
STATISTICS = ("power_spectrum", "power_scatter", "one_point_pdf", "bispectrum", "peaks", "coverage", "classifier")


def main() -> None:
    judged = fit_and_validate("cubes", *ARGUMENTS, "--devices", "2", "--budget", BUDGET)
    rows = []
    for way, (threads, processes) in WAYS.items():
        step, memory = training_cost(*ARGUMENTS, threads=threads, processes=processes)
        sampling = sampling_cost(threads) if processes == 1 else None
        rows.append(
            {
                "way": way,
                "seconds a step": step,
                "cubes a second in training": BATCH / step,
                "peak memory of a process (GiB)": memory,
                "seconds a sample": sampling or "",
                "samples a minute": 60 / sampling if sampling else "",
            }
        )
    report(
        "cubes",
        "Cubes of the cosmic web, 32 x 32 x 32",
        rows,
        notes=[
            f"`pushforward fit {' '.join(ARGUMENTS)}`, {judged['counts']['weights']} weights, 20 network calls a "
            "sample. Cost: of 60 steps, and of 8 samples.",
            f"Quality after --devices 2 --budget {BUDGET}, in which it came to {judged['steps']} steps; one run "
            "(seed 0), on cubes of simulations that were held out: "
            + "; ".join(f"{name}: {value}" for name, value in row_of(judged, STATISTICS).items())
            + ".",
            "A process holds all 800 cubes (0.1 GiB).",
        ],
    )


def sampling_cost(threads: int) -> float:
    """Seconds a sample, after one that warms up."""
    torch.set_num_threads(threads)
    emulator = pf.Emulator.load(run_of("cubes"))
    emulator.sample(1)
    start = time.perf_counter()
    emulator.sample(8)
    return (time.perf_counter() - start) / 8


if __name__ == "__main__":
    main()
