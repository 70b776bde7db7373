"""A residual network and a neural ODE learn the same map of the line (Bishop and Bishop 2024, figure 18.5).

    python examples/neural_ode_vs_resnet.py [FIGURE]

A residual network moves its state in a fixed number of steps. A neural ODE has a vector field at every depth, and a
solver evaluates it where it must: each path has its own steps, short where the field bends, long where it is smooth.
Circles beside a path are where the solver looked before it knew better.
Paths of an ODE never cross, so both learn a map that rises everywhere.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from pushforward.dynamics import NeuralODE

LAYERS = 6
STEPS = 800
FIGURE = Path(__file__).parent.parent / "docs" / "images" / "neural_ode_vs_resnet.png"


def wanted(x: Tensor) -> Tensor:
    """The map to learn: it tears the line apart at zero, and gathers it at two places."""
    return 1.2 * torch.tanh(2.5 * x)


class Field(nn.Module):
    """Velocity of a state at a depth; keeps where it was evaluated, if it is given a list."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1)
        )
        self.visited: list[tuple[Tensor, Tensor]] | None = None

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        if self.visited is not None:
            self.visited.append((t.detach().clone(), y.detach().clone()))
        return self.layers(torch.cat([y, t.expand(len(y))[:, None]], 1))


class ResidualNetwork(nn.Module):
    """As many layers as steps, each with weights of its own."""

    def __init__(self, layers: int = LAYERS, width: int = 16) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, 1)) for _ in range(layers)
        )

    def path(self, y: Tensor) -> Tensor:
        """States after each layer, shape (1 + layers, batch, 1)."""
        states = [y]
        for block in self.blocks:
            states.append(states[-1] + block(states[-1]))
        return torch.stack(states)

    def forward(self, y: Tensor) -> Tensor:
        return self.path(y)[-1]


def train(network: nn.Module) -> float:
    """Root mean square error of the map after training."""
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        x = 3 * torch.rand(128, 1) - 1.5
        loss = (network(x) - wanted(x)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    x = torch.linspace(-1.5, 1.5, 301)[:, None]
    with torch.no_grad():
        return float((network.eval()(x) - wanted(x)).square().mean().sqrt())


def draw(residual: ResidualNetwork, flow: NeuralODE, errors: tuple[float, float], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    field = flow.field
    starts = torch.linspace(-1.4, 1.4, 15)[:, None]
    with torch.no_grad():
        layers = residual.path(starts)[..., 0]
        field.visited = []
        solution = flow.solve(starts, dense=True)
        visited, field.visited = field.visited, None
        depth = torch.linspace(0, 1, 200)
        paths = solution(depth)[..., 0]
        grid_t, grid_y = torch.meshgrid(torch.linspace(0, 1, 17), torch.linspace(-1.6, 1.6, 17), indexing="ij")
        velocity = field(grid_t.reshape(-1), grid_y.reshape(-1, 1)).reshape(grid_t.shape)

    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 5.4), layout="constrained")
    colours = plt.cm.viridis(torch.linspace(0.05, 0.9, len(starts)).numpy())
    # at every layer, how far each state would move: nothing is defined in between
    for layer, block in enumerate(residual.blocks):
        y = torch.linspace(-1.6, 1.6, 17)[:, None]
        with torch.no_grad():
            move = block(y)[:, 0]
        left.quiver(
            y[:, 0], torch.full((17,), float(layer)), move, torch.ones(17), angles="xy", scale_units="xy", scale=2.2,
            width=0.003, color="#b7bcc3",
        )  # fmt: skip
    for number, colour in enumerate(colours):
        left.plot(layers[:, number], range(LAYERS + 1), "-", color=colour, lw=1.3)
        left.plot(layers[:, number], range(LAYERS + 1), "o", color=colour, ms=4)
        right.plot(paths[:, number], depth, "-", color=colour, lw=1.3)
    right.quiver(
        grid_y, grid_t, velocity, torch.ones_like(velocity), angles="xy", scale_units="xy", scale=20, width=0.003,
        color="#b7bcc3",
    )  # fmt: skip
    for t, y in visited:
        right.scatter(y[:, 0], t.expand(len(y)), s=9, facecolor="white", edgecolor=colours, lw=0.9, zorder=3)
    evaluations = solution.stats.evaluations
    left.set(
        title=f"Residual network, {LAYERS} layers\nerror {errors[0]:.4f}", xlabel="state", ylabel="layer",
        ylim=(-0.1, LAYERS + 0.15),
    )  # fmt: skip
    right.set(
        title=f"Neural ODE, {int(evaluations.min())} to {int(evaluations.max())} evaluations a path (circles)\n"
        f"error {errors[1]:.4f}",
        xlabel="state", ylabel="depth t", xlim=(-1.75, 1.75), ylim=(-0.017, 1.025),
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def main() -> None:
    torch.manual_seed(0)
    residual, flow = ResidualNetwork(), NeuralODE(Field(), rtol=1e-3, evaluation_rtol=1e-4)
    errors = train(residual), train(flow)
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else FIGURE
    draw(residual, flow, errors, path)
    print(f"root mean square errors: residual network {errors[0]:.4f}, neural ODE {errors[1]:.4f}; {path}")


if __name__ == "__main__":
    main()
