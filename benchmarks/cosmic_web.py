"""Maps of the cosmic web: how good an emulator is after 2, 5 and 15 minutes of training.

What `make demo` does, with other budgets: the default model, 64 x 64 cells, conditional on Omega_m and sigma_8.
"""

from __future__ import annotations

from benchmarks.command_line_runs import fit_and_validate, row_of

MINUTES = (2, 5, 15)
STATISTICS = ("power_spectrum", "one_point_pdf", "bispectrum", "peaks", "power_scatter", "coverage", "classifier")


def main() -> None:
    rows = []
    for minutes in MINUTES:
        report = fit_and_validate(f"cosmic-web-{minutes}m", "cosmic-web", "--budget", f"{minutes}m")
        rows.append({"minutes": minutes, "steps": report["steps"], **row_of(report, STATISTICS)})
    report(
        "cosmic_web",
        "Emulators of the cosmic web by training time",
        rows,
        notes=[
            "One run each (seed 0) of flow-matching with its default settings, judged on the held-out maps.",
            "Errors are one standard error from the finite number of maps. The floor is what real maps give against "
            "other real maps, with its 95 % range.",
        ],
    )


if __name__ == "__main__":
    main()
