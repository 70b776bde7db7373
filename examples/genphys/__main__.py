"""Five physical processes carry noise to the same data, and the criterion that says which ones can.

    python -m examples.genphys [FIGURE]

Each process trains a small network on two moons for about ten seconds on one core, and is then followed backwards. The
lines are 120 paths from noise to data, from where they enter the picture; the dots are their ends.
"""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from examples.genphys.dispersion import FREQUENCIES, frequency
from examples.genphys.process_flow import ProcessFlow
from examples.genphys.processes import process

import pushforward as pf

# Parameters, and the times between which the kernel grows from 0.005 to 40 standard deviations of the data.
PROCESSES = {
    "diffusion": ({}, 1.25e-5, 800.0),
    "poisson": ({}, 0.005, 40.0),
    "yukawa": ({"mass": 3.0}, 0.005, 4800.0),
    "helmholtz": ({"wavenumber": 0.02}, 0.005, 40.0),
    "dissipative-wave": ({"damping": 2.0}, 0.005, 3200.0),
}
COLOURS = dict(
    zip(FREQUENCIES, ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#222222", "#8a9099"), strict=True)
)


def trained(name: str, data: torch.Tensor, steps: int = 1500) -> ProcessFlow:
    parameters, first, last = PROCESSES[name]
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    flow = ProcessFlow(process(name, 2, **parameters), first, last)
    optimiser = torch.optim.Adam(flow.parameters(), lr=3e-3, betas=(0.9, 0.99), fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        rows = torch.randint(len(data), (256,), generator=generator)
        optimiser.zero_grad()
        flow.loss(data[rows], generator).backward()
        optimiser.step()
        schedule.step()
    return flow


def draw_dispersion(axes: plt.Axes) -> None:
    k = torch.linspace(0, 4, 401)
    for name, colour in COLOURS.items():
        rate = frequency(name, k).imag - frequency(name, torch.zeros(1)).imag
        # The two that fail lie on each other.
        style = (0, (4, 4)) if name == "schroedinger" else "-"
        axes.plot(k, rate, color=colour, lw=1.8, ls=style, label=name)
    axes.set(xlabel="wavenumber $k$", ylabel=r"Im $\omega(k)$ - Im $\omega(0)$", ylim=(-4, 1.2), xlim=(0, 4))
    axes.set_title("What decays can generate", fontsize=10, loc="left", weight="bold")
    axes.axhline(0, color="#c9cdd2", lw=0.7, zorder=0)
    axes.legend(fontsize=7, frameon=False, loc="lower left")


def draw_paths(axes: plt.Axes, name: str, flow: ProcessFlow) -> None:
    path = torch.stack(flow.path(1500, torch.Generator().manual_seed(1)))
    for i in range(120):
        axes.plot(*path[:, i].T, color=COLOURS[name], lw=0.5, alpha=0.45)
    axes.scatter(*path[-1].T, s=2, color="#222222", linewidths=0, zorder=3)
    setting = ", ".join(f"{key} {value:g}" for key, value in PROCESSES[name][0].items())
    axes.set_title(name + (f" ({setting})" if setting else ""), fontsize=10, loc="left", weight="bold")
    axes.set(xlim=(-4, 4), ylim=(-4, 4), aspect="equal", xticks=[-3, 0, 3], yticks=[-3, 0, 3])


def main(figure: str = "docs/images/genphys.png") -> None:
    torch.set_num_threads(1)
    data = torch.as_tensor(pf.read("two-moons", members=20_000, noise=0.05).take(range(20_000)))
    data = (data - data.mean(0)) / data.std()
    picture, grid = plt.subplots(2, 3, figsize=(10.5, 7), layout="constrained")
    draw_dispersion(grid[0, 0])
    for axes, name in zip(grid.flat[1:], PROCESSES, strict=True):
        draw_paths(axes, name, trained(name, data))
    for axes in grid.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    picture.savefig(figure, dpi=130)
    print(figure)


if __name__ == "__main__":
    main(*sys.argv[1:])
