r"""Phase portraits of the Dirac GAN, the smallest game, under the losses and constraints of the package.

    python examples/dirac_gan.py [FIGURE]

The data are one point at zero, the generator one point at θ, the critic f(x) = ψ x. Players step in turn, as in
training; arrows show the gradients, curves the steps from two starts. Near the equilibrium θ = ψ = 0 the game is
linear: without a penalty its eigenvalues are imaginary and it circles. Zero-centred penalties on data and on samples,
of weight γ / 2 each, give -γ ± (γ² - l²)^(1/2), with l the slope of the loss at zero. The one-centred penalty, of
weight λ, has a kink at slope zero: the equilibrium is lost, and with λ = 1 the generator stops at a distance of 2 λ
from the data. The table printed compares measured eigenvalues with these. A few seconds.

Source: Mescheder, Geiger and Nowozin 2018, https://arxiv.org/abs/1801.04406, figure 1 and theorem 4.1.
"""

from __future__ import annotations

import cmath
import sys
from dataclasses import dataclass

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import Tensor

from pushforward.models.adversarial_losses import LOSSES

RATE, STEPS, REACH = 0.1, 500, 2.5
STARTS = ((1.5, 0.0), (-0.7, -0.7))
COLOURS = ("#0072b2", "#d55e00")


@dataclass(frozen=True)
class Game:
    """A loss by its name, and the constraint on the critic.

    Attributes:
        gamma: weight of the zero-centred penalties on data and on samples, γ / 2 each.
        one_centred: weight of the penalty on slopes other than one.
        clip: bound on the critic's only weight.
    """

    title: str
    loss: str
    gamma: float = 0.0
    one_centred: float = 0.0
    clip: float = float("inf")

    def gradients(self, theta: Tensor, psi: Tensor) -> tuple[Tensor, Tensor]:
        """Of the generator's loss with respect to θ, and of the critic's with respect to ψ."""
        theta, psi = (each.detach().requires_grad_() for each in (theta, psi))
        real, fake = torch.zeros_like(theta) * psi, theta * psi
        loss, count = LOSSES[self.loss], theta.numel()
        penalty = self.gamma * psi.square() + self.one_centred * (psi.abs() - 1).square()
        of_critic = count * loss.critic(real.flatten(), fake.flatten()) + penalty.sum()
        of_generator = count * loss.generator(real.flatten(), fake.flatten())
        (by_psi,) = torch.autograd.grad(of_critic, psi, retain_graph=True)
        return torch.autograd.grad(of_generator, theta)[0], by_psi

    def path(self, start: tuple[float, float]) -> Tensor:
        """(θ, ψ) after each step of both players, the critic first."""
        theta, psi = (torch.tensor(value, dtype=torch.float64) for value in start)
        found = [torch.stack([theta, psi])]
        for _ in range(STEPS):
            psi = (psi - RATE * self.gradients(theta, psi)[1]).clamp(-self.clip, self.clip)
            theta = theta - RATE * self.gradients(theta, psi)[0]
            found.append(torch.stack([theta, psi]))
        return torch.stack(found)

    def eigenvalues(self) -> list[complex]:
        """Of the continuous game at the equilibrium, by differentiating the vector field there."""

        def field(at: Tensor) -> Tensor:
            step = 1e-6
            columns = []
            for place in range(2):
                moved = torch.zeros(2, dtype=torch.float64)
                moved[place] = step
                up, down = (torch.stack(self.gradients(*(at + sign * moved))) for sign in (1, -1))
                columns.append(-(up - down) / (2 * step))
            return torch.stack(columns, 1)

        return sorted(torch.linalg.eigvals(field(torch.zeros(2, dtype=torch.float64))).tolist(), key=lambda v: v.imag)

    def expected(self) -> list[complex]:
        slope = 1.0 if self.loss == "wasserstein" else 0.5
        root = cmath.sqrt(self.gamma**2 - slope**2)
        return sorted([-self.gamma - root, -self.gamma + root], key=lambda value: value.imag)


GAMES = (
    Game("minimax", "minimax"),
    Game("non-saturating", "non-saturating"),
    Game("Wasserstein", "wasserstein"),
    Game("Wasserstein, clipped at 1", "wasserstein", clip=1.0),
    Game("Wasserstein, penalty on slopes ≠ 1", "wasserstein", one_centred=1.0),
    Game("relativistic, R1 and R2", "relativistic", gamma=0.3),
)


def main(figure: str = "docs/images/dirac_gan.png") -> None:
    canvas, grid = plt.subplots(2, 3, figsize=(10, 6.8), layout="constrained", sharex=True, sharey=True)
    axis = torch.linspace(-REACH, REACH, 17, dtype=torch.float64)
    theta, psi = torch.meshgrid(axis, axis, indexing="xy")
    for axes, game in zip(grid.flat, GAMES, strict=True):
        by_theta, by_psi = game.gradients(theta, psi)
        axes.quiver(theta, psi, -by_theta, -by_psi, color="#aaaaaa", angles="xy", width=0.004)
        for start, colour in zip(STARTS, COLOURS, strict=True):
            path = game.path(start)
            axes.plot(*path.T, color=colour, lw=0.9)
            axes.plot(*path[0], "o", color=colour, markersize=4)
            axes.plot(*path[-1], "s", color=colour, markersize=5, markeredgecolor="black")
        axes.plot(0, 0, "k+", markersize=10)
        last = float(torch.stack([game.path(start)[-50:, 0].abs().mean() for start in STARTS]).mean())
        axes.set_title(f"{game.title}\nmean $|\\theta|$ of the last 50 steps {last:.2g}", fontsize=10)
        axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")
        if game.one_centred:
            print(f"{game.title:36} no equilibrium at the data; |θ| {last:.3g}, expected {2 * game.one_centred:g}")
            continue
        measured, known = (", ".join(f"{v:.3f}" for v in values) for values in (game.eigenvalues(), game.expected()))
        print(f"{game.title:36} eigenvalues {measured}; expected {known}; |θ| {last:.3g}")
    for axes in grid[1]:
        axes.set_xlabel("generator θ")
    for axes in grid[:, 0]:
        axes.set_ylabel("critic ψ")
    canvas.savefig(figure, dpi=110)
    print(f"wrote {figure}")


if __name__ == "__main__":
    main(*sys.argv[1:])
