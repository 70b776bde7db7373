"""Optimal discriminator and its gradient, without and with noise (after Bishop and Bishop 2024, figure 17.2).

    python examples/optimal_discriminator.py [FIGURE]

For data of density p and samples of density q the optimal discriminator is d = p / (p + q). Where the two do not
overlap, it is flat at the samples, and the generator, whose minimax loss is E ln(1 - d), receives no gradient. Noise
on the inputs of the discriminator, as by ``--set instance_noise=0.5``, smooths both densities. A few seconds.
"""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import Tensor

DATA, SAMPLES, WIDTH = 2.0, -2.0, 0.25
NOISE = (0.0, 1.0)
BLUE, RED, GREY = "#0072b2", "#d55e00", "#777777"


def density(x: Tensor, mean: float, noise: float) -> Tensor:
    return torch.distributions.Normal(mean, (WIDTH**2 + noise**2) ** 0.5).log_prob(x).exp()


def logit(x: Tensor, noise: float) -> Tensor:
    """Logarithm of d / (1 - d) for the optimal discriminator: the log-ratio of two normal densities."""
    return (x - (DATA + SAMPLES) / 2) * (DATA - SAMPLES) / (WIDTH**2 + noise**2)


def force(x: Tensor, noise: float) -> Tensor:
    """Slope of -ln(1 - d), by which a sample of a minimax generator moves towards the data."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(torch.nn.functional.softplus(logit(x, noise)).sum(), x)
    return slope


def main(figure: str = "docs/images/optimal_discriminator.png") -> None:
    x = torch.linspace(-5, 5, 1001, dtype=torch.float64)
    canvas, grid = plt.subplots(2, 2, figsize=(9, 5), layout="constrained", sharex=True, height_ratios=(1.4, 1))
    for column, noise in zip(grid.T, NOISE, strict=True):
        top, bottom = column
        for mean, colour, name in ((DATA, BLUE, "data $p$"), (SAMPLES, RED, "samples $q$")):
            curve = density(x, mean, noise)
            top.fill_between(x, curve / curve.max(), color=colour, alpha=0.25, lw=0, label=name)
        top.plot(x, torch.sigmoid(logit(x, noise)), color="black", label="optimal $d$")
        top.set(title=f"noise of {noise:g} on both" if noise else "without noise", ylim=(0, 1.05))
        slope = force(x, noise)
        bottom.plot(x, slope, color=GREY)
        at = float(force(torch.tensor([SAMPLES], dtype=torch.float64), noise))
        bottom.plot(SAMPLES, at, "o", color=RED)
        bottom.annotate(f"{at:.1e}", (SAMPLES, at), (8, -10), textcoords="offset points", color=RED)
        bottom.set(yscale="log", ylim=(1e-70, 1e6), xlabel="$x$")
        for axes in column:
            axes.spines[["top", "right"]].set_visible(False)
        print(f"noise {noise:g}: slope of -ln(1 - d) at the mean of the samples {at:.3g}")
    grid[0, 0].legend(frameon=False, fontsize=9, loc="center left")
    grid[1, 0].set_ylabel(r"slope of $-\ln(1 - d)$")
    canvas.savefig(figure, dpi=110)
    print(f"wrote {figure}")


if __name__ == "__main__":
    main(*sys.argv[1:])
