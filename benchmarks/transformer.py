"""The transformer of fields beside the U-Net: maps of the cosmic web, the same objective, data and training time."""

from __future__ import annotations

from benchmarks.judged import fit_and_judge, row_of
from benchmarks.timing import report

BUDGET = "2m"
STATISTICS = ("power_spectrum", "power_scatter", "one_point_pdf", "bispectrum", "coverage", "classifier")
TRANSFORMER = ("--set", "network=transformer", "--set", "learning_rate=1e-3", "--set", "width=96")
NETWORKS = {
    "U-Net": (),
    "transformer, patches of 4": (*TRANSFORMER, "--set", "patch=4"),
}


def main() -> None:
    rows = []
    for name, settings in NETWORKS.items():
        stem = f"network-{name}".replace(", ", "-").replace(" ", "-")
        found = fit_and_judge(stem, "cosmic-web", "--model", "flow-matching", "--budget", BUDGET, *settings)
        rows.append(
            {
                "network": name,
                "weights": found["counts"]["weights"],
                "steps": found["steps"],
                "ms a sample": found["timing"]["milliseconds_per_sample"],
                **row_of(found, STATISTICS),
            }
        )
    report(
        "transformer",
        "The transformer beside the U-Net",
        rows,
        notes=[
            f"`pushforward fit cosmic-web --model flow-matching --budget {BUDGET}`, one run (seed 0) each, on one "
            f"core; for the transformer with `{' '.join(TRANSFORMER)} --set patch=...`.",
            "Each statistic with its error, then its floor: real maps against real maps.",
        ],
    )


if __name__ == "__main__":
    main()
