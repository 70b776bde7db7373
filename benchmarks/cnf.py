"""How close a continuous normalizing flow comes to densities that are known exactly.

The gap is the mean over fresh draws x of log p(x) - log q(x), with p the exact density: an estimate of the
Kullback-Leibler divergence of q from p, zero for a perfect model and with far less scatter than the negative
log-likelihood itself, whose floor is the entropy.

    python -m benchmarks cnf
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import report
from pushforward import Emulator, fit
from pushforward.ensembles import Ensemble, read

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
BUDGET, MEMBERS, FRESH = 180.0, 125_000, 10_000
# The grid that the density is summed over: cells along each axis, and its half-width in standard deviations.
CELLS, REACH = 160, 4.0


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in SETS:
            rows.append(_row(name, Path(folder) / name))
            print(json.dumps(rows[-1]), flush=True)
    notes = [
        f"defaults of `cnf`, seed 0, one thread, {BUDGET:.0f} s a set, {MEMBERS * 8 // 10:,} members to train on",
        "share: processor time over wall-clock time while training, less than 1 where other work ran beside it",
        f"NLL: mean over {FRESH:,} fresh draws that no run has seen, nats; floor: the exact entropy, by quadrature",
        "gap: mean of log p(x) - log q(x) over the same draws, nats, with its standard error",
        f"mass: the density summed over {CELLS} x {CELLS} points, {REACH:.0f} standard deviations to each side",
        "evaluations: of the velocity, for one density at the default tolerance of 1e-5, mean over draws",
    ]
    report("cnf", "Continuous normalizing flows beside exact densities", rows, notes=notes)


def _row(name: str, run: Path) -> dict[str, Any]:
    ensemble = read(name, members=MEMBERS)
    start = time.perf_counter(), time.process_time()
    emulator = fit(ensemble, "cnf", budget=BUDGET, out=run, progress=False)
    share = (time.process_time() - start[1]) / (time.perf_counter() - start[0])
    x = torch.from_numpy(_fresh(name).take(np.arange(FRESH)))
    scores = emulator.log_prob(x).double()
    gaps = torch.from_numpy(ensemble.exact.log_prob(x.numpy())) - scores
    return {
        "set": name,
        "steps": json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"],
        "share": f"{share:.2f}",
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


def _grid(first: Tensor, second: Tensor) -> Iterator[Tensor]:
    return iter(torch.cartesian_prod(first, second).split(10_000))


def _evaluations(emulator: Emulator, x: Tensor) -> float:
    """Mean number of evaluations of the velocity that a density takes."""
    model: Any = emulator.model
    with torch.no_grad():
        return float(model.evaluations(emulator.preprocessing(x)).double().mean())


if __name__ == "__main__":
    main()
