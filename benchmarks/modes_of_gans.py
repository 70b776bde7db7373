"""Do GANs keep the modes? The ring of eight and the grid of 25 narrow Gaussians, by the protocol of PacGAN.

Lin et al. 2018 (arXiv:1712.04086, section 4.1): a ring of 8 Gaussians of width 0.01 at radius 1 and a grid of 25 of
width 0.05 at spacing 2, 100,000 points; of 2,500 samples, one counts if its Mahalanobis distance from the nearest mean
is below 3 (98.89 % of real points do: more means modes too narrow), a mode if one sample counts in it, and the reverse
KL divergence is that of the histogram of the samples that count from the uniform one (of real points: about
(K - 1) / 5000). A seed is that of the data, the networks and the noise.

``r3gan, waves`` adds to ``r3gan`` what narrow modes need: waves of the coordinates as inputs of the critic and a
penalty that falls further, so that the critic may be steep across a mode; and noise on the critic's inputs, nearly as
wide as the data at first, which bridges the empty space between modes while the generator divides its own noise.

Cells that have been measured are kept in ``runs/benchmarks/modes_of_gans/``, so an interrupted run goes on, and cells
can be measured side by side:

    python -m benchmarks modes_of_gans
    python -m benchmarks.modes_of_gans "r3gan, waves" ring 0 1 2     # these seeds of a recipe, without a table
    python -m benchmarks.modes_of_gans table                         # a table of what has been measured
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch

import pushforward as pf
from benchmarks.stored_results import measure_once, stored
from benchmarks.timed_fits import timed_fit
from benchmarks.timing import report
from pushforward.simulate import simulate

POINTS, SAMPLES, FIRST = 100_000, 2500, 1000
SETS: dict[str, dict[str, Any]] = {
    "ring": {"name": "eight-gaussians", "options": {"radius": 1.0, "std": 0.01}, "std": 0.01},
    "grid": {"name": "grid-gaussians", "options": {"spacing": 2.0, "std": 0.05}, "std": 0.05},
}
# The same networks for all, and noise of two numbers, as in the paper.
NETWORKS = {"latent_dim": 2, "depth": 4, "width": 128, "critic_width": 128, "batch_size": 512}
STEPS, MORE = 6000, 12_000
WAVES = {"critic_octaves": 6, "penalty": 3.0, "final_penalty": 1e-4, "instance_noise": 0.8}


class Recipe(NamedTuple):
    """The first of the ``seeds`` is 0."""

    family: str
    settings: Mapping[str, Any] = MappingProxyType({})
    seeds: int = 3
    steps: int = STEPS


RECIPES = {
    "r3gan, waves, 12,000 steps": Recipe("r3gan", WAVES, seeds=10, steps=MORE),
    "r3gan, waves": Recipe("r3gan", WAVES),
    "r3gan": Recipe("r3gan"),
    "gan": Recipe("gan"),
    "gan, packs of 2": Recipe("gan", {"packing": 2}),
    "wgan-gp": Recipe("wgan-gp"),
    "wgan": Recipe("wgan"),
}


def main() -> None:
    for title, recipe in RECIPES.items():
        for name in SETS:
            for seed in range(recipe.seeds):
                cell(title, name, seed)
    tabulate()


def tabulate() -> None:
    """The table of what is measured so far."""
    rows = [{"set": name, **row} for name in SETS for row in rows_of(name)]
    report(
        "modes_of_gans",
        "Modes that GANs keep",
        rows,
        notes=[
            f"PacGAN's protocol: {SAMPLES} samples, Mahalanobis distance below 3; mean ± standard deviation over "
            "the seeds, with the worst seed in brackets. Real points: 98.89 % on a mode.",
            f"All recipes have the same networks, batches of {NETWORKS['batch_size']}, {STEPS} steps of the generator "
            "where no number is given, and the defaults of their family otherwise; waves: "
            + ", ".join(f"{name}={value:g}" for name, value in WAVES.items())
            + ". Corrected: the same runs, sampled with corrected=true (32 proposals each).",
            "The settings of waves, the number of steps and the batches were chosen by about fifteen trials on seeds 0 "
            "to 2 of these sets, so rows of these seeds are not independent of the choice.",
            "Seconds are of processor time, of training, on a busy machine.",
        ],
    )


def rows_of(name: str) -> list[dict[str, Any]]:
    """Lines of the table for one set: real points, then every recipe as it is and corrected."""
    real = [mode_statistics(points(name, SAMPLES, FIRST + seed), name) for seed in range(10)]
    rows = [_row("other real points", real)]
    for recipe, chosen in RECIPES.items():
        seeds = range(chosen.seeds)
        found = [stored("modes_of_gans", f"{recipe} {name} {seed}", setting(recipe, name, seed)) for seed in seeds]
        cells = [each for each in found if each is not None]
        if not cells:
            continue
        seconds = f"{statistics.median(each['seconds'] for each in cells):.0f}"
        rows.append(_row(recipe, [each["plain"] for each in cells], seconds=seconds))
        if cells[0]["corrected"] is not None:
            rate = f"{statistics.fmean(each['acceptance'] for each in cells):.2f}"
            rows.append(_row(f"{recipe}, corrected", [each["corrected"] for each in cells], rate=rate))
    return rows


def cell(recipe: str, name: str, seed: int) -> dict[str, Any]:
    """Figures of one recipe on one set from one seed; the stored ones if there are any."""
    chosen = setting(recipe, name, seed)
    return measure_once("modes_of_gans", f"{recipe} {name} {seed}", chosen, lambda: _measured(recipe, name, seed))


def setting(recipe: str, name: str, seed: int) -> dict[str, Any]:
    family, own, _, steps = RECIPES[recipe]
    return {"model": family, "steps": steps, "settings": {**NETWORKS, **own}, "set": name, "seed": seed}


def _measured(recipe: str, name: str, seed: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    ensemble = pf.read(SETS[name]["name"], members=POINTS, seed=seed, **SETS[name]["options"])
    family, own, _, steps = RECIPES[recipe]
    settings = {**NETWORKS, **own}
    emulator, seconds = timed_fit(ensemble, family, steps=steps, settings=settings, seed=seed)
    result: dict[str, Any] = {"seconds": seconds, "corrected": None, "acceptance": None}
    result["plain"] = mode_statistics(emulator.sample(SAMPLES, seed=seed).numpy(), name)
    if settings.get("packing", 1) == 1:
        result["corrected"] = mode_statistics(emulator.sample(SAMPLES, seed=seed, corrected=True).numpy(), name)
        result["acceptance"] = emulator.model.acceptance
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


def _row(recipe: str, results: list[dict[str, float]], seconds: str = "", rate: str = "") -> dict[str, Any]:
    modes, parts = [each["modes"] for each in results], [100 * each["on a mode"] for each in results]
    kl = [each["reverse KL"] for each in results]
    return {
        "recipe": recipe,
        "seeds": len(results),
        "modes": f"{_spread(modes, 1)} ({min(modes)})",
        "on a mode, %": f"{_spread(parts, 1)} ({min(parts):.1f})",
        "reverse KL": f"{_spread(kl, 4)} ({max(kl):.4f})",
        "seconds": seconds,
        "accepted": rate,
    }


def _spread(values: list[float], digits: int) -> str:
    middle = f"{statistics.fmean(values):.{digits}f}"
    return f"{middle} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else middle


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        tabulate()
    else:
        wanted, where, *numbers = sys.argv[1:]
        for number in numbers or range(RECIPES[wanted].seeds):
            cell(wanted, where, int(number))
