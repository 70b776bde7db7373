"""Few steps: a flow, and three ways to samples in one or two network calls.

    python examples/consistency.py [FIGURE] [--runs FOLDER]

A flow is learnt on eight Gaussians and on 32 x 32 maps of the cosmic web. Each is then the teacher of a consistency
model, which is distilled from it, and of a reflow, which straightens it; another consistency model has no teacher.
Left: samples of the points with 1, 2 and 4 calls. Right: how far samples are from the data, by the number of calls.
Below: maps at the conditions of the first one. Some ten minutes on one core. Runs are kept in FOLDER, and one that was
stopped goes on.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

import pushforward as pf
from pushforward.statistics import power_spectrum, wasserstein2

CALLS = (1, 2, 4)
MANY = (1, 2, 4, 8, 16, 32)
STUDENTS = {
    "reflow": ("flow-matching", True),
    "consistency, distilled": ("consistency", True),
    "consistency, alone": ("consistency", False),
}
TEACHER = "flow matching"
COLOURS = dict(zip((TEACHER, *STUDENTS), ("#222222", "#e69f00", "#0072b2", "#cc79a7"), strict=True))
COUNT = 2000


def trained(data: pf.Ensemble, steps: int, runs: Path) -> dict[str, pf.Emulator]:
    """The teacher and the students, each trained for as many steps."""

    def fit(name: str, model: str, **settings: str) -> pf.Emulator:
        out = runs / f"{data.name}-{name.replace(', ', '-').replace(' ', '-')}"
        return pf.fit(data, model, steps=steps, out=out, resume=out.exists(), settings=settings)

    found = {TEACHER: fit(TEACHER, "flow-matching")}
    for name, (model, taught) in STUDENTS.items():
        found[name] = fit(name, model, **({"teacher": str(found[TEACHER].run)} if taught else {}))
    return found


def error_of_spectrum(maps: torch.Tensor, real: torch.Tensor, box: float) -> float:
    """Mean relative error of P(k) up to half the Nyquist frequency, in per cent."""
    found, true = (power_spectrum(x, box=box) for x in (maps, real))
    within = true.k <= np.pi * real.shape[-1] / box / 2
    ratio = found.power.mean((0, 1))[within] / true.power.mean((0, 1))[within]
    return 100 * float((ratio - 1).abs().mean())


def draw_distances(axes: Axes, distances: dict[str, dict[int, float]], floor: float, what: str) -> None:
    for name, of_calls in distances.items():
        axes.plot(list(of_calls), list(of_calls.values()), "o-", c=COLOURS[name], label=name, markersize=4)
    axes.axhline(floor, c="0.5", ls="--", lw=1, label="two real sets")
    axes.set(xscale="log", yscale="log", xlabel="network calls a sample", ylabel=what)
    axes.set_xticks(MANY, [str(calls) for calls in MANY])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)


def main(figure: str, runs: Path) -> None:
    warnings.filterwarnings("ignore", message=".*extrapolates", category=UserWarning)
    canvas = plt.figure(figsize=(11, 10.6), constrained_layout=True)
    grid = canvas.add_gridspec(5, 7, height_ratios=(1, 1, 1, 1, 1.05), width_ratios=(1, 1, 1, 0.75, 0.75, 0.75, 0.75))

    data = pf.read("eight-gaussians")
    points = trained(data, 1500, runs)
    real, other = (
        torch.from_numpy(pf.read("eight-gaussians", members=COUNT, seed=seed).take(np.arange(COUNT))) for seed in (1, 2)
    )
    distances: dict[str, dict[int, float]] = {}
    for row, (name, emulator) in enumerate(points.items()):
        calls_of = MANY if name == TEACHER else CALLS
        samples = {calls: emulator.sample(COUNT, seed=0, steps=calls) for calls in calls_of}
        distances[name] = {calls: float(wasserstein2(x, real).distance) for calls, x in samples.items()}
        for column, calls in enumerate(CALLS):
            axes = canvas.add_subplot(grid[row, column])
            axes.scatter(*samples[calls].T, s=1.0, c=COLOURS[name], linewidths=0)
            axes.set(xticks=[], yticks=[], aspect="equal")
            low, high = real.min(0).values, real.max(0).values
            axes.set(xlim=(low[0] * 1.15, high[0] * 1.15), ylim=(low[1] * 1.15, high[1] * 1.15))
            if column == 0:
                axes.set_ylabel(name, fontsize=9)
            if row == 0:
                axes.set_title(f"{calls} call{'s' * (calls > 1)}", fontsize=10)
    axes = canvas.add_subplot(grid[:2, 3:])
    draw_distances(axes, distances, float(wasserstein2(other, real).distance), "Wasserstein distance, eight Gaussians")
    axes.legend(frameon=False, fontsize=8)
    print_table("W2", distances)

    data = pf.read("cosmic-web", grid=32)
    maps = trained(data, 1500, runs)
    real, rows = data.test.tensor(), data.test.conditions
    distances, shown = {}, {"real": real[0]}
    for name, emulator in maps.items():
        calls_of = MANY if name == TEACHER else CALLS
        samples = {calls: emulator.sample_at(rows, seed=0, steps=calls) for calls in calls_of}
        distances[name] = {calls: error_of_spectrum(x, real, data.space.box) for calls, x in samples.items()}
        which = (32, 1) if name == TEACHER else (2,) if "alone" in name else (1,) if name == "reflow" else (1, 2)
        title = "flow" if name == TEACHER else name.split()[-1]
        shown |= {f"{title}, {calls} call{'s' * (calls > 1)}": samples[calls][0] for calls in which}
    axes = canvas.add_subplot(grid[2:4, 3:])
    draw_distances(
        axes, distances, error_of_spectrum(real[::2], real[1::2], data.space.box), "error of P(k), %, cosmic web"
    )
    print_table("error of P(k), %", distances)
    strip = grid[4, :].subgridspec(1, len(shown))
    for place, (name, image) in enumerate(shown.items()):
        axes = canvas.add_subplot(strip[place])
        axes.imshow(image[0].log(), cmap="magma", vmin=real[0].log().min(), vmax=real[0].log().max())
        axes.set(xticks=[], yticks=[])
        axes.set_title(name, fontsize=9)
    canvas.savefig(figure, dpi=100)
    print(f"wrote {figure}")


def print_table(what: str, distances: dict[str, dict[int, float]]) -> None:
    for name, of_calls in distances.items():
        print(f"{what:18} {name:24}", "  ".join(f"{calls}: {value:.3g}" for calls, value in of_calls.items()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figure", nargs="?", default="docs/images/consistency.png")
    parser.add_argument("--runs", type=Path, default=Path("runs/examples/consistency"), help="where runs are kept")
    options = parser.parse_args()
    main(options.figure, options.runs)
