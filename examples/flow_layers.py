"""Two moons through the layers of a flow, from noise to data in six panels (after Bishop and Bishop 2024, figure 18.3).

    python examples/flow_layers.py [FIGURE]

A `realnvp` of eight couplings is trained for 1500 steps. Samples of its normal distribution are then followed through
the inverse of the chain; their colour is the angle that they begin at. Each panel shows 99 % of the samples along both
axes. About a minute on one core.
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
from matplotlib.colors import ListedColormap, hsv_to_rgb
from PIL import Image

import pushforward as pf
from pushforward.transforms import Coupling

STEPS, COUPLINGS, SAMPLES = 1500, 8, 3000
SHOWN = (0, 2, 4, 6, 7, 8)


def stages(emulator: pf.Emulator, count: int) -> list[torch.Tensor]:
    """Samples after each coupling on the way from noise to data, network units, the noise first."""
    torch.manual_seed(0)
    x = torch.randn(count, 2)
    found = [x]
    with torch.no_grad():
        for transform in reversed(list(emulator.model.flow.transforms)):
            x, _ = transform.inverse(x)
            if isinstance(transform, Coupling):
                found.append(x)
    # What is left in front of the last coupling belongs to the last panel, which is in the units of the data.
    found[-1] = emulator.preprocessing.inverse(x)
    return found


def wheel() -> ListedColormap:
    """Hues of equal saturation, dark enough to be seen on white."""
    hue = np.linspace(0, 1, 256)
    return ListedColormap(hsv_to_rgb(np.stack([hue, np.full(256, 0.85), np.full(256, 0.8)], 1)))


def main(figure: str = "docs/images/flow_layers.png") -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        emulator = pf.fit(
            "two-moons", "realnvp", steps=STEPS, settings={"couplings": COUPLINGS}, out=Path(folder) / "run",
            device="cpu", progress=False,
        )  # fmt: skip
    found = stages(emulator, SAMPLES)
    angle = torch.atan2(found[0][:, 1], found[0][:, 0])
    canvas, grid = plt.subplots(2, 3, figsize=(9.5, 6.2), layout="constrained")
    for axes, shown in zip(grid.flat, SHOWN, strict=True):
        axes.scatter(*found[shown].T, s=2.5, c=angle, cmap=wheel(), lw=0, rasterized=True)
        low, high = found[shown].quantile(torch.tensor([0.005, 0.995]), dim=0)
        margin = 0.08 * (high - low)
        (left, bottom), (right, top) = (low - margin).tolist(), (high + margin).tolist()
        axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
        titles = {0: "noise", COUPLINGS: "samples"}
        axes.set_title(titles.get(shown, f"after {shown} couplings"), fontsize=10)
    canvas.savefig(figure, dpi=100)
    # A palette makes the file a quarter as large.
    with Image.open(figure) as picture:
        picture.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(figure, optimize=True)
    print(f"wrote {figure}")


if __name__ == "__main__":
    main(*sys.argv[1:])
