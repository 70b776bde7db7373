"""A continuous normalizing flow of two dimensions with its exact divergence: hidden layers 64-64-64, batch 512."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.ode_problems.case import Case, Problem, by_diffrax
from pushforward.dynamics import PerceptronFlow, odeint

BATCH, WIDTHS, SPAN = 512, (3, 64, 64, 64, 2), (0.0, 1.0)
GAIN = 1.5  # of the weights: at 1 the flow is nearly the identity, and the solver has nothing to do

NOTES = (
    "2-D FFJORD: hidden layers 64-64-64, batch 512, state and log-density; training is the gradient of the negative "
    "log-likelihood for the parameters.",
    "One vector field, four ways to its divergence, all exact. FFJORD: a gradient for each dimension, as its users "
    "write it. Tangents: both unit vectors are pushed through the layers, in plain PyTorch. PerceptronFlow: the same "
    "by pushforward's own forward and backward pass; any library can call it, and rows show what it does for them. "
    "diffrax linearises and pushes the unit vectors.",
    "Field alone: the evaluations of pushforward's solve, one after the other and without a solver. It is most of the "
    "time of every solver in PyTorch: what makes the difference is the field, not the solver. XLA compiles field and "
    "solver into one program and calls nothing from Python: that is why diffrax is faster forwards, though all its "
    "samples wait for the last.",
)


class Velocity(nn.Module):
    """A perceptron of (y, t) with hyperbolic tangents; weights from numpy, so that every library has the same."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for weight in weights():
            layer = nn.Linear(*weight.shape)
            layer.weight.data = torch.tensor(weight.T.copy())
            nn.init.zeros_(layer.bias)
            self.layers.append(layer)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        h = torch.cat([y, t.expand(len(y))[:, None]], 1)
        for layer in self.layers[:-1]:
            h = torch.tanh(layer(h))
        return self.layers[-1](h)


def weights() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(rng.normal(size=(a, b)) * GAIN / np.sqrt(a)).astype(np.float32) for a, b in pairwise(WIDTHS)]


def points() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(BATCH, 2)).astype(np.float32)


class ByLoop(nn.Module):
    """The divergence as FFJORD computes it: a gradient for each dimension."""

    def __init__(self, velocity: Velocity) -> None:
        super().__init__()
        self.velocity = velocity

    def forward(self, t: Tensor, state: Tensor) -> Tensor:
        wanted = torch.is_grad_enabled()
        with torch.enable_grad():
            y = state[:, :2] if state.requires_grad else state[:, :2].detach().requires_grad_()
            value = self.velocity(t, y)
            divergence = torch.zeros(len(y))
            for i in range(2):
                (row,) = torch.autograd.grad(value[:, i].sum(), y, create_graph=wanted, retain_graph=True)
                divergence = divergence + row[:, i]
            out = torch.cat([value, divergence[:, None]], 1)
        return out if wanted else out.detach()


class ByTangents(nn.Module):
    """The same divergence by pushing both unit vectors through the layers along with the state."""

    def __init__(self, velocity: Velocity) -> None:
        super().__init__()
        self.velocity = velocity

    def forward(self, t: Tensor, state: Tensor) -> Tensor:
        *hidden, last = self.velocity.layers
        first, *rest = hidden
        h = torch.tanh(first(torch.cat([state[:, :2], t.expand(len(state))[:, None]], 1)))
        tangents = torch.addcmul(first.weight[:, :2].T[:, None], h * h, first.weight[:, :2].T[:, None], value=-1)
        for layer in rest:
            h = torch.tanh(layer(h))
            pushed = nn.functional.linear(tangents.flatten(0, 1), layer.weight).unflatten(0, (2, -1))
            tangents = torch.addcmul(pushed, h * h, pushed, value=-1)
        divergence = (tangents * last.weight[:, None]).sum((0, 2))
        return torch.cat([last(h), divergence[:, None]], 1)


