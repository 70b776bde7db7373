"""Weak-lensing convergence by source redshift: 19 real maps, cut into crops of 64 x 64 cells.

The maps are not part of the repository. Name their folder in the environment variable KAPPA, or have it at
``../shared/data/kappa``; without them nothing is measured.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.judged import fit_and_judge, row_of
from benchmarks.timing import report

FOLDER = Path(os.environ.get("KAPPA", "../shared/data/kappa"))
BUDGET = "20m"
STATISTICS = ("power_spectrum", "one_point_pdf", "bispectrum", "peaks", "power_scatter", "coverage", "classifier")


def main() -> None:
    conditions = FOLDER / "source_redshift.csv"
    if not conditions.exists():
        print(f"skipped: there are no maps in {FOLDER}; set KAPPA to the folder that holds them")
        return
    found = fit_and_judge(
        "kappa",
        str(FOLDER / "*.fits"),
        *("--condition", str(conditions), "--crop", "64", "--model", "flow-matching", "--budget", BUDGET),
    )
    report(
        "kappa",
        "Emulator of weak-lensing maps by source redshift",
        [{"budget": BUDGET, "steps": found["steps"], **row_of(found, STATISTICS)}],
        notes=[
            "One run (seed 0), judged on the part of the sky that was held out: 64 of 512 columns of every map.",
            "All maps show the same sky at growing source redshift: the 19 x 6 test crops hold 6 independent places.",
        ],
    )


if __name__ == "__main__":
    main()
