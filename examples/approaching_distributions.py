r"""GAN against WGAN while two distributions approach: what each critic measures, and the force on the samples.

    python examples/approaching_distributions.py [FIGURE]

Samples lie at a distance from the data, with the same narrow Gaussian shape. The optimal critic of a GAN measures the
Jensen-Shannon divergence, which is constant, ln 2, until the two overlap; that of a Wasserstein GAN measures W₁, which
is the distance itself. Lines are exact; circles are critics of the package, trained on 1-D samples at that distance,
the Wasserstein critic with the one-sided penalty. All start with a slope of the wrong sign, which is a local minimum
with the one-centred penalty (crosses) at distances below twice its weight. Right: mean force on the samples, the slope
of the generator's loss. About a minute.

Source: Arjovsky, Chintala and Bottou 2017, https://arxiv.org/abs/1701.07875, example 1 and figure 2.
"""

from __future__ import annotations

import math
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import Tensor

from pushforward.models.adversarial_losses import LOSSES
from pushforward.models.critic_penalties import gradient_penalty
from pushforward.networks import Critic
from pushforward.spaces import Vector

WIDTH, BATCH, STEPS, PENALTY = 0.1, 128, 250, 10.0
DISTANCES = (0.0, 0.2, 0.4, 0.8, 1.4, 2.0)
LOSS = {"GAN": "minimax", "WGAN": "wasserstein"}
COLOURS = {"GAN": "#d55e00", "WGAN": "#0072b2"}


def trained(loss: str, distance: float, *, one_sided: bool) -> Critic:
    """Critic of data and samples at a distance; its slope has the wrong sign at the start."""
    torch.manual_seed(0)
    critic = Critic(Vector(1), width=32, depth=2)
    with torch.no_grad():
        if float(critic(torch.ones(1, 1)) - critic(-torch.ones(1, 1))) > 0:
            list(critic.parameters())[-2].neg_()
    optimiser = torch.optim.Adam(critic.parameters(), lr=5e-3, betas=(0.5, 0.9))
    for _ in range(STEPS):
        data, samples = pair(distance)
        value = LOSSES[loss].critic(critic(data), critic(samples))
        if loss == "wasserstein":
            between = samples.lerp(data, torch.rand(BATCH, 1))
            value = value + PENALTY * gradient_penalty(critic, between, one_sided=one_sided).mean()
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    return critic


def pair(distance: float, count: int = BATCH) -> tuple[Tensor, Tensor]:
    """Data at zero, and samples beside them."""
    return WIDTH * torch.randn(count, 1), WIDTH * torch.randn(count, 1) - distance


def measured(name: str, distance: float, *, one_sided: bool = True) -> tuple[float, float]:
    """What the trained critic measures, and its mean force on the samples towards the data."""
    critic = trained(LOSS[name], distance, one_sided=one_sided)
    data, samples = pair(distance, 4096)
    samples = samples.requires_grad_()
    real, fake = critic(data), critic(samples)
    loss = LOSSES[LOSS[name]]
    (force,) = torch.autograd.grad(len(samples) * loss.generator(real, fake), samples)
    value = loss.critic(real, fake).item()
    return math.log(2) - value / 2 if name == "GAN" else -value, -force.mean().item()


def jensen_shannon(distance: float) -> float:
    """Divergence of two Gaussians in nats, by quadrature."""
    x = torch.linspace(-distance - 1, 1, 4001, dtype=torch.float64)
    p, q = (torch.distributions.Normal(mean, WIDTH).log_prob(x) for mean in (0.0, -distance))
    middle = torch.logaddexp(p, q) - math.log(2)
    return 0.5 * float(torch.trapezoid(p.exp() * (p - middle) + q.exp() * (q - middle), x))


def minimax_force(distance: float) -> float:
    """Mean slope of -ln(1 - d) on the samples, for the optimal d."""
    x = torch.linspace(-distance - 1, 1, 4001, dtype=torch.float64)
    slope = distance / WIDTH**2
    logit = slope * (x + distance / 2)
    density = torch.distributions.Normal(-distance, WIDTH).log_prob(x).exp()
    return float(torch.trapezoid(density * torch.sigmoid(logit) * slope, x))


def main(figure: str = "docs/images/approaching_distributions.png") -> None:
    fine = torch.linspace(0, max(DISTANCES), 201).tolist()
    exact = {"GAN": [jensen_shannon(each) for each in fine], "WGAN": fine}
    force = {"GAN": [minimax_force(each) for each in fine], "WGAN": [1.0 if each else 0.0 for each in fine]}
    labels = {"GAN": "Jensen-Shannon divergence, GAN", "WGAN": "$W_1$, WGAN"}
    canvas, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
    for name, colour in COLOURS.items():
        found = [measured(name, distance) for distance in DISTANCES]
        left.plot(fine, exact[name], color=colour, label=labels[name])
        left.plot(DISTANCES, [value for value, _ in found], "o", color=colour, mfc="white")
        right.plot(fine, force[name], color=colour)
        right.plot(DISTANCES, [each for _, each in found], "o", color=colour, mfc="white")
        for distance, (value, each) in zip(DISTANCES, found, strict=True):
            known = jensen_shannon(distance) if name == "GAN" else distance
            print(f"{name:5} distance {distance:.1f}: measures {value:.3f}, exact {known:.3f}; force {each:.3g}")
    centred = [measured("WGAN", distance, one_sided=False) for distance in DISTANCES]
    for axes, values in zip((left, right), zip(*centred, strict=True), strict=True):
        axes.plot(DISTANCES, values, "x", color=COLOURS["WGAN"], label="$W_1$, one-centred penalty")
    print("one-centred penalty: measures", ", ".join(f"{value:.3f}" for value, _ in centred))
    left.set(xlabel="distance of samples from data", ylabel="what the critic measures", ylim=(-2.2, 3.7))
    left.legend(frameon=False, loc="upper left")
    right.set(xlabel="distance of samples from data", ylabel="mean force on the samples")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    canvas.savefig(figure, dpi=110)
    print(f"wrote {figure}")


if __name__ == "__main__":
    main(*sys.argv[1:])
