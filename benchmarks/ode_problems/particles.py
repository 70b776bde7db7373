"""Thirteen particles in space whose velocity is an equivariant graph network: 2 layers, 32 features, batch 16.

The network is that of Satorras, Hoogeboom & Welling 2021 (arXiv:2102.09844) in its plainest form: messages of squared
distances and features, positions moved along the differences.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.ode_problems.case import Case, Problem
from pushforward.dynamics import odeint

BATCH, COUNT, FEATURES, LAYERS, SPAN = 16, 13, 32, 2, (0.0, 1.0)
GAIN = 20.0  # of the velocities: particles move by about their distance

NOTES = (
    "Batch of 16, 2 layers of 32 features. Training: the gradient of the mean square for the parameters.",
    "Field alone: the evaluations of pushforward's solve, one after the other and without a solver. It is most of "
    "the time of every solver: none can be much faster than another here, but by compiling the field.",
)


class GraphVelocity(nn.Module):
    """Velocities of particles from all pairs; takes and gives (batch, 3 * particles)."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Linear(1, FEATURES)
        self.edge = nn.ModuleList(
            nn.Sequential(nn.Linear(2 * FEATURES + 1, FEATURES), nn.SiLU(), nn.Linear(FEATURES, FEATURES), nn.SiLU())
            for _ in range(LAYERS)
        )
        self.push = nn.ModuleList(
            nn.Sequential(nn.Linear(FEATURES, FEATURES), nn.SiLU(), nn.Linear(FEATURES, 1), nn.Tanh())
            for _ in range(LAYERS)
        )
        self.node = nn.ModuleList(nn.Linear(2 * FEATURES, FEATURES) for _ in range(LAYERS - 1))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        start = y.reshape(-1, COUNT, 3)
        x = start
        h = self.start(t.expand(len(x))[:, None, None]).expand(-1, COUNT, -1)
        for edge, push, node in zip(self.edge, self.push, [*self.node, None], strict=True):
            difference = x[:, :, None] - x[:, None]
            square = difference.square().sum(-1, keepdim=True)
            pairs = (-1, COUNT, COUNT, FEATURES)
            message = edge(torch.cat([h[:, :, None].expand(pairs), h[:, None].expand(pairs), square], -1))
            x = x + (difference / (square + 1).sqrt() * push(message)).sum(2) / (COUNT - 1)
            if node is not None:
                h = h + torch.nn.functional.silu(node(torch.cat([h, message.sum(2) / (COUNT - 1)], -1)))
        velocity = GAIN * (x - start)
        return (velocity - velocity.mean(1, keepdim=True)).reshape(y.shape)


def start() -> tuple[GraphVelocity, Tensor]:
    """The network and the first positions."""
    torch.manual_seed(0)
    return GraphVelocity(), torch.randn(BATCH, 3 * COUNT)


def exact() -> Tensor:
    """The ends, to many more digits than the solvers are asked for."""
    network, y0 = start()
    with torch.no_grad():
        t = torch.tensor(SPAN)
        return odeint(network.double(), y0.double(), t, method="dopri8", rtol=1e-11, atol=1e-11).y[-1]


def cases() -> list[Case]:
    network, y0 = start()
    parameters = list(network.parameters())
    problem = Problem(y0, torch.tensor(SPAN), lambda end: end.square().sum(1).mean(), parameters)

    def field() -> GraphVelocity:
        return network

    return [
        problem.ours("direct", field),
        problem.ours("adjoint", field, gradient="adjoint"),
        problem.ours("direct, compiled", field, compile=True),
        problem.torchdiffeq("direct", field),
        problem.torchdiffeq("adjoint", field, adjoint=True),
        problem.torchode("direct", field),
        problem.alone("not compiled", field),
    ]
