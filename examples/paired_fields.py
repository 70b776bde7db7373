"""From dark matter to gas: samples of a field that is given with another field.

    python examples/paired_fields.py [FIGURE] [--run RUN]

Flow matching learns the pressure of gas on maps of matter (`cosmic-gas`), for 90 s. Left: held-out maps of matter, the
gas that the simulator gave them, two samples, and the scatter of 16 samples in ln p. Right: how a sample is correlated
with the truth and with another sample, and its transfer function, beside two draws of the simulator itself, the best
that any emulator can do.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

import pushforward as pf
from pushforward.simulate.cosmic_gas import gas_of_matter
from pushforward.statistics import cross_power_spectrum, power_spectrum

BLUE, RED, GREY = "#0072b2", "#d55e00", "0.45"
ROWS, MAPS, REPEATS = 3, 96, 16


def main(figure: str, run: str | None) -> None:
    pairs = pf.read("cosmic-gas")
    emulator = pf.Emulator.load(run) if run else pf.fit(pairs, budget="90s", seed=0)
    truth, given = pairs.test.take_given(np.arange(MAPS))
    matter = given.field.numpy()
    one, two = (emulator.sample(MAPS, matter, seed=seed) for seed in (1, 2))
    shown = slice(0, 12 * ROWS, 12)  # a simulation gives twelve maps
    many = emulator.sample(ROWS * REPEATS, matter[shown], seed=3).unflatten(0, (ROWS, REPEATS)).log().std(1)

    canvas = plt.figure(figsize=(12.4, 5.6), constrained_layout=True)
    left, right = canvas.subfigures(1, 2, width_ratios=(2.15, 1))
    panels = left.subplots(ROWS, 5)
    titles = ("matter, given", "gas, truth", "a sample", "another", "scatter of ln p")
    low, high = np.quantile(np.log(truth[shown]), (0.01, 0.995))
    for row, axes in enumerate(panels):
        gas = [np.log(x[shown][row, 0]) for x in (truth, one.numpy(), two.numpy())]
        axes[0].imshow(np.log(matter[shown][row, 0]), cmap="bone")
        for cell, image in zip(axes[1:4], gas, strict=True):
            cell.imshow(image, cmap="magma", vmin=low, vmax=high)
        axes[4].imshow(many[row, 0], cmap="viridis", vmin=0, vmax=0.5)
    for axes, title in zip(panels[0], titles, strict=True):
        axes.set_title(title, fontsize=10)
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])

    again = torch.from_numpy(gas_of_matter(matter, np.random.default_rng(5)))
    real = torch.from_numpy(truth)
    lines = {
        "truth and simulator drawn again": (real, again, GREY, "-"),
        "truth and sample": (real, one, BLUE, "-"),
        "sample and sample": (one, two, RED, "--"),
    }
    upper, lower = right.subplots(2, 1, sharex=True)
    for name, (a, b, colour, style) in lines.items():
        cross = cross_power_spectrum(a, b, pairs.space.box)
        upper.plot(cross.k, cross.correlation.mean((0, 1)), c=colour, ls=style, label=name)
        power = [power_spectrum(x, pairs.space.box).power.mean((0, 1)) for x in (a, b)]
        lower.plot(cross.k, (power[1] / power[0]).sqrt(), c=colour, ls=style)
    upper.set(ylabel="correlation r(k)", ylim=(0, 1.02), xscale="log")
    lower.set(ylabel="transfer function T(k)", xlabel="k  [h / Mpc]", ylim=(0.7, 1.3))
    upper.legend(frameon=False, fontsize=8)
    for axes in (upper, lower):
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    canvas.savefig(figure, dpi=110)
    print(f"wrote {figure}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figure", nargs="?", default="docs/images/paired_fields.png")
    parser.add_argument("--run", help="a run on cosmic-gas, in place of training one")
    options = parser.parse_args()
    main(options.figure, options.run)
