"""Boltzmann distributions of particles, learnt from samples: densities, weights, energies and distances.

Models are trained on the training members of ``dw4`` and ``lj13`` for a few thousand steps, and judged on fresh members
of another seed of the reference sampler:

- NLL: mean of -log q over fresh members, in nats, densities being those of the (N - 1) d degrees of freedom; the floor
  is the entropy, exact for DW4 and measured for LJ13 (``python -m benchmarks energies``);
- ESS: effective part of the model's own samples, weighted by exp(-U) / q; none is removed, and once more without the
  hundredth of the samples of largest weight and the hundredth of smallest;
- energy and distance: Wasserstein distances W2 between the samples' and the fresh members' energies (kT) and distances
  of particles (the potential's unit of length). Their floor is that of other members.

A model that has been measured is not measured again while ``runs/benchmarks/particles/`` holds its numbers:

    python -m benchmarks particles
    python -m benchmarks.particles dw4 cnf      # one model alone, without the table
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

import pushforward as pf
from benchmarks.stored_results import measure_once
from benchmarks.timed_fits import timed_fit
from benchmarks.timing import report
from pushforward.energies import named_energy
from pushforward.energies.weights import ess, log_weights
from pushforward.simulate import simulate
from pushforward.statistics import pair_distances

MEMBERS = {"dw4": 100_000, "lj13": 20_000}
# Fresh members that are scored, samples that are weighted, and both in the distances.
SCORED, WEIGHTED, COMPARED = {"dw4": 1000, "lj13": 150}, {"dw4": 1000, "lj13": 150}, 5000
STEPS: dict[tuple[str, str], int] = {
    ("dw4", "flow-matching"): 6000,
    ("dw4", "ot-flow-matching"): 6000,
    ("lj13", "flow-matching"): 2500,
}
REMOVED, FEW = 0.01, 5
FRESH, OTHER = 1, 2


def main() -> None:
    results = {(name, model): measured(name, model) for name, model in STEPS}
    rows: list[dict[str, Any]] = []
    for name in MEMBERS:
        energy, fresh = named_energy(name), members(name, FRESH)
        floor = distances(energy, members(name, OTHER), fresh)
        facts = energy.facts
        about = "" if facts.exact else f" ± {facts.entropy_error:.2f}"
        rows.append({"system": name, "model": "other members", "NLL (nats)": f"{facts.entropy:.3f}{about}", **floor})
        rows += [{"system": name, "model": model, **results[name, model]} for system, model in STEPS if system == name]
    columns: dict[str, None] = dict.fromkeys(key for row in results.values() for key in row)
    rows = [{key: row.get(key, "") for key in ("system", "model", *columns)} for row in rows]
    counts = ", ".join(f"{count * 8 // 10:,} of {name}" for name, count in MEMBERS.items())
    notes = [
        "one thread, one seed, defaults of each model; processor: seconds of one core that training took",
        "training members: " + counts,
        "NLL: mean of -log q over "
        + ", ".join(f"{count:,} fresh members of {name}" for name, count in SCORED.items())
        + "; density of the (N - 1) d degrees of freedom, with the constant (N - 1) d / 2 ln(2 pi); 'other members' is "
        "the entropy, below which no NLL lies but by chance",
        "gap: mean of log p - log q over the same members, nats (ln Z of lj13: measured, ± 0.034)",
        "ESS: effective part of "
        + ", ".join(f"{count:,} samples of {name}" for name, count in WEIGHTED.items())
        + f"; in brackets, with {100 * REMOVED:g} % of the samples removed at each end of the weights",
        f"W2 of energies (kT) and distances between {COMPARED:,} samples and as many fresh members; 'other members': "
        f"between two sets of members; {FEW} calls: of the network per sample, instead of 20",
        "ms: for one sample, and for one log-density with its exact divergence",
    ]
    report("particles", "Boltzmann distributions of particles", rows, notes=notes)


def measured(name: str, model: str) -> dict[str, Any]:
    """A row of the table, made now or before."""
    steps = STEPS[name, model]
    setting = {"steps": steps, "members": MEMBERS[name], "scored": SCORED[name], "weighted": WEIGHTED[name]}
    return measure_once("particles", f"{name} {model}", setting, lambda: measure(name, model, steps))


def measure(name: str, model: str, steps: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    ensemble = pf.read(name, members=MEMBERS[name])
    emulator, spent = timed_fit(ensemble, model, steps=steps)
    energy, fresh = named_energy(name), members(name, FRESH)
    start = time.process_time()
    scores = emulator.log_prob(fresh[: SCORED[name]]).double()
    scoring = (time.process_time() - start) / SCORED[name]
    gaps = energy.log_density(fresh[: SCORED[name]].double()) - scores
    start = time.process_time()
    samples = emulator.sample(COMPARED, seed=1)
    sampling = (time.process_time() - start) / COMPARED
    weighted = samples[: WEIGHTED[name]]
    logs = log_weights(emulator.log_prob(weighted), energy(weighted.double()))
    remaining = len(logs) - 2 * int(REMOVED * len(logs))
    return {
        "NLL (nats)": f"{-scores.mean():.3f} ± {scores.std() / len(scores) ** 0.5:.3f}",
        "gap (nats)": f"{gaps.mean():.3f} ± {gaps.std() / len(gaps) ** 0.5:.3f}",
        "ESS": f"{100 * ess(logs) / len(logs):.0f} % ({100 * ess(logs, REMOVED) / remaining:.0f} %)",
        **distances(energy, samples, fresh),
        f"W2 of distances, {FEW} calls": distances(energy, emulator.sample(COMPARED, seed=1, steps=FEW), fresh)[
            "W2 of distances"
        ],
        "steps": f"{steps:,}",
        "processor (s)": f"{spent:.0f}",
        "ms per sample": f"{1000 * sampling:.2g}",
        "ms per density": f"{1000 * scoring:.2g}",
    }


def members(name: str, seed: int) -> Tensor:
    return torch.from_numpy(simulate(name, COMPARED, seed=seed).x)


def distances(energy: pf.Energy, x: Tensor, y: Tensor) -> dict[str, str]:
    """W2 of the energies and of the distances of two sets."""
    energies = wasserstein(*(energy(each.double()).numpy() for each in (x, y)))
    lengths = wasserstein(*(pair_distances(each).flatten().numpy() for each in (x, y)))
    return {"W2 of energies": f"{energies:.3g}", "W2 of distances": f"{lengths:.3g}"}


def wasserstein(x: np.ndarray, y: np.ndarray) -> float:
    """W2 of equally many numbers on a line: the root mean square difference of those of the same rank."""
    return float(np.sqrt(np.mean((np.sort(x) - np.sort(y)) ** 2)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    measured(*sys.argv[1:3])
