"""One library on one problem, and how each library is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

TOLERANCE = 1e-5


@dataclass
class Case:
    """A library on a problem.

    Attributes:
        forward: solve; returns the states at the end.
        train: solve, and the gradient of a loss.
        evaluations: of the vector field in one solve: (calls of the whole batch, mean over the samples).
    """

    library: str
    forward: Callable[[], Any]
    train: Callable[[], Any]
    evaluations: Callable[[], tuple[float, float]]


class Counted:
    """A vector field that counts its calls."""

    def __init__(self, field: Callable[..., Tensor]) -> None:
        self.field = field
        self.calls = 0

    def __call__(self, *args: Any) -> Tensor:
        self.calls += 1
        return self.field(*args)


def by_pushforward(field: Callable[..., Tensor], y0: Tensor, t: Tensor, **options: Any) -> Tensor:
    from pushforward.dynamics import odeint

    return odeint(field, y0, t, rtol=TOLERANCE, atol=TOLERANCE, **options).y[-1]


def count_pushforward(field: Callable[..., Tensor], y0: Tensor, t: Tensor, **options: Any) -> tuple[float, float]:
    from pushforward.dynamics import odeint

    counted = Counted(field)
    with torch.no_grad():
        solution = odeint(counted, y0, t, rtol=TOLERANCE, atol=TOLERANCE, **options)
    return counted.calls, float(solution.stats.evaluations.double().mean())


def by_torchdiffeq(field: Callable[..., Tensor], y0: Tensor, t: Tensor, *, adjoint: Any = None) -> Tensor:
    """Direct gradients, or the adjoint's where ``adjoint`` gives the parameters."""
    import torchdiffeq

    if adjoint is None:
        return torchdiffeq.odeint(field, y0, t, rtol=TOLERANCE, atol=TOLERANCE, method="dopri5")[-1]
    return torchdiffeq.odeint_adjoint(
        field, y0, t, rtol=TOLERANCE, atol=TOLERANCE, method="dopri5", adjoint_params=tuple(adjoint)
    )[-1]


def count_torchdiffeq(field: Callable[..., Tensor], y0: Tensor, t: Tensor) -> tuple[float, float]:
    counted = Counted(field)
    with torch.no_grad():
        by_torchdiffeq(counted, y0, t)
    return counted.calls, counted.calls


def by_torchode(field: Callable[..., Tensor], y0: Tensor, t: Tensor) -> Any:
    """torchode's solution; the state must be (batch, features)."""
    import torchode

    term = torchode.ODETerm(field)
    controller = torchode.IntegralController(atol=TOLERANCE, rtol=TOLERANCE, term=term)
    solver = torchode.AutoDiffAdjoint(torchode.Dopri5(term=term), controller)
    return solver.solve(torchode.InitialValueProblem(y0=y0, t_eval=t.expand(len(y0), -1)))


def count_torchode(field: Callable[..., Tensor], y0: Tensor, t: Tensor) -> tuple[float, float]:
    counted = Counted(field)
    with torch.no_grad():
        solution = by_torchode(counted, y0, t)
    # its statistics count every call for every sample; a sample needs six a step and two to begin
    steps = solution.stats["n_steps"].double()
    return counted.calls, float((6 * steps + 2).mean())


def by_diffrax(field: Callable[..., Any], y0: Any, t: tuple[float, float], args: Any, max_steps: int) -> Any:
    """One sample's solution: for `jax.vmap`."""
    import diffrax

    return diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Dopri5(),
        *t,
        None,
        y0,
        args=args,
        stepsize_controller=diffrax.PIDController(rtol=TOLERANCE, atol=TOLERANCE),
        saveat=diffrax.SaveAt(t1=True),
        max_steps=max_steps,
    )
