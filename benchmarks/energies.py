"""Normalisers, mean energies and reference samplers of the built-in energies.

DW4 is exact by quadrature, and checks the method by which the others are measured: bridge sampling along a ladder of
temperatures. Energies whose facts are measured here have the numbers of this table in `pushforward.energies`.
"""

from __future__ import annotations

import math
import time
from typing import Any

from benchmarks.stored_results import measure_once
from benchmarks.timing import report
from pushforward.energies import Energy, double_well, lattice_phi4, lennard_jones
from pushforward.energies.bridge import measured_facts

SEEDS = (1, 2)
_CLUSTER = (1.0, 1.1, 1.2, 1.3, 1.42, 1.56, 1.75, 2.0, 2.4, 3.2, 4.5, 6.5, 10.0, 16.0)
_HALF = (1.0, 1.15, 1.35, 1.6, 2.0, 2.6, 3.6, 5.0, 7.5, 12.0)
ENERGIES: dict[str, tuple[Energy, dict[str, Any]]] = {
    "dw4": (
        double_well(),
        {"temperatures": (1.0, 1.6, 2.5, 4.0, 7.0, 12.0, 20.0), "draws": 1000, "leapfrog": 5, "warm_up": 1000},
    ),
    "phi4, L = 8": (lattice_phi4(), {"temperatures": (1.0, 1.3, 1.7, 2.3, 3.0, 4.0, 6.0), "draws": 1500}),
    "lj13": (lennard_jones(), {"temperatures": _CLUSTER, "draws": 900, "leapfrog": 6, "warm_up": 400}),
    "lj13, pair_factor = 1": (
        lennard_jones(pair_factor=1.0),
        {"temperatures": _HALF, "draws": 900, "leapfrog": 6, "warm_up": 400},
    ),
}
SAMPLES = 5000


def main() -> None:
    rows = []
    for name, (energy, options) in ENERGIES.items():
        results = [
            measure_once(
                "energies", f"{name} seed {seed}", options, lambda seed=seed, e=energy, o=options: measure(e, o, seed)
            )
            for seed in SEEDS
        ]
        log_z, log_z_error = combined(results, "log_z")
        mean, mean_error = combined(results, "mean_energy")
        drawn = measure_once("energies", f"{name} sampler", {"samples": SAMPLES}, lambda e=energy: draw(e))
        rows.append(
            {
                "energy": name,
                "ln Z": f"{log_z:.3f} ± {log_z_error:.3f}",
                "mean energy (kT)": f"{mean:.3f} ± {mean_error:.3f}",
                "entropy (nats)": f"{log_z + mean:.3f} ± {math.hypot(log_z_error, mean_error):.3f}",
                **drawn,
            }
        )
    facts = double_well().facts
    report(
        "energies",
        "Normalisers and reference samplers of the built-in energies",
        rows,
        notes=[
            f"dw4 by quadrature: ln Z = {facts.log_z:.6f}, mean energy {facts.mean_energy:.6f}, "
            f"entropy {facts.entropy:.6f}. The entropy is the smallest mean negative log-density of any model.",
            "ln Z and mean energy: replica exchange from 100 chains, two seeds, errors from groups of chains; "
            "the ladder ends at a temperature at which a Gaussian overlaps with the density.",
            f"Sampler: the reference sampler, {SAMPLES} samples, warm-up included. tau: draws per independent draw.",
            "The virial must be the number of degrees of freedom: 6, 64, 36, 36.",
        ],
    )


def measure(energy: Energy, options: dict[str, Any], seed: int) -> dict[str, float]:
    facts = measured_facts(energy, chains=100, seed=seed, **options)
    return {key: getattr(facts, key) for key in ("log_z", "log_z_error", "mean_energy", "mean_energy_error")}


def combined(results: list[dict[str, float]], key: str) -> tuple[float, float]:
    """Mean over seeds and its standard error."""
    values = [each[key] for each in results]
    errors = [each[f"{key}_error"] for each in results]
    return sum(values) / len(values), math.hypot(*errors) / len(errors)


def draw(energy: Energy) -> dict[str, str | float]:
    start = time.perf_counter()
    x, chains = energy.sampler.draw(SAMPLES, seed=0)
    seconds = time.perf_counter() - start
    virial = (x * energy.gradient(x)).flatten(1).sum(1)
    error = virial.std().item() * math.sqrt(chains.autocorrelation / len(x))
    return {
        "virial": f"{virial.mean():.2f} ± {error:.2f}",
        "acceptance": round(chains.acceptance[0], 3),
        "tau": round(chains.autocorrelation, 2),
        "ms per sample": round(1e3 * seconds / len(x), 3),
    }
