"""One library on one problem, and how each library is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

TOLERANCE = 1e-5

Field = Callable[..., Tensor]


@dataclass
class Case:
    """A library on a problem.

    Attributes:
        forward: solve; returns the states at the end, None if there are none.
        train: solve, and the gradient of a loss.
        evaluations: of the vector field in one solve: (calls of the whole batch, mean over the samples).
    """

    library: str
    forward: Callable[[], Any]
    train: Callable[[], Any]
    evaluations: Callable[[], tuple[float, float]]


@dataclass
class Problem:
    """An initial value problem in PyTorch, and the cases of the libraries that solve it.

    Fields are given as functions that make one, called once in each solve.

    Attributes:
        y0, t: initial states, and the two ends of time.
        loss: of the states at the end.
        wanted: what the loss is differentiated for.
        args: what samples differ in, as arguments of the field; a row a sample.
    """

    y0: Tensor
    t: Tensor
    loss: Callable[[Tensor], Tensor]
    wanted: Sequence[Tensor]
    args: tuple[Tensor, ...] = ()

    def ours(self, name: str, make: Callable[[], Field], **options: Any) -> Case:
        """Finished samples leave the batch; ``options`` are of `odeint`."""

        from pushforward.dynamics import odeint

        common: dict[str, Any] = {"rtol": TOLERANCE, "atol": TOLERANCE, "args": self.args}

        def evaluations() -> tuple[float, float]:
            calls, solution = _counted(lambda field: odeint(field, self.y0, self.t, **common), make)
            return calls, float(solution.stats.evaluations.double().mean())

        def solve() -> Tensor:
            return odeint(make(), self.y0, self.t, rowwise=True, **common, **options).y[-1]

        return self._case(f"pushforward, {name}", solve, evaluations)

    def torchdiffeq(self, name: str, make: Callable[[], Field], adjoint: bool = False) -> Case:
        """Direct gradients, or the adjoint's for what is wanted."""

        def solve(field: Field) -> Tensor:
            import torchdiffeq

            options = {"rtol": TOLERANCE, "atol": TOLERANCE, "method": "dopri5"}
            if adjoint and torch.is_grad_enabled():
                parameters = tuple(self.wanted)
                return torchdiffeq.odeint_adjoint(field, self.y0, self.t, adjoint_params=parameters, **options)[-1]
            return torchdiffeq.odeint(field, self.y0, self.t, **options)[-1]

        def evaluations() -> tuple[float, float]:
            calls, _ = _counted(solve, make)
            return calls, calls

        return self._case(f"torchdiffeq, {name}", lambda: solve(make()), evaluations)

    def torchode(self, name: str, make: Callable[[], Field]) -> Case:
        def solve(field: Field) -> Any:
            import torchode

            term = torchode.ODETerm(field)
            controller = torchode.IntegralController(atol=TOLERANCE, rtol=TOLERANCE, term=term)
            solver = torchode.AutoDiffAdjoint(torchode.Dopri5(term=term), controller)
            times = self.t.expand(len(self.y0), -1)
            return solver.solve(torchode.InitialValueProblem(y0=self.y0, t_eval=times))

        def evaluations() -> tuple[float, float]:
            calls, solution = _counted(solve, make)
            # its statistics count every call for every sample; a sample needs six a step and two to begin
            return calls, float((6 * solution.stats["n_steps"].double() + 2).mean())

        return self._case(f"torchode, {name}", lambda: solve(make()).ys[:, -1], evaluations)

    def alone(self, name: str, make: Callable[[], Field]) -> Case:
        """The field by itself at the places where our solver evaluates it, one after the other: the floor of a solve,
        and for training of a gradient."""
        calls: list[tuple[Tensor, ...]] = []

        def record(*inputs: Tensor) -> Tensor:
            calls.append(tuple(x.detach().clone() for x in inputs))
            return field(*inputs)

        with torch.no_grad():
            field = make()
            self.ours("", lambda: record).forward()
        rows = sum(len(y) for _, y, *_ in calls) / len(self.y0)

        def forward() -> None:
            with torch.no_grad():
                field = make()
                for inputs in calls:
                    field(*inputs)

        def train() -> None:
            field = make()
            starts = [(t, y.requires_grad_(), *(x.requires_grad_() for x in args)) for t, y, *args in calls]
            values = [field(*inputs) for inputs in starts]
            inputs = [x for _, *others in starts for x in others] + ([] if self.args else list(self.wanted))
            torch.autograd.grad(values, inputs, [torch.ones_like(value) for value in values])

        return Case(f"field alone, {name}", forward, train, lambda: (len(calls), rows))

    def _case(self, name: str, solve: Callable[[], Tensor], evaluations: Callable[[], tuple[float, float]]) -> Case:
        def forward() -> Tensor:
            with torch.no_grad():
                return solve()

        return Case(name, forward, lambda: torch.autograd.grad(self.loss(solve()), self.wanted), evaluations)


def _counted(solve: Callable[[Field], Any], make: Callable[[], Field]) -> tuple[int, Any]:
    """Number of calls of the field in a solve, and the result."""
    calls = 0

    def counted(*inputs: Any) -> Tensor:
        nonlocal calls
        calls += 1
        return field(*inputs)

    with torch.no_grad():
        field = make()
        solution = solve(counted)
    return calls, solution


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
