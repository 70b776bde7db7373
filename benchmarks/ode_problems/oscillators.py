"""A thousand Van der Pol oscillators, each with a stiffness of its own, from 0.1 to 30."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.ode_problems.case import (
    Case,
    by_diffrax,
    by_pushforward,
    by_torchdiffeq,
    by_torchode,
    count_pushforward,
    count_torchdiffeq,
    count_torchode,
)
from pushforward.dynamics import odeint

COUNT, SPAN = 1000, (0.0, 10.0)
NOTES = ("Stiffness from 0.1 to 30. Training: the gradient for the initial state and stiffness of every oscillator.",)


def problem() -> tuple[np.ndarray, np.ndarray]:
    """States and stiffness of all oscillators."""
    y0 = np.random.default_rng(0).normal(size=(COUNT, 2)) * 0.5 + np.array([2.0, 0.0])
    return y0.astype(np.float32), np.logspace(-1, 1.5, COUNT).astype(np.float32)


def van_der_pol(t: Tensor, y: Tensor, stiffness: Tensor) -> Tensor:
    x, v = y.unbind(1)
    return torch.stack([v, stiffness * (1 - x * x) * v - x], 1)


def exact() -> Tensor:
    """The ends, to many more digits than the solvers are asked for."""
    y0, mu = (torch.tensor(x).double() for x in problem())
    t = torch.tensor(SPAN)
    return odeint(van_der_pol, y0, t, method="dopri8", rtol=1e-10, atol=1e-10, args=(mu,), rowwise=True).y[-1]


def cases() -> list[Case]:
    start, stiffness = (torch.tensor(x) for x in problem())
    y0, mu = start.clone().requires_grad_(), stiffness.clone().requires_grad_()
    t = torch.tensor(SPAN)

    def held(t: Tensor, y: Tensor) -> Tensor:
        return van_der_pol(t, y, mu)

    def case(name: str, solve: Any, evaluations: Any) -> Case:
        def forward() -> Tensor:
            with torch.no_grad():
                return solve()

        return Case(name, forward, lambda: torch.autograd.grad(solve().sum(), (y0, mu)), evaluations)

    def ours(name: str, **options: Any) -> Case:
        options |= {"args": (mu,), "rowwise": True}
        return case(
            f"pushforward, {name}",
            lambda: by_pushforward(van_der_pol, y0, t, **options),
            lambda: count_pushforward(van_der_pol, y0, t, args=(mu,)),
        )

    return [
        ours("direct"),
        ours("direct, compiled", compile=True),
        case("torchdiffeq, direct", lambda: by_torchdiffeq(held, y0, t), lambda: count_torchdiffeq(held, y0, t)),
        case("torchode, direct", lambda: by_torchode(held, y0, t).ys[:, -1], lambda: count_torchode(held, y0, t)),
        _diffrax(),
    ]


def _diffrax() -> Case:
    import jax
    import jax.numpy as jnp

    y0, mu = (jnp.asarray(x) for x in problem())

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
