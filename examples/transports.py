"""Seven ways from noise to data, each a row: on two sets in the plane, and on maps.

    python examples/transports.py [FIGURE]

Every model is trained with its defaults: 2000 steps on each set in the plane, 1500 on maps of the cosmic web (32 x 32).
In the plane lines are the paths of 60 samples from noise, from where they enter the picture, and dots are 1500 samples.
Maps are drawn at the conditions of those in the first row. About six minutes on one core.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

import pushforward as pf
from pushforward.randomness import Draws
from pushforward.transport import Straight

MODELS = ("ddpm", "edm", "flow-matching", "ot-flow-matching", "pfgm", "pfgm++", "yukawa")
COLOURS = ("#0072b2", "#56b4e9", "#009e73", "#7a9e00", "#d55e00", "#e69f00", "#cc79a7")
PLANE = ("two-moons", "eight-gaussians")
MAPS = {"members": 1200, "grid": 32}
STEPS, STEPS_FOR_MAPS = 2000, 1500


def paths(emulator: pf.Emulator, count: int, steps: int = 40) -> np.ndarray:
    """Positions of samples between noise and data, along the straight line; Heun's method."""
    model = emulator.model
    times = np.linspace(model.last_time(), 0.0, steps + 1)
    places, w = [], model.prior.draw(Draws(1, count), (2,))
    motion = model.whitened_motion(None)
    with torch.no_grad():
        for now, then in zip(Straight().moments(times[:-1]), Straight().moments(times[1:]), strict=True):
            places.append(model.gaussian.colour(w, now))
            slope = motion(w, now)
            w = w + (then.time - now.time) / 2 * (slope + motion(w + (then.time - now.time) * slope, then))
        places.append(model.gaussian.colour(w, then))
    return np.stack([emulator.preprocessing.inverse(place).numpy() for place in places])


def main(figure: str = "docs/images/transports_example.png") -> None:
    torch.set_num_threads(1)
    maps = pf.read("cosmic-web", **MAPS)
    shown = maps.test.condition_rows(np.arange(0, 60, 15))[:4]
    real_maps = maps.test.take(np.arange(0, 60, 15))[:4, 0]
    scale = {"vmin": 0.0, "vmax": float(np.quantile(real_maps, 0.98)), "cmap": "magma"}
    canvas, grid = plt.subplots(len(MODELS) + 1, 6, figsize=(11.5, 1.85 * (len(MODELS) + 1)), layout="constrained")
    for axes, name in zip(grid[0, :2], PLANE, strict=True):
        axes.scatter(*pf.read(name, members=1500, seed=1).take(np.arange(1500)).T, s=1.2, c="#222222", lw=0)
        axes.set_title(name, fontsize=10)
    for axes, picture, row in zip(grid[0, 2:], real_maps, shown, strict=True):
        axes.imshow(picture, **scale)
        axes.set_title(rf"$\Omega_m$ {row[0]:.2f}, $\sigma_8$ {row[1]:.2f}", fontsize=10)
    grid[0, 0].set_ylabel("data", fontsize=10, weight="bold")
    with tempfile.TemporaryDirectory() as folder:
        for line, model, colour in zip(grid[1:], MODELS, COLOURS, strict=True):
            for axes, first, name in zip(line[:2], grid[0, :2], PLANE, strict=True):
                emulator = pf.fit(name, model, steps=STEPS, out=Path(folder) / f"{model}-{name}", progress=False)
                for path in paths(emulator, 60).swapaxes(0, 1):
                    axes.plot(*path.T, c=colour, lw=0.5, alpha=0.5)
                axes.scatter(*emulator.sample(1500, seed=2).T, s=1.2, c="#222222", lw=0, zorder=3)
                axes.set(xlim=first.get_xlim(), ylim=first.get_ylim())
            emulator = pf.fit(maps, model, steps=STEPS_FOR_MAPS, out=Path(folder) / model, progress=False)
            for axes, picture in zip(line[2:], emulator.sample_at(shown, seed=3)[:, 0], strict=True):
                axes.imshow(picture, **scale)
            line[0].set_ylabel(model, fontsize=10, weight="bold")
            print(model, flush=True)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    canvas.savefig(figure, dpi=100)
    print(f"wrote {figure}")


if __name__ == "__main__":
    main(*sys.argv[1:])
