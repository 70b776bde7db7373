r"""Implicit methods for stiff problems, without Newton iterations.

A Rosenbrock method replaces the nonlinear equations of an implicit Runge-Kutta method by one linear system per stage,
with the Jacobian :math:`J = \partial f / \partial y` of each sample at the start of its step:

.. math::
    \left(\frac{1}{\gamma h} - J\right) u_i = f\!\left(t + \alpha_i h, y + \sum_{j<i} a_{ij} u_j\right)
    + \sum_{j<i} \frac{c_{ij}}{h} u_j + \gamma_i h \frac{\partial f}{\partial t}, \qquad y' = y + \sum_i m_i u_i.

RODAS is stiffly accurate and L-stable, of order four with an error estimate of order three (Hairer & Wanner, Solving
Ordinary Differential Equations II, sections IV.7 and IV.10).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.dynamics.runge_kutta import Step, VectorField, over, rows, weighted_sum
from pushforward.dynamics.tableau import Rows
from pushforward.errors import UsageError

__all__ = ["RODAS4", "Rosenbrock", "rosenbrock_step"]


@dataclass(frozen=True)
class Rosenbrock:
    """Coefficients in the form without products with the Jacobian."""

    name: str
    order: int
    gamma: float
    a: Rows
    c: Rows
    m: tuple[float, ...]
    error: tuple[float, ...]
    error_order: int
    alpha: tuple[float, ...]
    gammas: tuple[float, ...]
    reference: str

    @property
    def adaptive(self) -> bool:
        return True

    @property
    def calls(self) -> int:
        """Evaluations per step, the Jacobian not counted."""
        return len(self.m) + 1


_LAST = (6.019134481288629, 12.53708332932087, -0.6878860361058950)

RODAS4 = Rosenbrock(
    name="rodas4", order=4, gamma=0.25,
    a=(
        (),
        (1.544,),
        (0.9466785280815826, 0.2557011698983284),
        (3.314825187068521, 2.896124015972201, 0.9986419139977817),
        (1.221224509226641, *_LAST),
        (1.221224509226641, *_LAST, 1.0),
    ),
    c=(
        (),
        (-5.6688,),
        (-2.430093356833875, -0.2063599157091915),
        (-0.1073529058151375, -9.594562251023355, -20.47028614809616),
        (7.496443313967647, -10.24680431464352, -33.99990352819905, 11.70890893206160),
        (8.083246795921522, -7.981132988064893, -31.52159432874371, 16.31930543123136, -6.058818238834054),
    ),
    m=(1.221224509226641, *_LAST, 1.0, 1.0),
    error=(0.0, 0.0, 0.0, 0.0, 0.0, 1.0), error_order=3,
    alpha=(0.0, 0.386, 0.21, 0.63, 1.0, 1.0),
    gammas=(0.25, -0.1043, 0.1035, -0.0362, 0.0, 0.0),
    reference="Hairer & Wanner, Solving Ordinary Differential Equations II, RODAS (1996)",
)  # fmt: skip


def jacobian(field: VectorField, t: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Value (batch, n), Jacobian (batch, n, n) and time derivative (batch, n) of the field at states (batch, ...).

    Raises:
        UsageError: if the field writes in place, which cannot be differentiated.
    """
    size = math.prod(y.shape[1:])
    basis = torch.eye(size, dtype=y.dtype, device=y.device).reshape(size, 1, *y.shape[1:]).expand(size, *y.shape)

    def along(direction: Tensor) -> Tensor:
        return torch.func.jvp(lambda state: field(t, state), (y,), (direction,))[1]

    try:
        value, by_time = torch.func.jvp(lambda time: field(time, y), (t.clone(),), (torch.ones_like(t),))  # type: ignore[misc]
    except RuntimeError as problem:
        if "in-place" not in str(problem):
            raise
        raise UsageError(
            "an implicit method differentiates the vector field, but the field writes into a tensor in place; return "
            "a new tensor, or use an explicit method such as dopri5"
        ) from None
    columns = torch.func.vmap(lambda direction: rows(along(direction)))(basis)
    return rows(value), columns.movedim(0, 2), rows(by_time)


def rosenbrock_step(
    method: Rosenbrock, field: VectorField, t: Tensor, y: Tensor, dt: Tensor, start: Tensor | None, with_end: bool
) -> Step:
    """One step of length ``dt``, with the arguments of `rk_step`; ``start`` is ignored."""
    value, by_state, by_time = jacobian(field, t, y)
    still = dt == 0
    length = torch.where(still, 1.0, dt)
    flat = rows(y)
    identity = torch.eye(flat.shape[1], dtype=y.dtype, device=y.device)
    factors, pivots = torch.linalg.lu_factor(identity / (method.gamma * length[:, None, None]) - by_state)
    stages: list[Tensor] = []
    for i, alpha in enumerate(method.alpha):
        right = value
        if i:
            point = (flat + weighted_sum(method.a[i], stages)).reshape(y.shape)
            right = rows(field(t + alpha * dt, point)) + weighted_sum(method.c[i], stages) / length[:, None]
        right = right + dt[:, None] * method.gammas[i] * by_time
        stages.append(torch.linalg.lu_solve(factors, pivots, right[..., None])[..., 0])
    y1 = torch.where(over(still, y), y, y + weighted_sum(method.m, stages).reshape(y.shape))
    with torch.no_grad():
        error = torch.where(over(still, y), 0.0, weighted_sum(method.error, stages).reshape(y.shape))
    end = field(t + dt, y1) if with_end else None
    return Step(field, t, dt, y, y1, [value.reshape(y.shape)], end, (error,))
