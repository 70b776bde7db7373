"""Accuracy of a continuous normalizing flow on exactly known densities.

The gap is the mean over fresh draws x of log p(x) - log q(x), with p the exact density: an estimate of the
Kullback-Leibler divergence of q from p, zero for a perfect model and with far less scatter than the negative
log-likelihood itself, whose floor is the entropy.

    python -m benchmarks cnf            # goes on where it was stopped
    python -m benchmarks.cnf            # writes the page from what has been measured
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.stored_results import measure_once, stored
from benchmarks.timed_fits import timed_fit
from benchmarks.timing import report
from pushforward import Emulator
from pushforward.ensembles import Ensemble, read
from pushforward.models.cnf import CNF

SETS = (
    "two-moons",
    "eight-gaussians",
    "circles",
    "spirals",
    "swiss-roll",
    "pinwheel",
    "checkerboard",
    "s-curve",
)
TARGETS, SEEDS = SETS[:2], (0, 1, 2)
STEPS, MEMBERS, FRESH = 1500, 125_000, 10_000
# The grid that the density is summed over: cells along each axis, and its half-width in standard deviations.
CELLS, REACH = 160, 4.0
SETTING = {"steps": STEPS, "members": MEMBERS, "fresh": FRESH, "cells": CELLS, "reach": REACH}


RUNS = (*((name, seed) for seed in SEEDS for name in TARGETS), *((name, SEEDS[0]) for name in SETS[2:]))


def main() -> None:
    torch.set_num_threads(1)
    for name, seed in RUNS:
        measure_once("cnf", f"{name} {seed}", SETTING, lambda name=name, seed=seed: _row(name, seed))
    write()


def write() -> None:
    """The page, from what has been measured so far."""
    done = {run: row for run in RUNS if (row := stored("cnf", f"{run[0]} {run[1]}", SETTING)) is not None}
    rows = [{"set": name, **row} for (name, seed), row in done.items() if seed == SEEDS[0]]
    seeds = [
        {"set": name, "seed": seed, "gap (nats)": row["gap (nats)"], "mass": row["mass"]}
        for (name, seed), row in done.items()
        if name in TARGETS
    ]
    missing = ", ".join(f"{name} (seed {seed})" for name, seed in RUNS if (name, seed) not in done)
    notes = [
        f"defaults of `cnf`, seed {SEEDS[0]} above, one thread, {STEPS:,} steps a set, of which the first part are "
        f"{CNF.regressions} regressions of flow matching each, {MEMBERS * 8 // 10:,} members to train on",
        "processor: seconds of one core that training took",
        f"NLL: mean over {FRESH:,} fresh draws that no run has seen, nats; floor: the exact entropy, by quadrature",
        "gap: mean of log p(x) - log q(x) over the same draws, nats, with its standard error",
        f"mass: the density summed over {CELLS} x {CELLS} points, {REACH:.0f} standard deviations to each side",
        "evaluations: of the velocity, for one density at the default tolerance of 1e-5, mean over draws",
        *([f"not measured yet: {missing}"] if missing else []),
    ]
    report(
        "cnf",
        "Continuous normalizing flows beside exact densities",
        rows,
        notes=notes,
        further={"Three seeds": seeds},
    )


def _row(name: str, seed: int) -> dict[str, Any]:
    ensemble = read(name, members=MEMBERS)
    emulator, spent = timed_fit(ensemble, "cnf", steps=STEPS, seed=seed)
    x = torch.from_numpy(_fresh(name).take(np.arange(FRESH)))
    scores = emulator.log_prob(x).double()
    gaps = torch.from_numpy(ensemble.exact.log_prob(x.numpy())) - scores
    return {
        "processor (s)": round(spent),
        "NLL (nats)": f"{-scores.mean():.4f}",
        "floor (nats)": f"{ensemble.exact.entropy:.4f}",
        "gap (nats)": f"{gaps.mean():.4f} ± {gaps.std() / FRESH**0.5:.4f}",
        "mass": f"{_mass(emulator, x):.5f}",
        "evaluations": round(_evaluations(emulator, x[:1000])),
    }


def _fresh(name: str) -> Ensemble:
    return read(name, members=FRESH, seed=1)


def _mass(emulator: Emulator, x: Tensor) -> float:
    """The sum of the density over a grid, times the area of a cell."""
    centre, reach = x.mean(0), REACH * x.std(0)
    axes = [torch.linspace(float(c - r), float(c + r), CELLS) for c, r in zip(centre, reach, strict=True)]
    area = float((axes[0][1] - axes[0][0]) * (axes[1][1] - axes[1][0]))
    return sum(float(emulator.log_prob(part).double().exp().sum()) for part in _grid(*axes)) * area


def _grid(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    return iter(torch.cartesian_prod(x, y).split(10_000))


def _evaluations(emulator: Emulator, x: Tensor) -> float:
    """Mean number of evaluations of the velocity that a density takes."""
    model: Any = emulator.model
    with torch.no_grad():
        return float(model.evaluations(emulator.preprocessing(x)).double().mean())


if __name__ == "__main__":
    write()
