"""One trained network, sampled in six ways.

    python examples/six_samplers.py [FIGURE] [--run RUN]

A network is trained once, for 30 s on two moons. What it knows, the expected data and noise in a noisy sample, is all
that a sampler asks for: it can be followed as a flow along the straight line or in sigma, stepped as DDIM, solved with
one call a step, or sampled with as much fresh noise as one likes. Above: 1500 samples of each at 12 network calls.
Below: the distance of each to real samples against the number of calls, beside the distance of two real sets.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

import pushforward as pf
from pushforward.statistics import sliced_wasserstein

# Each with the network calls of a step.
WAYS = {
    "flow, Adams-Bashforth": ({"method": "adams"}, 1),
    "flow in sigma, Heun (EDM)": ({"method": "edm"}, 2),
    "DDIM": ({"method": "ddim", "spacing": "angle"}, 1),
    "DPM-Solver++(2M)": ({"method": "dpm-solver", "spacing": "angle"}, 1),
    "reversed diffusion (SDE)": ({"method": "sde", "spacing": "angle"}, 1),
    "ancestral (DDPM)": ({"method": "ancestral", "spacing": "angle"}, 1),
}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#222222")
CALLS = (4, 8, 12, 24, 48, 96)
SHOWN = 12
COUNT = 10_000


def distance(x: torch.Tensor, y: torch.Tensor) -> float:
    return float(sliced_wasserstein(x, y).distance)


def main(figure: str, run: str | None) -> None:
    moons = pf.read("two-moons")
    emulator = pf.Emulator.load(run) if run else pf.fit(moons, model="edm", budget="30s", seed=0)
    real, other = (
        torch.from_numpy(pf.read("two-moons", members=COUNT, seed=seed).take(np.arange(COUNT))) for seed in (1, 2)
    )
    found = {
        name: [emulator.sample(COUNT, seed=0, steps=calls // per_step, **options) for calls in CALLS]
        for name, (options, per_step) in WAYS.items()
    }

    canvas = plt.figure(figsize=(10, 7.4), constrained_layout=True)
    grid = canvas.add_gridspec(3, 3, height_ratios=(1, 1, 1.25))
    for place, (name, colour) in enumerate(zip(WAYS, COLOURS, strict=True)):
        axes = canvas.add_subplot(grid[place // 3, place % 3])
        axes.scatter(*found[name][CALLS.index(SHOWN)][:1500].T, s=1.5, c=colour, linewidths=0)
        axes.set(title=f"{name}, {SHOWN} calls", xticks=[], yticks=[], xlim=(-1.7, 2.7), ylim=(-1.1, 1.6))
        axes.title.set_size(10)
    axes = canvas.add_subplot(grid[2, :])
    for (name, samples), colour in zip(found.items(), COLOURS, strict=True):
        axes.plot(CALLS, [distance(x, real) for x in samples], "o-", c=colour, label=name, markersize=4)
    axes.axhline(distance(other, real), c="0.5", ls="--", lw=1, label="two real sets")
    axes.set(xscale="log", yscale="log", xlabel="network calls a sample", ylabel="sliced Wasserstein distance")
    axes.set_xticks(CALLS, [str(calls) for calls in CALLS])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=8, ncols=2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    canvas.savefig(figure, dpi=110)
    print(f"wrote {figure}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figure", nargs="?", default="docs/images/six_samplers.png")
    parser.add_argument("--run", help="a run of a denoising model on two-moons, in place of training one")
    options = parser.parse_args()
    main(options.figure, options.run)
