"""A coarse simulation of the cosmic web that has learnt from finer ones, on a universe that it has not seen.

    python examples/hybrid_nbody.py [FIGURE] [--runs FOLDER] [--steps N]

Two simulations on a mesh of 64^3 cells in 40 steps teach one on 32^3 cells in 12 steps. Above: the matter of an unseen
universe today in a quarter of the box, coarse, corrected and fine, each beside the same initial conditions.
Below: power and correlation with the fine simulation, beside those of a mesh of 128^3 cells (grey), and the factor that
the potential is corrected by. Two minutes on one core. The run is kept in FOLDER, and one that was stopped goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes

import pushforward as pf
from pushforward.simulate.particle_mesh import ParticleMesh
from pushforward.validation.evolution import Comparison, compare_trajectories

OPTIONS = {"particles": 32, "box": 64.0, "mesh": 64, "steps": 10, "times": 5}
PHYSICS = {"finer mesh": "resolved", "coarse": "uncorrected", "corrected": "corrected"}
LOOKS = {
    "finer mesh": {"color": "#c9cdd2", "linewidth": 5},
    "coarse": {"color": "#555555", "linestyle": "--"},
    "corrected": {"color": "#0072b2"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", nargs="?", type=Path, default=Path("hybrid_nbody.png"))
    parser.add_argument("--runs", type=Path, default=Path("runs/hybrid_nbody"))
    parser.add_argument("--steps", type=int, default=150)
    arguments = parser.parse_args()

    fine = pf.read("n-body", members=2, seed=0, **OPTIONS)
    run = arguments.runs
    emulator = pf.fit(fine, "hybrid-nbody", steps=arguments.steps, out=run, resume=run.exists())

    unseen = pf.read("n-body", members=1, seed=100, **OPTIONS)
    truth = unseen.tensor()
    evolved = {name: emulator.evolve(truth[:, 0], unseen.space.times, physics=each) for name, each in PHYSICS.items()}
    compared = {name: compare_trajectories(states, truth, unseen.space) for name, states in evolved.items()}

    figure = plt.figure(figsize=(10.5, 7.8), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.25, 1))
    shown = {"coarse": evolved["coarse"], "corrected": evolved["corrected"], "fine": truth}
    for panel, (name, states) in zip(upper.subplots(1, 3), shown.items(), strict=True):
        draw_slice(panel, states[0, -1, 0], name)
    curves(*(panels := lower.subplots(1, 3))[:2], compared)
    draw_correction(panels[2], emulator)
    arguments.figure.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.figure, dpi=120)
    for name, each in compared.items():
        print(
            f"{name}: |P / P_fine - 1| {each.power_error[0, -1]:.3f}, 1 - r {each.decorrelation[0, -1]:.4f}, "
            f"rms distance {each.distance[0, -1]:.3f} spacings"
        )


def draw_slice(panel: Axes, position: torch.Tensor, name: str, cells: int = 64) -> None:
    """Matter in the first quarter of the box along z, projected."""
    box = OPTIONS["box"]
    density = 1 + ParticleMesh(cells, box).overdensity(position[None])[0, :, :, : cells // 4].mean(-1)
    panel.imshow(
        np.log10(density.numpy().T + 0.1), extent=(0, box, 0, box), origin="lower", cmap="inferno", vmin=-1, vmax=1.3
    )
    panel.set(title=name, xlabel="Mpc/h")


def curves(power: Axes, correlation: Axes, compared: dict[str, Comparison]) -> None:
    """P / P_fine and r today, over the wavenumber in h/Mpc."""
    for name, each in compared.items():
        power.plot(each.k, each.ratio[0, -1], label=name, **LOOKS[name])
        correlation.plot(each.k, each.correlation[0, -1], **LOOKS[name])
    power.axhline(1, color="#222222", linewidth=0.7)
    power.set(xlabel="k (h/Mpc)", title="P(k) / P(k) of the fine simulation")
    correlation.set(xlabel="k (h/Mpc)", title="r(k) with the fine simulation")
    power.legend(frameon=False)


def draw_correction(panel: Axes, emulator: pf.Emulator) -> None:
    """The factor of the potential, along an axis of the mesh, at the first and the last time."""
    model = emulator.model
    k = model.gravity.wavenumbers[:17, 0, 0] * np.pi * model.gravity.mesh / OPTIONS["box"]
    with torch.no_grad():
        for a, colour in ((0.1, "#e69f00"), (0.5, "#d55e00"), (1.0, "#7f3c8d")):
            panel.plot(k, model.correction(torch.tensor([a]))[0, :17, 0, 0], color=colour, label=f"a = {a:g}")
    panel.set(xlabel="k (h/Mpc)", title="factor of the potential")
    panel.legend(frameon=False)


if __name__ == "__main__":
    main()
