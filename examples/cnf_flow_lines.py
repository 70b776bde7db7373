"""A normal distribution becomes a multimodal one along the lines of a learned flow.

    python examples/cnf_flow_lines.py [FIGURE]

Two continuous normalizing flows are trained, in about a minute on one core. Left, in one dimension: the lines start
at equal steps of probability, so where they draw together the density has grown, and where they part it has fallen
(after Bishop and Bishop 2024, Deep Learning, figure 18.6). Right, in the plane: the density at five times, and where a
hundred samples have come from.
"""

from __future__ import annotations

import sys
import tempfile

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import LinearSegmentedColormap

import pushforward as pf
from pushforward.models.cnf import CNF

INK, LINE = "#1c2733", "#0b3c5d"
DENSITY = LinearSegmentedColormap.from_list(
    "density", ["#ffffff", "#dcebf5", "#a6cde3", "#5aa2cb", "#1f6fa8", "#0b3c5d", "#06203a"]
)
TIMES = (1.0, 0.6, 0.4, 0.2, 0.0)
QUANTILES, TRAILS, REACH = 41, 100, 2.6


def three_modes(count: int) -> np.ndarray:
    """A mixture of three normal distributions on the line."""
    random = np.random.default_rng(0)
    mode = random.choice(3, size=count, p=[0.3, 0.45, 0.25])
    centre, width = np.array([-1.5, 0.1, 1.6])[mode], np.array([0.22, 0.33, 0.17])[mode]
    return (centre + width * random.standard_normal(count)).astype(np.float32)[:, None]


def trained(data: pf.Ensemble, steps: int) -> CNF:
    with tempfile.TemporaryDirectory() as run:
        model = pf.fit(data, "cnf", steps=steps, out=run).model
    assert isinstance(model, CNF)
    return model


@torch.no_grad()
def draw_line(axes: tuple[plt.Axes, plt.Axes, plt.Axes], model: CNF) -> None:
    """The density of a flow on the line at the noise, on the way, and at the data."""
    noise, way, data = axes
    z, times = torch.linspace(-REACH, REACH, 321), torch.linspace(0, 1, 101)
    density = torch.stack([model.log_prob_at(z[:, None], float(t)).exp() for t in times])
    for end, values, height in ((noise, density[-1], 0.45), (data, density[0], float(density[0].max()) * 1.1)):
        end.fill_between(z, values, color="#a6cde3", lw=0)
        end.plot(z, values, color=LINE, lw=1.4)
        end.set(xlim=(-REACH, REACH), ylim=(0, height))
        end.axis("off")
    data.invert_yaxis()
    extent = (-REACH, REACH, 0.0, 1.0)
    way.imshow(density.sqrt(), origin="lower", extent=extent, aspect="auto", cmap=DENSITY, interpolation="bilinear")
    quantiles = torch.special.ndtri((torch.arange(QUANTILES) + 0.5) / QUANTILES)
    lines = model.flow(quantiles[:, None], times.flip(0).tolist())[:, :, 0]
    way.plot(lines, times.flip(0), color="#d9480f", lw=0.7, alpha=0.85)
    way.set(xlim=(-REACH, REACH), ylim=(0, 1), xticks=[], yticks=[0, 0.5, 1], ylabel="time $t$")
    noise.set_title("noise, $t = 1$", loc="left", fontsize=10, color=INK, pad=2)
    data.text(0, -0.06, "data, $t = 0$", transform=data.transAxes, fontsize=10, color=INK, va="top")


@torch.no_grad()
def draw_plane(axes: list[plt.Axes], model: CNF, data: np.ndarray) -> None:
    """The density of a flow in the plane at some times, with the paths that samples took to get there."""
    axis = torch.linspace(-REACH, REACH, 150)
    grid = torch.cartesian_prod(axis, axis)
    noise = torch.randn(TRAILS, 2, generator=torch.Generator().manual_seed(3))
    clock = torch.linspace(1, 0, 101)
    paths = model.flow(noise, clock.tolist())
    for panel, time in zip(axes, TIMES, strict=False):
        density = model.log_prob_at(grid, time).exp().reshape(len(axis), -1).T
        extent = (-REACH, REACH, -REACH, REACH)
        panel.imshow(density.sqrt(), origin="lower", extent=extent, cmap=DENSITY, interpolation="bilinear")
        gone = paths[: int((clock >= time - 1e-6).sum())]
        panel.plot(gone[:, :, 0], gone[:, :, 1], color="#d9480f", lw=0.6, alpha=0.65)
        panel.scatter(*gone[-1].T, s=5, color="#d9480f", edgecolor="white", lw=0.3, zorder=3)
        panel.set_title(f"$t = {time:g}$", loc="left", fontsize=10, color=INK, pad=3)
    axes[-1].scatter(*data.T, s=1.2, color=INK, alpha=0.45, lw=0)
    axes[-1].set_title("the data", loc="left", fontsize=10, color=INK, pad=3)
    for panel in axes:
        panel.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), xticks=[], yticks=[], aspect="equal")


def main(path: str = "cnf_flow_lines.png") -> None:
    plane = pf.read("eight-gaussians", members=50_000)
    models = trained(pf.Ensemble.from_array(three_modes(50_000)), 500), trained(plane, 1000)
    plt.rcParams.update({"font.size": 9, "axes.edgecolor": "#8a9099", "axes.linewidth": 0.6})
    figure = plt.figure(figsize=(11.4, 5.2), facecolor="white")
    left, right = figure.add_gridspec(
        1, 2, width_ratios=(0.6, 1), wspace=0.1, left=0.045, right=0.99, top=0.93, bottom=0.06
    )
    tall = left.subgridspec(3, 1, height_ratios=(0.22, 1, 0.3), hspace=0.02)
    draw_line(tuple(figure.add_subplot(cell) for cell in tall), models[0])
    panels = right.subgridspec(2, 3, wspace=0.06, hspace=0.14)
    draw_plane([figure.add_subplot(cell) for cell in panels], models[1], standard(plane))
    figure.savefig(path, dpi=170)


def standard(ensemble: pf.Ensemble) -> np.ndarray:
    """Some of the data, in units of their standard deviation about their mean."""
    x = ensemble.take(np.arange(2000))
    return (x - x.mean(0)) / x.std(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
