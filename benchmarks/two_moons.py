"""Two interleaved half-moons: how near five families come to a density that is known exactly, a minute each.

Every model is trained for a minute, with its defaults, from three seeds, on the 16,000 training members of
``two-moons`` (noise 0.1). Judged on fresh points, in the data's units:

- nats: the mean of log p - log q over 20,000 points, p exact and q the model: the Kullback-Leibler divergence, by which
  the model's negative log-density lies above its floor, the entropy of the moons (1.0076, by quadrature);
- W2: the exact Wasserstein distance of 2000 samples to 2000 points, a mean over five pairs of sets. Its floor is that
  of 2000 other points to the same.

A model that has been measured is not measured again while ``runs/benchmarks/two_moons/`` holds its numbers, so an
interrupted run goes on where it stopped, and models can be measured side by side:

    python -m benchmarks two_moons
    python -m benchmarks.two_moons realnvp vae      # these alone, without a table
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pushforward as pf
from benchmarks.timing import ROOT, report
from pushforward.simulate import simulate
from pushforward.statistics import wasserstein2

MODELS = ("realnvp", "flow-matching", "ddpm", "vae", "wgan-gp")
SEEDS, BUDGET = (0, 1, 2), 60.0
PAIRS, FLOORS, POINTS, TIMED = 5, 6, 2000, 10_000
DENSITIES = 20_000
# Seeds of the fresh points; the members that models are trained on have seed 0.
SAMPLED, OTHER, SCORED = 1000, 2000, 3000
MEASURED = ROOT / "runs" / "benchmarks" / "two_moons"


def main() -> None:
    for model in MODELS:
        for seed in SEEDS:
            cell(model, seed)
    moons = simulate("two-moons", 1).exact
    assert moons is not None
    # How many of 2000 points fall on either moon varies, and moves W2 a good deal: each set is met by several others.
    floor = [
        statistics.fmean(distance(real(OTHER + PAIRS * other + pair), real(SAMPLED + pair)) for pair in range(PAIRS))
        for other in range(FLOORS)
    ]
    rows = [
        {
            "model": "other real points",
            "W2": _mean(floor),
            "nats above the entropy": "0",
            "steps in 60 s": "",
            "microseconds a sample": "",
        }
    ]
    for model in MODELS:
        cells = [cell(model, seed) for seed in SEEDS]
        rows.append(
            {
                "model": model,
                "W2": _mean([each["w2"] for each in cells]),
                "nats above the entropy": _mean([each["nats"] for each in cells])
                if "nats" in cells[0]
                else "no density",
                "steps in 60 s": f"{min(each['steps'] for each in cells)} to {max(each['steps'] for each in cells)}",
                "microseconds a sample": f"{1e6 * statistics.median(each['seconds'] for each in cells):.3g}",
            }
        )
    notes = [
        f"two-moons with noise 0.1, entropy {moons.entropy:.4f} nats; {BUDGET:g} s of training on one core, defaults "
        f"of each model; mean ± standard deviation over {len(SEEDS)} seeds (floor: over {FLOORS} repetitions)",
        f"W2: exact, {POINTS} samples against {POINTS} fresh points, mean of {PAIRS} pairs of sets, in data units",
        f"nats: mean of exact minus learned log-density over {DENSITIES} fresh points, so the floor is zero",
        "the number of steps depends on what else the machine does while a model is trained",
    ]
    report("two_moons", "Two moons, a minute each", rows, notes=notes, packages=["POT"])


def cell(model: str, seed: int) -> dict[str, Any]:
    """Numbers of one model trained from one seed; those on disk if there are any."""
    path = MEASURED / f"{model}-{seed}.json"
    if path.exists():
        return json.loads(path.read_text())
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        emulator = pf.fit("two-moons", model, budget=BUDGET, seed=seed, out=run, device="cpu", progress=False)
        steps = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"]
    emulator.sample(TIMED, seed=1)
    start = time.perf_counter()
    emulator.sample(TIMED, seed=1)
    seconds = (time.perf_counter() - start) / TIMED
    samples = emulator.sample(PAIRS * POINTS, seed=2).numpy().reshape(PAIRS, POINTS, 2)
    w2 = [distance(samples[pair], real(SAMPLED + pair)) for pair in range(PAIRS)]
    result = {"model": model, "seed": seed, "steps": steps, "seconds": seconds, "w2": statistics.fmean(w2)}
    if "density" in emulator.abilities:
        members = simulate("two-moons", DENSITIES, SCORED)
        assert members.exact is not None
        learned = emulator.log_prob(torch.from_numpy(members.x)).double().numpy()
        result["nats"] = float(np.mean(members.exact.log_prob(members.x) - learned))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result), flush=True)
    return result


def real(seed: int) -> np.ndarray:
    return simulate("two-moons", POINTS, seed).x


def distance(x: np.ndarray, y: np.ndarray) -> float:
    return float(wasserstein2(x, y).distance)


def _mean(values: list[float]) -> str:
    return f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        for number in SEEDS:
            cell(name, number)
