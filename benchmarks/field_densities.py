"""Densities of Gaussian fields of 32 x 32 cells, whose entropy is known: nats per cell above it.

2000 fields with P(k) ~ k^-2 exp(-(k / k_c)^2), most of them for training; few steps suffice for `trenf`, whose first
layer is exact for Gaussian fields and starts at the spectrum of the first batch. Scored on 200 fresh fields.

    python -m benchmarks field_densities
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.flow_peers import count
from benchmarks.stored_results import measure_once
from benchmarks.timed_fits import timed_fit
from benchmarks.timing import report
from pushforward.ensembles import builtin
from pushforward.simulate import simulate

GRID, MEMBERS, SCORED = 32, 2000, 200
RUNS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "trenf": ("trenf", 150, {"layers": 2, "batch_size": 32}),
    "glow": ("glow", 150, {"couplings": 2, "width": 32, "batch_size": 32}),
    "realnvp": ("realnvp", 150, {"batch_size": 32}),
}


def main() -> None:
    rows = []
    for name, (family, steps, settings) in RUNS.items():
        setting = {"steps": steps, "settings": settings}
        result = measure_once("field_densities", name, setting, lambda f=family, s=steps, o=settings: measured(f, s, o))
        rows.append(
            {
                "family": name,
                "parameters": result["parameters"],
                "steps": steps,
                "processor seconds": round(result["seconds"]),
                "entropy, nats per cell": f"{result['entropy']:.4f}",
                "above it, nats per cell": f"{result['gap']:.5f} ± {result['error']:.5f}",
            }
        )
    notes = [f"gaussian-field, {GRID} x {GRID}; {SCORED} fresh fields; one seed, one core"]
    report("field_densities", "Densities of Gaussian fields", rows, notes=notes)


def measured(family: str, steps: int, settings: dict[str, Any]) -> dict[str, Any]:
    data = builtin.simulate("gaussian-field", MEMBERS, 0, grid=GRID)
    emulator, seconds = timed_fit(data, family, steps=steps, settings=settings)
    fresh = simulate("gaussian-field", SCORED, 1, grid=GRID)
    assert fresh.exact is not None
    learned = emulator.log_prob(torch.from_numpy(fresh.x)).double().numpy()
    gap = (fresh.exact.log_prob(fresh.x) - learned) / GRID**2
    return {
        "parameters": count(emulator.model),
        "gap": float(gap.mean()),
        "error": float(gap.std() / len(gap) ** 0.5),
        "entropy": float(fresh.exact.entropy) / GRID**2,
        "seconds": seconds,
    }


torch.set_num_threads(1)
