"""Coarse particle-mesh simulations with a learned correction, beside finer ones that training did not see.

32^3 particles move on a mesh of 32^3 cells in 12 steps or 20. The correction is learnt from two simulations on a mesh
of 64^3 cells with 40 steps, and tried on others: of other seeds, and of other matter densities. A box of 12.5 Mpc/h has
the spacing of particles, 0.39 Mpc/h, of the simulations of Lanzieri, Lanusse & Starck (2022).

    python -m benchmarks hybrid_nbody            # some ten minutes of one core; goes on where it was stopped
"""

from __future__ import annotations

import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.stored_results import measure_once
from benchmarks.timing import report, time_in_turn
from pushforward import fit
from pushforward.ensembles import Ensemble, read
from pushforward.evolution import Physics
from pushforward.simulate.particle_mesh import ParticleMesh
from pushforward.validation.evolution import Comparison, compare_trajectories

STEPS, SEED, UNSEEN_SEED, UNSEEN = 150, 0, 100, 3
SIMULATION: dict[str, Any] = {"particles": 32, "mesh": 64, "steps": 10, "times": 5}
# Boxes, when their simulations start, and how many coarse steps there are between snapshots.
BOXES = {64.0: (0.1, 3), 12.5: (0.05, 5)}
TESTS = {64.0: (0.3, 0.2, 0.5), 12.5: (0.3, 0.1)}
SETTING = {"training": STEPS, "unseen": UNSEEN, "boxes": str(BOXES), **SIMULATION}
RUNS: dict[str, Physics] = {"uncorrected": "uncorrected", "hybrid": "corrected", "finer mesh (floor)": "resolved"}
# Fractions of the Nyquist wavenumber of the lattice of particles that the tables show.
SHOWN = (0.125, 0.25, 0.5, 0.75, 1.0)


def main() -> None:
    torch.set_num_threads(1)
    results = {
        box: measure_once("hybrid_nbody", f"accuracy {box}", SETTING, lambda box=box: _accuracy(box)) for box in BOXES
    }
    times = measure_once("hybrid_nbody", "seconds", SETTING, _seconds)
    cases = [
        ({"box (Mpc/h)": f"{box:g}", "Omega_m": f"{matter:g}", "run": run}, results[box][f"{matter:g}"][run])
        for box, matters in TESTS.items()
        for matter in matters
        for run in RUNS
    ]
    report(
        "hybrid_nbody",
        "Coarse N-body simulations corrected by a learned filter: P / P_fine today",
        [{**case, **_row(each, "ratio")} for case, each in cases],
        further={
            "Correlation r(k) with the fine simulation today": [
                {**case, **_row(each, "correlation")} for case, each in cases
            ],
            "Today, over all wavenumbers up to the Nyquist wavenumber of the particles": [
                {
                    **case,
                    "mean error of P (%)": 100 * each["power_error"],
                    "mean of 1 - r (%)": 100 * each["decorrelation"],
                    "rms distance (spacings)": each["distance"],
                }
                for case, each in cases
            ],
            "Time per step (ms), 32^3 particles, one thread": times["rows"],
        },
        notes=[
            "32^3 particles from a = 0.1 (box of 64 Mpc/h) or 0.05 (12.5 Mpc/h) to 1; fine: a mesh of 64^3 cells, 40 "
            "steps; coarse: 32^3 cells, 12 steps or 20",
            f"learnt from 2 simulations with Omega_m 0.3 in {STEPS} steps of training, "
            f"{results[64.0]['training seconds']:.0f} s (12 steps) and "
            f"{results[12.5]['training seconds']:.0f} s (20 steps)"
            f" of one thread; means over {UNSEEN} simulations of another seed",
            "finer mesh: the same particles on a mesh of 128^3 cells with 48 or 80 steps, no correction: by how much "
            "the resolution of the fine simulation itself matters",
            "columns: fractions of the Nyquist wavenumber of the particles, 1.57 and 8.04 h/Mpc; spacing: mean "
            "distance of particles, 2 and 0.39 Mpc/h",
            "mean error of P: mean over wavenumbers of the absolute value of P / P_fine - 1",
            "differentiated: one step of training divided by its 12 steps in time, loss and optimiser included",
        ],
    )


def _row(comparison: dict[str, Any], quantity: str) -> dict[str, float]:
    return {f"{share:g}": value for share, value in zip(SHOWN, comparison[quantity], strict=True)}


def _accuracy(box: float) -> dict[str, Any]:
    start, coarse_steps = BOXES[box]
    simulation = {**SIMULATION, "box": box, "start": start}
    training = read("n-body", members=2, seed=SEED, **simulation)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        settings = {"coarse_steps": coarse_steps}
        emulator = fit(
            training, "hybrid-nbody", steps=STEPS, out=Path(folder) / "run", settings=settings, progress=False
        )
        results: dict[str, Any] = {"training seconds": time.perf_counter() - begun}
    for matter in TESTS[box]:
        unseen = read("n-body", members=UNSEEN, seed=UNSEEN_SEED, Omega_m=matter, **simulation)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*extrapolates")
            results[f"{matter:g}"] = {run: _summary(_compared(emulator, unseen, each)) for run, each in RUNS.items()}
    return results


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

    box = 64.0
    simulations = read("n-body", members=2, seed=SEED, box=box, **SIMULATION)
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