def loss(end: Tensor) -> Tensor:
    return (0.5 * end[:, :2].square().sum(1) - end[:, 2]).mean()


def exact() -> Tensor:
    """The ends, to many more digits than the solvers are asked for."""
    field = ByTangents(Velocity()).double()
    y0 = nn.functional.pad(torch.tensor(points()).double(), (0, 1))
    with torch.no_grad():
        return odeint(field, y0, torch.tensor(SPAN), method="dopri8", rtol=1e-11, atol=1e-11).y[-1]


def cases() -> list[Case]:
    velocity = Velocity()
    loop, tangents = ByLoop(velocity), ByTangents(velocity)
    weights, biases = zip(*((layer.weight, layer.bias) for layer in velocity.layers), strict=True)
    y0, t = nn.functional.pad(torch.tensor(points()), (0, 1)), torch.tensor(SPAN)
    problem = Problem(y0, t, loss, list(velocity.parameters()))

    def flow() -> PerceptronFlow:
        return PerceptronFlow(weights, biases)

    return [
        problem.ours("direct, PerceptronFlow", flow),
        problem.ours("adjoint, PerceptronFlow", flow, gradient="adjoint", parameters=problem.wanted),
        problem.ours("direct, tangents", lambda: tangents),
        problem.ours("adjoint, tangents", lambda: tangents, gradient="adjoint"),
        problem.ours("direct, tangents, compiled", lambda: tangents, compile=True),
        problem.torchdiffeq("direct, FFJORD", lambda: loop),
        problem.torchdiffeq("adjoint, FFJORD", lambda: loop, adjoint=True),
        problem.torchdiffeq("direct, tangents", lambda: tangents),
        problem.torchdiffeq("direct, PerceptronFlow", flow),
        problem.torchdiffeq("adjoint, PerceptronFlow", flow, adjoint=True),
        problem.torchode("direct, FFJORD", lambda: loop),
        problem.torchode("direct, PerceptronFlow", flow),
        _diffrax(),
        problem.alone("PerceptronFlow", flow),
        problem.alone("tangents", lambda: tangents),
    ]


def _diffrax() -> Case:
    import jax
    import jax.numpy as jnp

    parameters = [(jnp.asarray(weight), jnp.zeros(weight.shape[1])) for weight in weights()]
    y0 = jnp.pad(jnp.asarray(points()), ((0, 0), (0, 1)))

    def velocity(parameters: Any, t: Any, y: Any) -> Any:
        h = jnp.concatenate([y, jnp.asarray(t)[None]])
        for weight, bias in parameters[:-1]:
            h = jnp.tanh(h @ weight + bias)
        weight, bias = parameters[-1]
        return h @ weight + bias

    def field(t: Any, state: Any, parameters: Any) -> Any:
        y = state[:2]
        value, push = jax.linearize(lambda y: velocity(parameters, t, y), y)
        jacobian = jax.vmap(push)(jnp.eye(2))
        return jnp.concatenate([value, jnp.trace(jacobian)[None]])

    def solve(parameters: Any, y0: Any) -> Any:
        solution = jax.vmap(lambda y: by_diffrax(field, y, SPAN, parameters, 64))(y0)
        return solution.ys[:, 0], solution.stats["num_steps"]

    def loss(parameters: Any, y0: Any) -> Any:
        end, _ = solve(parameters, y0)
        return (0.5 * (end[:, :2] ** 2).sum(1) - end[:, 2]).mean()

    forward, train = jax.jit(solve), jax.jit(jax.grad(loss))

    def evaluations() -> tuple[float, float]:
        steps = forward(parameters, y0)[1]
        return float(6 * steps.max() + 2), float(6 * steps.mean() + 2)

    return Case(
        "diffrax, jit, vmap",
        lambda: jax.block_until_ready(forward(parameters, y0))[0],
        lambda: jax.block_until_ready(train(parameters, y0)),
        evaluations,
    )
