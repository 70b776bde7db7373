"""phi^4 theory on a lattice of 8 x 8 by flows that see no member, only the action: effective sample size and ln Z.

Couplings of one half of a checkerboard given the other, with periodic convolutions, on a Gaussian field whose spectrum
is learned (`levels=0`). They are trained on the reverse Kullback-Leibler divergence, and judged by the weights
exp(-S)/q of fresh samples. The free field, whose ln Z is exact, is the check. ln Z of the interacting theory is that of
`python -m benchmarks energies` (bridge sampling).

    python -m benchmarks lattice_flows
    python -m benchmarks.lattice_flows "nsf, phi4"     # this alone, without a table
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from benchmarks.stored_results import measure_once
from benchmarks.timed_fits import timed_fit
from benchmarks.timing import report
from pushforward.energies import free_field, lattice_phi4

WEIGHTED = 8192
SHARED = {"levels": 0, "width": 16, "depth": 1, "batch_size": 256, "learning_rate": 5e-3}
RUNS: dict[str, tuple[str, str, int, dict[str, Any]]] = {
    "nsf, free field": ("nsf", "free-field", 200, {"couplings": 2, **SHARED}),
    "realnvp, phi4": ("realnvp", "phi4", 600, {"couplings": 8, **SHARED}),
    "nsf, phi4": ("nsf", "phi4", 600, {"couplings": 4, "bins": 6, "bound": 4.0, **SHARED}),
}
ENERGIES = {"free-field": free_field, "phi4": lattice_phi4}


def main() -> None:
    rows = []
    for name, (family, theory, steps, settings) in RUNS.items():
        result, facts = cell(name), ENERGIES[theory]().facts
        rows.append(
            {
                "flow": family,
                "theory": theory,
                "steps": steps,
                "processor seconds": round(result["seconds"]),
                "effective sample size": f"{100 * result['ess'] / WEIGHTED:.1f} %",
                "ln Z by weights": f"{result['log_z']:.4f} ± {result['log_z_error']:.4f}",
                "ln Z": f"{facts.log_z:.4f}" + (f" ± {facts.log_z_error}" if facts.log_z_error else " exactly"),
                "settings": ", ".join(f"{key}={value}" for key, value in settings.items()),
            }
        )
    notes = [
        f"of {WEIGHTED} fresh samples; one seed; trained on one core, time of the process",
        "phi4: M^2 = -4, lambda = 8, 8 x 8 sites; free field: M^2 = 1",
    ]
    report("lattice_flows", "Lattice field theory by flows", rows, notes=notes)


def cell(name: str) -> dict[str, Any]:
    family, theory, steps, settings = RUNS[name]
    setting = {"steps": steps, "settings": settings, "weighted": WEIGHTED}
    return measure_once("lattice_flows", name, setting, lambda: measured(family, theory, steps, settings))


def measured(family: str, theory: str, steps: int, settings: dict[str, Any]) -> dict[str, float]:
    emulator, seconds = timed_fit(ENERGIES[theory](), family, steps=steps, settings=settings)
    weighted = emulator.reweight(WEIGHTED, seed=1)
    return {
        "ess": float(weighted.ess),
        "log_z": float(weighted.log_z),
        "log_z_error": float(weighted.log_z_error),
        "seconds": seconds,
    }


torch.set_num_threads(1)
if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        cell(wanted)
