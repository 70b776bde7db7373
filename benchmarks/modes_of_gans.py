"""Do GANs keep the modes? The ring of eight and the grid of 25 narrow Gaussians, by the protocol of PacGAN.

Lin et al. 2018 (arXiv:1712.04086, section 4.1): a ring of 8 Gaussians of width 0.01 at radius 1 and a grid of 25 of
width 0.05 at spacing 2, 100,000 points; of 2,500 samples, one counts if its Mahalanobis distance from the nearest mean
is below 3 (98.89 % of real points do: more means modes too narrow), a mode if one sample counts in it, and the reverse
KL divergence is that of the histogram of the samples that count from the uniform one (of real points: about
(K - 1) / 5000). Ten seeds, each of the data's order, the networks and the noise.

Cells that have been measured are kept in ``runs/benchmarks/modes_of_gans/``, so an interrupted run goes on, and cells
can be measured side by side:

    python -m benchmarks modes_of_gans
    python -m benchmarks.modes_of_gans r3gan ring 0 1 2     # these seeds of a recipe on a set, without a table
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

SEEDS, POINTS, SAMPLES, FIRST = tuple(range(10)), 100_000, 2500, 1000
SETS: dict[str, dict[str, Any]] = {
    "ring": {"name": "eight-gaussians", "options": {"radius": 1.0, "std": 0.01}, "std": 0.01},
    "grid": {"name": "grid-gaussians", "options": {"spacing": 2.0, "std": 0.05}, "std": 0.05},
}
# The same networks for all, and noise of two numbers, as in the paper.
NETWORKS = {"latent_dim": 2, "depth": 4, "width": 128, "critic_width": 128, "batch_size": 256}
STEPS = 8000
RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "gan": ("gan", {}),
    "gan, packs of 2": ("gan", {"packing": 2}),
    "wgan": ("wgan", {}),
    "wgan-gp": ("wgan-gp", {}),
    "r3gan, noise without coins": ("r3gan", {"latent_bits": 0}),
    "r3gan": ("r3gan", {}),
}
MEASURED = ROOT / "runs" / "benchmarks" / "modes_of_gans"


def main() -> None:
    for name in SETS:
        for recipe in RECIPES:
            for seed in SEEDS:
                cell(recipe, name, seed)
    rows = [{"set": name, **row} for name in SETS for row in rows_of(name)]
    report(
        "modes_of_gans",
        "Modes that GANs keep",
        rows,
        notes=[
            f"PacGAN's protocol: {SAMPLES} samples, Mahalanobis distance below 3; mean ± standard deviation over "
            f"{len(SEEDS)} seeds, with the worst seed in brackets. Real points: 98.89 % on a mode.",
            "All recipes have the same networks, batches of 256 and the defaults of their family otherwise. Corrected: "
            "the same runs, sampled with corrected=true (32 proposals each).",
            "Seconds are of training, on one core, beside whatever else the machine did.",
        ],
    )


def rows_of(name: str) -> list[dict[str, str]]:
    """Lines of the table for one set: real points, then every recipe as it is and corrected."""
    real = [mode_statistics(points(name, SAMPLES, FIRST + seed), name) for seed in SEEDS]
    rows = [_row("other real points", real, "", "", "")]
    for recipe in RECIPES:
        cells = [cell(recipe, name, seed) for seed in SEEDS]
        seconds = f"{statistics.median(each['seconds'] for each in cells):.0f}"
        rows.append(_row(recipe, [each["plain"] for each in cells], str(cells[0]["steps"]), seconds, ""))
        if cells[0]["corrected"] is not None:
            rate = f"{statistics.fmean(each['acceptance'] for each in cells):.2f}"
            rows.append(_row(f"{recipe}, corrected", [each["corrected"] for each in cells], "", "", rate))
    return rows


def cell(recipe: str, name: str, seed: int) -> dict[str, Any]:
    """Figures of one recipe on one set from one seed; those on disk if there are any."""
    path = MEASURED / f"{recipe.replace(', ', '-').replace(' ', '-')}-{name}-{seed}.json"
    if path.exists():
        return json.loads(path.read_text())
    torch.set_num_threads(1)
    model, own = RECIPES[recipe]
    settings: dict[str, Any] = {**NETWORKS, **own}
    steps = settings.pop("steps", STEPS)
    ensemble = pf.read(SETS[name]["name"], members=POINTS, seed=seed, **SETS[name]["options"])
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        emulator = pf.fit(
            ensemble, model, steps=steps, seed=seed, out=out, settings=settings, device="cpu", progress=False
        )
    seconds = time.monotonic() - begun
    result: dict[str, Any] = {"steps": steps, "seconds": seconds, "corrected": None, "acceptance": None}
    result["plain"] = mode_statistics(emulator.sample(SAMPLES, seed=seed).numpy(), name)
    if "corrected" in emulator.model.Sampling.model_fields and settings.get("packing", 1) == 1:
        result["corrected"] = mode_statistics(emulator.sample(SAMPLES, seed=seed, corrected=True).numpy(), name)
        result["acceptance"] = emulator.model.acceptance
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(recipe, name, seed, json.dumps(result), flush=True)
    return result


def mode_statistics(x: np.ndarray, name: str) -> dict[str, float]:
    """Modes with a sample, part of the samples on a mode, and the reverse KL divergence of their shares."""
    centres, std = means(name), SETS[name]["std"]
    distance = np.linalg.norm(x[:, None] - centres, axis=2)
    counted = distance.min(1) < 3 * std
    counts = np.bincount(distance.argmin(1)[counted], minlength=len(centres))
    shares = counts[counts > 0] / max(1, counts.sum())
    divergence = float((shares * np.log(shares * len(centres))).sum()) if len(shares) else float("inf")
    return {"modes": int((counts > 0).sum()), "on a mode": float(counted.mean()), "reverse KL": divergence}


def means(name: str) -> np.ndarray:
    if name == "ring":
        angles = np.arange(8) * np.pi / 4
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)
    axis = 2.0 * np.arange(-2, 3)
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)


def points(name: str, count: int, seed: int) -> np.ndarray:
    return simulate(SETS[name]["name"], count, seed, **SETS[name]["options"]).x


def _row(recipe: str, results: list[dict[str, float]], steps: str, seconds: str, rate: str) -> dict[str, str]:
    modes, parts = [each["modes"] for each in results], [100 * each["on a mode"] for each in results]
    kl = [each["reverse KL"] for each in results]
    return {
        "recipe": recipe,
        "modes": f"{_spread(modes, 1)} ({min(modes)})",
        "on a mode, %": f"{_spread(parts, 1)} ({min(parts):.1f})",
        "reverse KL": f"{_spread(kl, 4)} ({max(kl):.4f})",
        "steps": steps,
        "seconds": seconds,
        "accepted": rate,
    }


def _spread(values: list[float], digits: int) -> str:
    return f"{statistics.fmean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


if __name__ == "__main__":
    wanted, where, *numbers = sys.argv[1:]
    for number in numbers or SEEDS:
        cell(wanted, where, int(number))
