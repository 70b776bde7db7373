"""The posterior of a damped oscillator's frequency and damping, beside the exact one, and its coverage.

    python examples/posterior.py [FIGURE]

Data are twelve noisy positions of x(t) = exp(-γ t) cos(ω t). A spline flow learns (ω, γ) given data from 40,000
simulations, and samples the posterior of one observation; lines are the exact one, from the likelihood on a grid, at 39
and 86 % of the mass. Right: the share of 300 new simulations whose truth lies in regions of a credibility (TARP), with
the band that a perfect posterior would stay in. About two minutes on one core.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from numpy.typing import NDArray

import pushforward as pf
from pushforward.statistics import PosteriorCalibration, posterior_calibration

NAMES = (r"frequency $\omega$", r"damping $\gamma$")
LOW, HIGH = np.array([1.0, 0.05]), np.array([3.0, 0.8])
TIMES, NOISE = np.linspace(0.25, 3.0, 12), 0.15
TRUTH = np.array([1.8, 0.3])
SIMULATIONS, STEPS, TESTED, DRAWS = 40_000, 1500, 300, 100
BLUE, ORANGE = "#0072b2", "#d55e00"


def positions(theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without noise, (n, 12), of parameters (n, 2)."""
    omega, gamma = theta[:, :1], theta[:, 1:]
    return np.exp(-gamma * TIMES) * np.cos(omega * TIMES)


def simulated(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Parameters from a uniform prior, and data."""
    rng = np.random.default_rng(seed)
    theta = rng.uniform(LOW, HIGH, (count, 2))
    return theta, positions(theta) + NOISE * rng.standard_normal((count, len(TIMES)))


def exact(data: NDArray[np.float64], cells: int = 300) -> tuple[NDArray[np.float64], ...]:
    """The posterior on a grid: both axes, and the mass of each cell."""
    axes = [np.linspace(low, high, cells) for low, high in zip(LOW, HIGH, strict=True)]
    theta = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    logs = -0.5 * ((positions(theta) - data) ** 2).sum(1) / NOISE**2
    mass = np.exp(logs - logs.max()).reshape(cells, cells)
    return *axes, mass / mass.sum()


def main(figure: str = "docs/images/posterior.png") -> None:
    torch.set_num_threads(1)
    # Of new simulations some lie a little beyond those that were learned from.
    warnings.filterwarnings("ignore", message=".*extrapolates", category=UserWarning)
    theta, data = simulated(SIMULATIONS, 0)
    observed = positions(TRUTH[None]) + NOISE * np.random.default_rng(7).standard_normal((1, len(TIMES)))
    simulations = pf.read(theta, condition=data, space="vector")
    with tempfile.TemporaryDirectory() as folder:
        settings = {"conditioner": "autoregressive", "couplings": 3, "width": 64}
        emulator = pf.fit(
            simulations, "nsf", steps=STEPS, settings=settings, out=Path(folder) / "run", device="cpu", progress=False
        )
    samples = emulator.posterior(observed, n=20_000, of="samples", seed=1).samples.numpy()
    new_theta, new_data = simulated(TESTED, 1)
    rows = np.repeat(new_data, DRAWS, axis=0).astype(np.float32)
    drawn = emulator.sample_at(rows, seed=2).numpy().reshape(TESTED, DRAWS, 2)
    calibrated = posterior_calibration(drawn, new_theta)
    draw(samples, exact(observed[0]), calibrated, figure)
    spread = calibrated.single.spread.tolist()
    print(f"spread of ranks {spread[0]:.2f} and {spread[1]:.2f} (1 is right); wrote {figure}")


def draw(
    samples: NDArray[np.float32], truth: tuple[NDArray[np.float64], ...], calibrated: PosteriorCalibration, figure: str
) -> None:
    omega, gamma, mass = truth
    canvas, grid = plt.subplots(2, 3, figsize=(10.5, 5.8), layout="constrained")
    ranges = [np.quantile(samples[:, i], (0.001, 0.999)) + np.array([-0.02, 0.02]) for i in (0, 1)]
    for axes, place, values, line, label in (
        (grid[0, 0], 0, omega, mass.sum(1), NAMES[0]),
        (grid[1, 1], 1, gamma, mass.sum(0), NAMES[1]),
    ):
        axes.hist(samples[:, place], 60, range=tuple(ranges[place]), density=True, color=BLUE, alpha=0.45)
        axes.plot(values, line / (values[1] - values[0]), c="k", lw=1.3)
        axes.axvline(TRUTH[place], c=ORANGE, lw=1.2)
        axes.set(yticks=[], xlabel=label, xlim=ranges[place])
    axes = grid[1, 0]
    axes.hist2d(*samples.T, 70, range=ranges, cmap="Blues")
    levels = np.sort(mass.ravel())[::-1]
    at = [levels[np.searchsorted(np.cumsum(levels), part)] for part in (0.86, 0.39)]
    axes.contour(omega, gamma, mass.T, at, colors="k", linewidths=1.1)
    axes.plot(*TRUTH, "+", c=ORANGE, ms=11, mew=2)
    axes.set(xlabel=NAMES[0], ylabel=NAMES[1], xlim=ranges[0], ylim=ranges[1])
    axes = grid[0, 1]
    axes.axis("off")
    axes.text(0, 0.55, "blue: samples of the flow\nblack: exact posterior\norange: truth", fontsize=10)
    coverage(grid[0, 2], calibrated)
    ranks(grid[1, 2], calibrated)
    canvas.savefig(figure, dpi=110)


def coverage(axes: plt.Axes, calibrated: PosteriorCalibration) -> None:
    band = np.quantile(calibrated.coverage_null.numpy(), (0.025, 0.975), axis=0)
    axes.fill_between(calibrated.credibility, *band, color="0.85", label="95 % of perfect posteriors")
    axes.plot(calibrated.credibility, calibrated.coverage, c=BLUE, lw=1.6, label="flow")
    axes.plot([0, 1], [0, 1], c="k", lw=0.7)
    axes.set(xlabel="credibility", ylabel="coverage (TARP)", xlim=(0, 1), ylim=(0, 1))
    axes.legend(fontsize=8, frameon=False)


def ranks(axes: plt.Axes, calibrated: PosteriorCalibration) -> None:
    bins = 10
    low, high = np.quantile(np.random.default_rng(0).binomial(TESTED, 1 / bins, 4000), (0.025, 0.975))
    axes.axhspan(low, high, color="0.85")
    for place, colour in ((0, BLUE), (1, ORANGE)):
        axes.hist(
            calibrated.single.ranks[:, place] / DRAWS, bins, range=(0, 1), histtype="step", color=colour, lw=1.5,
            label=NAMES[place],
        )  # fmt: skip
    axes.set(xlabel="rank of the truth", ylabel="simulations", xlim=(0, 1))
    axes.legend(fontsize=8, frameon=False, loc="lower center")


if __name__ == "__main__":
    main(*sys.argv[1:])
