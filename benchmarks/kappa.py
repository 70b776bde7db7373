"""Weak-lensing convergence by source redshift: 19 real maps, cut into crops of 64 x 64 cells.

The maps are not part of the repository. Name their folder in the environment variable KAPPA, or have it at
``../shared/data/kappa``; without them nothing is measured.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np

import pushforward as pf
from benchmarks.command_line_runs import fit_and_validate, row_of, run_of
from benchmarks.timing import report
from pushforward.statistics import power_spectrum

FOLDER = Path(os.environ.get("KAPPA", "../shared/data/kappa"))
BUDGET = "20m"
STATISTICS = ("power_spectrum", "one_point_pdf", "bispectrum", "peaks", "power_scatter", "coverage", "classifier")
REDSHIFTS = (0.0, 0.5, 1.0, 1.6)
WAVENUMBERS = {"fundamental": 0, "k = 0.4": 3, "k = 0.7": 6, "k = 1.1": 10, "k = 1.6": 15}


def main() -> None:
    conditions = FOLDER / "source_redshift.csv"
    if not conditions.exists():
        print(f"skipped: there are no maps in {FOLDER}; set KAPPA to the folder that holds them")
        return
    judged = fit_and_validate(
        "kappa",
        str(FOLDER / "*.fits"),
        *("--condition", str(conditions), "--crop", "64", "--model", "flow-matching", "--budget", BUDGET),
    )
    lines = [f"{name}: {value}" for name, value in row_of(judged, STATISTICS).items()]
    report(
        "kappa",
        "Emulator of weak-lensing maps by source redshift",
        power_by_redshift(),
        notes=[
            f"One run (seed 0) of {BUDGET}, {judged['steps']} steps.",
            "Table: mean power of maps over that of the training part of the sky, at the same redshifts; "
            "k in radians a cell.",
            "Report, on the part of the sky that was held out, 64 of 512 columns of every map: "
            + "; ".join(lines)
            + ".",
            "All maps show the same sky at growing source redshift: the 19 x 6 test crops hold 6 independent places.",
        ],
    )


def power_by_redshift() -> list[dict[str, str | float]]:
    """Power of held-out and of generated maps over that of the training maps."""
    emulator = pf.Emulator.load(run_of("kappa"))
    kappa = pf.read(str(FOLDER / "*.fits"), condition=FOLDER / "source_redshift.csv", crop=64)
    parts = {"held-out sky": kappa.test, "other held-out sky": kappa.validation, "training sky": kappa.train}
    maps = {name: (part.tensor(), part.condition_rows(np.arange(len(part)))) for name, part in parts.items()}
    conditions = maps["training sky"][1][::2]
    maps["generated"] = emulator.sample_at(conditions, seed=0), conditions
    rows: list[dict[str, str | float]] = []
    for low, high in pairwise(REDSHIFTS):
        power = {
            name: power_spectrum(x[(low <= z[:, 0]) & (z[:, 0] < high)]).power.mean((0, 1))
            for name, (x, z) in maps.items()
        }
        for name in ("generated", "held-out sky", "other held-out sky"):
            ratio = power[name] / power["training sky"]
            values = {label: ratio[number].item() for label, number in WAVENUMBERS.items()}
            rows.append({"source redshift": f"{low:g} to {high:g}", "maps": name, **values})
    return rows


if __name__ == "__main__":
    main()
