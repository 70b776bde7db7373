r"""The two losses of a generator, -ln d and ln(1 - d), and their gradients (after Bishop and Bishop 2024, figure 17.3).

    python examples/generator_losses.py [FIGURE]

Both fall with the probability d that the discriminator gives a sample of being real. Early in training d is near zero,
where ln(1 - d) is flat in the discriminator's logit and -ln d has slope one. A few seconds.
"""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import Tensor

from pushforward.models.adversarial_losses import LOSSES

SHOWN = {
    "non-saturating": (r"$-\ln\,d$", "#0072b2"),
    "minimax": (r"$\ln(1 - d)$", "#d55e00"),
}


def loss_and_slope(name: str, logit: Tensor) -> tuple[Tensor, Tensor]:
    """A generator's loss on samples of these logits, one at a time, and its derivative with respect to the logit."""
    logit = logit.detach().requires_grad_()
    losses = torch.stack([LOSSES[name].generator(each[None], each[None]) for each in logit])
    return losses.detach(), torch.autograd.grad(losses.sum(), logit)[0]


def main(figure: str = "docs/images/generator_losses.png") -> None:
    logit = torch.linspace(-9, 9, 401, dtype=torch.float64)
    d = torch.sigmoid(logit)
    canvas, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name, (formula, colour) in SHOWN.items():
        loss, slope = loss_and_slope(name, logit)
        left.plot(d, loss, color=colour, label=f"{formula}, {name}")
        right.plot(d, slope.abs(), color=colour)
        _, early = loss_and_slope(name, torch.logit(torch.tensor([0.01], dtype=torch.float64)))
        print(f"{name:16} slope at d = 0.01: {float(early.abs()):.3g}")
    left.axhline(0, color="#bbbbbb", lw=0.8, zorder=0)
    left.set(xlabel="$d$, probability of being real", ylabel="loss of the generator", xlim=(0, 1), ylim=(-5, 5))
    left.legend(frameon=False)
    right.set(
        xlabel="$d$", ylabel="|slope| in the logit of $d$", xscale="log", yscale="log", xlim=(1e-4, 1.5), ylim=(1e-4, 2)
    )
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    canvas.savefig(figure, dpi=110)
    print(f"wrote {figure}")


if __name__ == "__main__":
    main(*sys.argv[1:])
