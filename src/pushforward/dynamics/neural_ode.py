r"""A neural ODE: a network as a vector field, and its flow as a layer.

A residual network moves its state in steps, :math:`y_{l+1} = y_l + f_l(y_l)`. In the limit of many small steps the
state follows

.. math:: \frac{dy}{dt} = f(t, y; w), \qquad y(t_0) \mapsto y(t_1),

an invertible map for any network; the solver takes more steps where the field varies fast. Source: Chen, Rubanova,
Bettencourt and Duvenaud 2018 (arXiv:1806.07366).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.dynamics.control import Controller
from pushforward.dynamics.odeint import odeint
from pushforward.dynamics.solution import Solution, Statistics
from pushforward.dynamics.solver import Gradient
from pushforward.errors import UsageError

__all__ = ["NeuralODE"]


class NeuralODE(nn.Module):
    """The flow of a vector field from one time to another, (batch, ...) to (batch, ...).

    The tolerance is loose in training and tight in evaluation: a gradient averaged over batches need not be exact, but
    reported numbers should not depend on the solver.

    Arguments:
        field: ``field(t, y) -> dy/dt`` with t (batch,) and y, dy/dt (batch, ...); samples must not mix.
        span: times of the input and of the output; the second may be the smaller one.
        method: of `odeint`; an adaptive one.
        rtol, atol: tolerance in training; None sets ``atol`` to ``rtol``.
        evaluation_rtol, evaluation_atol: the same in evaluation (after ``eval()``).
        gradient: ``adjoint`` (memory constant in depth), ``checkpointed`` (the gradient of the steps themselves, in
            the memory of a few states) or ``direct`` (the fastest, and the only one that supports a field that closes
            over tensors of the graph).
        controller: step-size control.

    Attributes:
        stats: work per sample in the latest call; None before the first.

    Raises:
        UsageError: if the span is empty, or a tolerance is not positive.

    References:
        Chen et al. 2018, https://arxiv.org/abs/1806.07366

    >>> from pushforward.dynamics import NeuralODE
    >>> class Rotation(nn.Module):
    ...     def forward(self, t, y):
    ...         return torch.stack([-y[:, 1], y[:, 0]], 1)
    >>> quarter = NeuralODE(Rotation(), span=(0.0, torch.pi / 2)).eval()
    >>> bool((quarter(torch.tensor([[1.0, 0.0]])) - torch.tensor([[0.0, 1.0]])).abs().max() < 1e-5)
    True
    """

    def __init__(
        self,
        field: nn.Module,
        span: tuple[float, float] = (0.0, 1.0),
        *,
        method: str = "dopri5",
        rtol: float = 1e-3,
        atol: float | None = None,
        evaluation_rtol: float = 1e-6,
        evaluation_atol: float | None = None,
        gradient: Gradient = "adjoint",
        controller: Controller | None = None,
    ) -> None:
        super().__init__()
        if span[0] == span[1]:
            raise UsageError(f"the span of a neural ODE is empty: {span[0]:g} to {span[1]:g}; give two different times")
        self.field = field
        self.span = (float(span[0]), float(span[1]))
        self.method = method
        self.gradient = gradient
        self.controller = controller
        self.tolerances = (rtol, rtol if atol is None else atol)
        self.evaluation_tolerances = (evaluation_rtol, evaluation_rtol if evaluation_atol is None else evaluation_atol)
        if min(*self.tolerances, *self.evaluation_tolerances) <= 0:
            raise UsageError("the tolerances of a neural ODE must be positive")
        self.stats: Statistics | None = None

    def forward(self, y: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Map states at the start of the span to its end."""
        return self.solve(y).y[-1]

    def inverse(self, y: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Map states at the end of the span to its start, by the same field in reversed time."""
        return self.solve(y, torch.tensor(self.span[::-1], dtype=torch.float64)).y[-1]

    def solve(self, y: Float[Tensor, "batch *shape"], t: Tensor | None = None, *, dense: bool = False) -> Solution:
        """The solution at any output times, with the solver's statistics.

        Arguments:
            y: states at the first time.
            t: output times, shape ``(T,)`` or ``(batch, T)``; None for the span's two ends.
            dense: keep the trajectory, so that the solution can be called at any time; uses the direct gradient.

        Raises:
            IntegrationError: if a sample cannot be integrated to its end.
        """
        rtol, atol = self.tolerances if self.training else self.evaluation_tolerances
        times = torch.tensor(self.span, dtype=y.dtype, device=y.device) if t is None else t
        solution = odeint(
            self.field,
            y,
            times,
            method=self.method,
            rtol=rtol,
            atol=atol,
            gradient="direct" if dense else self.gradient,
            controller=self.controller,
            dense=dense,
        )
        self.stats = solution.stats
        return solution

    def extra_repr(self) -> str:
        (rtol, _), (tight, _) = self.tolerances, self.evaluation_tolerances
        return f"span={self.span}, method={self.method}, rtol={rtol:g} (evaluation {tight:g}), gradient={self.gradient}"
