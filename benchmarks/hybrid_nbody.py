"""Coarse particle-mesh simulations with a learned correction, beside finer ones that training did not see.

32^3 particles in 64 Mpc/h move on a mesh of 32^3 cells in 12 steps. The correction is learnt from two simulations on a
mesh of 64^3 cells with 40 steps, and tried on others: of other seeds, and of other matter densities.

    python -m benchmarks hybrid_nbody            # some ten minutes of one core; goes on where it was stopped
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.kept import kept
from benchmarks.timing import report, time_in_turn
from pushforward import fit
from pushforward.ensembles import Ensemble, read
from pushforward.evolution import Physics
from pushforward.simulate.particle_mesh import ParticleMesh
from pushforward.validation.evolution import Comparison, compare_trajectories

STEPS, SEED, UNSEEN_SEED, UNSEEN = 150, 0, 100, 3
SIMULATION = {"particles": 32, "box": 64.0, "mesh": 64, "steps": 10, "times": 5}
SETTING = {"steps": STEPS, "unseen": UNSEEN, **SIMULATION}
TESTS = {"Omega_m 0.3, as in training": 0.3, "Omega_m 0.2": 0.2, "Omega_m 0.5": 0.5}
RUNS: dict[str, Physics] = {"uncorrected": "uncorrected", "hybrid": "corrected", "finer mesh (floor)": "resolved"}
# Fractions of the Nyquist wavenumber of the lattice of particles that the tables show.
SHOWN = (0.125, 0.25, 0.5, 0.75, 1.0)


def main() -> None:
    torch.set_num_threads(1)
    found = kept("hybrid_nbody", "accuracy", SETTING, _accuracy)
    times = kept("hybrid_nbody", "seconds", SETTING, _seconds)
    rows = [{"simulations": test, "run": run, **_row(found[test][run], "ratio")} for test in TESTS for run in RUNS]
    correlations = [
        {"simulations": test, "run": run, **_row(found[test][run], "correlation")} for test in TESTS for run in RUNS
    ]
    errors = [
        {
            "simulations": test,
            "run": run,
            "mean error of P (%)": 100 * found[test][run]["power_error"],
            "mean of 1 - r (%)": 100 * found[test][run]["decorrelation"],
            "rms distance (spacings)": found[test][run]["distance"],
        }
        for test in TESTS
        for run in RUNS
    ]
    report(
        "hybrid_nbody",
        "Coarse N-body simulations corrected by a learned filter: P / P_fine today",
        rows,
        further={
            "Correlation r(k) with the fine simulation today": correlations,
            "Today, over all wavenumbers up to the Nyquist wavenumber of the particles": errors,
            "Time per step (ms), 32^3 particles, one thread": times["rows"],
        },
        notes=[
            f"{SIMULATION['particles']}^3 particles in {SIMULATION['box']:g} Mpc/h from a = 0.1 to 1; fine: a mesh of "
            f"{SIMULATION['mesh']}^3 cells, {4 * int(SIMULATION['steps'])} steps; coarse: 32^3 cells, 12 steps",
            f"learnt from 2 simulations (seed {SEED}) in {STEPS} steps of training, "
            f"{found['training seconds']:.0f} s of one thread; means over {UNSEEN} simulations of another seed",
            "finer mesh: the same particles on a mesh of 128^3 cells with 48 steps, no correction: by how much the "
            "resolution of the fine simulation itself matters",
            "columns: fractions of the Nyquist wavenumber of the particles, 1.57 h/Mpc; spacing: mean distance of "
            "particles, 2 Mpc/h",
            "mean error of P: mean over wavenumbers of the absolute value of P / P_fine - 1",
            "differentiated: one step of training divided by its 12 steps in time, loss and optimiser included",
        ],
    )


def _row(comparison: dict[str, Any], quantity: str) -> dict[str, float]:
    return {f"{share:g}": value for share, value in zip(SHOWN, comparison[quantity], strict=True)}


def _accuracy() -> dict[str, Any]:
    training = read("n-body", members=2, seed=SEED, **SIMULATION)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        emulator = fit(training, "hybrid-nbody", steps=STEPS, out=Path(folder) / "run", progress=False)
        found: dict[str, Any] = {"training seconds": time.perf_counter() - begun}
    for test, matter in TESTS.items():
        unseen = read("n-body", members=UNSEEN, seed=UNSEEN_SEED, Omega_m=matter, **SIMULATION)
        found[test] = {run: _summary(_compared(emulator, unseen, physics)) for run, physics in RUNS.items()}
        print(test, found[test], flush=True)
    return found


def _compared(emulator: Any, unseen: Ensemble, physics: Physics) -> Comparison:
    reference, rows = unseen.tensor(), unseen.condition_rows(np.arange(len(unseen)))
    return compare_trajectories(
        emulator.evolve(reference[:, 0], unseen.space.times, rows, physics=physics), reference, unseen.space
    )


def _summary(comparison: Comparison) -> dict[str, Any]:
    """Of the last time, mean over simulations."""
    nearest = [int(np.abs(comparison.k / comparison.k[-1] - share).argmin()) for share in SHOWN]
    return {
        "ratio": comparison.ratio[:, -1].mean(0)[nearest].tolist(),
        "correlation": comparison.correlation[:, -1].mean(0)[nearest].tolist(),
        "power_error": float(comparison.power_error[:, -1].mean()),
        "decorrelation": float(comparison.decorrelation[:, -1].mean()),
        "distance": float(comparison.distance[:, -1].mean()),
    }


def _seconds() -> dict[str, Any]:
    from pushforward.models import Batch
    from pushforward.models.hybrid_nbody import HybridNBody
    from pushforward.randomness import Draws

    box = float(SIMULATION["box"])
    simulations = read("n-body", members=2, seed=SEED, **SIMULATION)
    x = simulations.tensor()[:1]
    model = HybridNBody(simulations.space, settings=HybridNBody.Settings(Omega_m=0.3))
    factors = model.correction(torch.tensor([0.5])).detach()
    meshes = {mesh: ParticleMesh(mesh, box) for mesh in (32, 64, 128)}
    optimiser = torch.optim.Adam(model.parameters())

    def trained() -> None:
        (turn,) = model.turns(iter([Batch(x, None, Draws(0, 1))]))
        optimiser.zero_grad()
        turn.loss.backward()
        optimiser.step()

    force = {
        f"mesh of {mesh}^3": lambda gravity=gravity: gravity.force(x[:, -1, 0], 0.3) for mesh, gravity in meshes.items()
    }
    with torch.no_grad():
        functions = {**force, "mesh of 32^3, corrected": lambda: meshes[32].force(x[:, -1, 0], 0.3, factors)}
        timed = time_in_turn(functions, repeats=9)
    rows = [
        {"step": name, "median (ms)": 1e3 * each.median, "minimum (ms)": 1e3 * each.minimum}
        for name, each in timed.items()
    ]
    whole = time_in_turn({"training": trained}, repeats=5)["training"]
    steps = 4 * model.settings.coarse_steps
    rows.append(
        {
            "step": "mesh of 32^3, corrected and differentiated",
            "median (ms)": 1e3 * whole.median / steps,
            "minimum (ms)": 1e3 * whole.minimum / steps,
        }
    )
    return {"rows": rows}


if __name__ == "__main__":
    main()
