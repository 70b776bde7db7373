"""A thousand Van der Pol oscillators, each with a stiffness of its own, from 0.1 to 30."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.ode_problems.case import Case, Problem, by_diffrax
from pushforward.dynamics import odeint

COUNT, SPAN = 1000, (0.0, 10.0)
NOTES = (
    "Stiffness from 0.1 to 30. Training: the gradient for the initial state and stiffness of every oscillator.",
    "Field alone: the evaluations of pushforward's solve, one after the other and without a solver.",
)


def start() -> tuple[np.ndarray, np.ndarray]:
    """States and stiffness of all oscillators."""
    y0 = np.random.default_rng(0).normal(size=(COUNT, 2)) * 0.5 + np.array([2.0, 0.0])
    return y0.astype(np.float32), np.logspace(-1, 1.5, COUNT).astype(np.float32)


def van_der_pol(t: Tensor, y: Tensor, stiffness: Tensor) -> Tensor:
    x, v = y.unbind(1)
    return torch.stack([v, stiffness * (1 - x * x) * v - x], 1)


def exact() -> Tensor:
    """The ends, to many more digits than the solvers are asked for."""
    y0, mu = (torch.tensor(x).double() for x in start())
    t = torch.tensor(SPAN)
    return odeint(van_der_pol, y0, t, method="dopri8", rtol=1e-10, atol=1e-10, args=(mu,), rowwise=True).y[-1]


def cases() -> list[Case]:
    y0, mu = (torch.tensor(x).requires_grad_() for x in start())
    t = torch.tensor(SPAN)

    problem = Problem(y0, t, torch.sum, (y0, mu), (mu,))

    def held(t: Tensor, y: Tensor) -> Tensor:
        return van_der_pol(t, y, mu)

    return [
        problem.ours("direct", lambda: van_der_pol),
        problem.ours("direct, compiled", lambda: van_der_pol, compile=True),
        problem.torchdiffeq("direct", lambda: held),
        problem.torchode("direct", lambda: held),
        _diffrax(),
        problem.alone("not compiled", lambda: van_der_pol),
    ]


def _diffrax() -> Case:
    import jax
    import jax.numpy as jnp

    y0, mu = (jnp.asarray(x) for x in start())

    def field(t: Any, y: Any, mu: Any) -> Any:
        x, v = y
        return jnp.stack([v, mu * (1 - x * x) * v - x])

    def solve(y0: Any, mu: Any) -> Any:
        solution = jax.vmap(lambda y, m: by_diffrax(field, y, SPAN, m, 2048))(y0, mu)
        return solution.ys[:, 0], solution.stats["num_steps"]

    forward, train = jax.jit(solve), jax.jit(jax.grad(lambda y, m: solve(y, m)[0].sum(), argnums=(0, 1)))

    def evaluations() -> tuple[float, float]:
        steps = forward(y0, mu)[1]
        return float(6 * steps.max() + 2), float(6 * steps.mean() + 2)

    return Case(
        "diffrax, jit, vmap",
        lambda: jax.block_until_ready(forward(y0, mu))[0],
        lambda: jax.block_until_ready(train(y0, mu)),
        evaluations,
    )
