"""Speed of the statistics beside the packages that physicists use for them, in turn, on the same samples.

Floor of the power spectrum: its Fourier transforms alone (`torch.fft.rfftn` of the same maps in the same chunks).

    python -m benchmarks statistics
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import ot
import torch
from powerbox import get_power
from prdc import compute_prdc

from benchmarks.timing import Timing, report, time_in_turn
from pushforward.statistics import power_spectrum, precision_recall_density_coverage, sliced_wasserstein
from pushforward.statistics.arrays import chunks

MAPS, SIDE, BOX = 1000, 256, 25.0
POINTS, DIM, DIRECTIONS = 10_000, 64, 256


def main() -> None:
    torch.set_num_threads(2)
    spectrum, floor = _power_spectrum()
    rows = [spectrum, _precision_recall(), _sliced_wasserstein()]
    notes = [
        "times are the median of several runs in turn (fastest - slowest)",
        "powerbox works in float64 on one map at a time, with NumPy's transforms on one thread; both use the same bins",
        floor,
        "prdc holds three distance matrices at once (2.4 GB here); pushforward holds blocks of 32 MiB",
        "the largest difference is relative for P(k) and sliced W2, absolute for precision to coverage",
    ]
    report("statistics", "Speed of statistics", rows, notes=notes, packages=("powerbox", "prdc", "pot"))


def _power_spectrum() -> tuple[dict[str, Any], str]:
    maps = torch.stack([_map(seed) for seed in range(MAPS)])[:, None]
    edges = (0.5 + np.arange(SIDE // 2)) * 2 * np.pi / BOX
    results: dict[str, np.ndarray] = {}

    def ours() -> None:
        results["ours"] = power_spectrum(maps, box=BOX, bins=edges.tolist()).power[:, 0].numpy()

    def theirs() -> None:
        results["theirs"] = np.stack([get_power(field.numpy(), BOX, bins=edges).power for field in maps[:, 0]])

    def floor() -> None:
        for rows in chunks(MAPS, SIDE * SIDE):
            torch.fft.rfftn(maps[rows], dim=(2, 3))

    timings = time_in_turn({"ours": ours, "theirs": theirs, "floor": floor}, repeats=5, warmup=1)
    difference = np.abs(results["ours"] / results["theirs"] - 1).max()
    row = _row(f"power spectrum, {MAPS} maps of {SIDE} x {SIDE}", "powerbox", timings, difference)
    return row, f"floor of P(k): the real Fourier transforms of the same maps alone take {timings['floor']}"


def _precision_recall() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, POINTS, DIM, generator=generator, dtype=torch.float64)
    results: dict[str, dict[str, float]] = {}

    def ours() -> None:
        found = precision_recall_density_coverage(fake, real)
        results["ours"] = {name: float(value) for name, value in vars(found).items()}

    def theirs() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            results["theirs"] = compute_prdc(real.numpy(), fake.numpy(), nearest_k=5)

    timings = time_in_turn({"ours": ours, "theirs": theirs}, repeats=3, warmup=1)
    difference = max(abs(results["ours"][name] - value) for name, value in results["theirs"].items())
    return _row(f"precision to coverage, 2 x {POINTS} points in R^{DIM}", "prdc", timings, difference)


def _sliced_wasserstein() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, POINTS, DIM, generator=generator)
    theta = torch.randn(DIRECTIONS, DIM, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    projections = (theta / theta.norm(dim=1, keepdim=True)).T.float()
    results: dict[str, float] = {}

    def ours() -> None:
        results["ours"] = float(sliced_wasserstein(x, y, DIRECTIONS).distance)

    def theirs() -> None:
        results["theirs"] = float(ot.sliced_wasserstein_distance(x, y, projections=projections))

    timings = time_in_turn({"ours": ours, "theirs": theirs}, repeats=5)
    difference = abs(results["ours"] / results["theirs"] - 1)
    return _row(f"sliced W2, 2 x {POINTS} points in R^{DIM}, {DIRECTIONS} directions", "pot", timings, difference)


def _map(seed: int) -> torch.Tensor:
    """A Gaussian map whose power falls as k^-2, as that of a density field does."""
    white = torch.fft.rfft2(torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(seed)))
    ky, kx = torch.fft.fftfreq(SIDE)[:, None], torch.fft.rfftfreq(SIDE)[None, :]
    return torch.fft.irfft2(white / (ky.square() + kx.square()).sqrt().clamp_min(1 / SIDE), s=(SIDE, SIDE))


def _row(work: str, peer: str, timings: dict[str, Timing], difference: float) -> dict[str, Any]:
    return {
        "statistic": work,
        "pushforward": str(timings["ours"]),
        "peer": peer,
        "peer's time": str(timings["theirs"]),
        "times faster": timings["theirs"].median / timings["ours"].median,
        "largest difference": float(difference),
    }


if __name__ == "__main__":
    main()
