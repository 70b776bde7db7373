"""The critic's estimate beside the exact distance along training, for wgan-gp and for gan.

    python examples/critic_estimate.py [FIGURE]

Draws the runs of ``python -m benchmarks critic_estimate``, which it measures if they are not on disk: some minutes per
run on one core. The estimate of wgan-gp falls with the distance; the divergence that the classifier of gan proves
moves with the balance of the two players.

Source: Arjovsky, Chintala and Bottou 2017, https://arxiv.org/abs/1701.07875, figures 3 and 4.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import critic_estimate

BLUE, RED = "#0072b2", "#d55e00"
NAMES = {"wgan-gp": "E f(x) − E f(g(z))", "gan": "ln 2 − loss / 2"}


def main(figure: str = "docs/images/critic_estimate.png") -> None:
    shape = (len(NAMES), len(critic_estimate.SETS))
    canvas, grid = plt.subplots(*shape, figsize=(10.5, 5.4), layout="constrained", sharex=True)
    for line, (name, what) in zip(grid, NAMES.items(), strict=True):
        for axes, data in zip(line, critic_estimate.SETS, strict=True):
            found = critic_estimate.cell(name, data, critic_estimate.SEEDS[0])
            axes.plot(found["step"], found["distance"], color=BLUE, label="exact $W_1$")
            axes.axhline(found["floor"], color=BLUE, ls=":", lw=1, label="two real sets")
            axes.set(yscale="log")
            axes.set_title(f"{name}, {data}: rank correlation {critic_estimate.correlation(found):.2f}", fontsize=9)
            other = axes.twinx()
            other.plot(found["step"], found["estimate"], color=RED)
            other.tick_params(axis="y", colors=RED)
            if name == "wgan-gp":
                other.set_yscale("log")
        line[0].set_ylabel("exact $W_1$", color=BLUE)
        other.set_ylabel(what, color=RED)
    grid[0, 0].legend(frameon=False, fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("step")
    canvas.savefig(figure, dpi=110)
    print(f"wrote {figure}")


if __name__ == "__main__":
    main(*sys.argv[1:])
