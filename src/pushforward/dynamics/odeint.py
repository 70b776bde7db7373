"""Solve an initial value problem for a batch of samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pushforward.dynamics.adjoint import Adjoint
from pushforward.dynamics.checkpointed import Checkpointed
from pushforward.dynamics.control import Controller
from pushforward.dynamics.direction import Forwards, forwards
from pushforward.dynamics.events import Event
from pushforward.dynamics.fixed import integrate_fixed
from pushforward.dynamics.gradients import Rule, solve_with
from pushforward.dynamics.integrate import Accepted, Left, integrate
from pushforward.dynamics.methods import Method, find_method
from pushforward.dynamics.runge_kutta import VectorField
from pushforward.dynamics.solution import Solution, failure
from pushforward.dynamics.tableau import Tableau
from pushforward.errors import UsageError
from pushforward.tensors import is_wrapped

__all__ = ["odeint"]

Gradient = Literal["direct", "checkpointed", "adjoint"]


def odeint(
    field: VectorField,
    y0: Tensor,
    t: Tensor,
    *,
    method: str | Method = "dopri5",
    rtol: float | Tensor = 1e-6,
    atol: float | Tensor = 1e-6,
    gradient: Gradient = "direct",
    steps: int | None = None,
    checkpoints: int | None = None,
    controller: Controller | None = None,
    first_step: float | Tensor | None = None,
    max_steps: int = 10_000,
    dense: bool = False,
    event: Event | None = None,
    args: Sequence[Tensor] = (),
    rowwise: bool = False,
    compile: bool = False,
    parameters: Sequence[Tensor] | None = None,
    on_failure: Literal["raise", "return"] = "raise",
) -> Solution:
    r"""Solve :math:`dy/dt = f(t, y)` for every sample of a batch, each with its own steps.

    Arguments:
        field: ``field(t, y, *args) -> dy/dt`` with t (batch,) and y, dy/dt (batch, ...). A module or a plain function;
            samples must not mix.
        y0: initial states, shape ``(batch, ...)``, float32 or float64 on any device.
        t: output times, shape ``(T,)``, or ``(batch, T)`` for a time span of its own for every sample; monotonic in
            either direction, the first is the time of ``y0``. In the units of the field's time.
        method: ``euler``, ``midpoint``, ``heun``, ``rk4`` take ``steps`` equal steps between consecutive times;
            ``bosh3``, ``dopri5``, ``tsit5``, ``dopri8`` choose their steps; so does ``rodas4``, for stiff problems.
        rtol, atol: relative and absolute tolerance of a step, numbers or one a sample (batch,) shaped to broadcast.
        gradient: ``direct`` differentiates through the steps; ``checkpointed`` too, in the memory of ``checkpoints``
            states; ``adjoint`` solves the adjoint equation backwards in constant memory, as exact as the tolerance.
        first_step: length of the first step, chosen from the field where None.
        dense: keep the trajectory, so that the solution can be called at any time.
        event: ``event(t, y) -> (batch,)``; a sample stops where it changes sign, at ``solution.t_end``.
        args: tensors of a row a sample, handed to the field: the constants that samples differ in.
        rowwise: the field holds nothing that has a row a sample but its ``args``, so that finished samples may leave
            the batch.
        compile: compile the steps, field included, by `torch.compile`: seconds to a minute once for each field and
            shape, then faster where steps are made of small operations. Without gradients, events and inner output
            times all steps are one loop.
        parameters: tensors to differentiate for by ``checkpointed`` and ``adjoint``; found by themselves where None.
        on_failure: ``return`` gives what was reached, with the reason in ``solution.status``, instead of raising.

    Returns:
        a `Solution`: ``y`` (T, batch, ...), ``stats`` and ``status`` for each sample.

    Raises:
        IntegrationError: names the sample, the time, the step size and the norm of the state.
        UsageError: for times that are not monotonic, an unknown method, options that do not go together.

    Example:
        >>> decay = odeint(lambda t, y: -y, torch.ones(2, 1), torch.tensor([0.0, 1.0]))
        >>> bool((decay.y[-1] - torch.exp(torch.tensor(-1.0))).abs().max() < 1e-5)
        True
    """
    chosen = find_method(method)
    times, args = _checked_times(t, y0), tuple(args)
    if gradient not in ("direct", "checkpointed", "adjoint"):
        raise UsageError(f"gradient must be direct, checkpointed or adjoint, not {gradient!r}")
    if event is not None and gradient != "direct":
        raise UsageError(f"the time of an event is differentiable with gradient='direct' alone, not {gradient!r}")
    if dense and gradient != "direct":
        raise UsageError(f"dense output is kept with gradient='direct' alone, not {gradient!r}")
    if gradient == "adjoint" and not isinstance(chosen, Tableau):
        raise UsageError(f"{chosen.name} has no adjoint here: use gradient='direct' or 'checkpointed'")
    if not chosen.adaptive:
        if event is not None:
            raise UsageError(f"events need a method that chooses its steps, such as dopri5, not {chosen.name}")
        if compile:
            raise UsageError(f"compile= is for methods that choose their steps; for {chosen.name} compile the field")
        if steps is None and times.shape[1] == 2:
            raise UsageError(f"{chosen.name} takes equal steps: say how many with steps=")
        problem = Forwards(field, None, times, args, None)
        options: dict[str, Any] = {"steps": steps or 1}
    else:
        problem = forwards(field, event, times, args)
        options = {"rtol": rtol, "atol": atol, "controller": controller or Controller(), "max_steps": max_steps}
        if first_step is not None:
            options["length"] = torch.as_tensor(first_step, dtype=y0.dtype, device=y0.device).expand(len(y0))
        steps = None
    solver = _Solver(chosen, problem, options, rowwise=rowwise, compile=compile, dense=dense)
    if gradient == "direct" or not torch.is_grad_enabled():
        solution = solver.solve(y0, problem.times, problem.args)
    else:
        tensors = list(parameters) if parameters is not None else _parameters(field, times[:, 0], y0, args)
        rule: Rule = solver.adjoint() if gradient == "adjoint" else solver.checkpointed(checkpoints, steps)
        solution = solve_with(rule, solver.solve, y0, problem.times, problem.args, tensors)
    solution = problem.restore(solution, times)
    error = failure(solution) if on_failure == "raise" and chosen.adaptive else None
    if error is not None:
        raise error
    return solution


class _Solver:
    """One method with its options, as the rules for gradients want to call it."""

    def __init__(
        self, method: Method, problem: Forwards, options: dict[str, Any], *, rowwise: bool, compile: bool, dense: bool
    ) -> None:
        self.method, self.field, self.event = method, problem.field, problem.event
        self.options, self.rowwise, self.compile, self.dense = options, rowwise, compile, dense

    def solve(self, y0: Tensor, times: Tensor, args: tuple[Tensor, ...], on_accept: Accepted | None = None) -> Solution:
        if not self.method.adaptive:
            return self._fixed(self.field, y0, times, args, on_accept)
        return integrate(
            self.method, self.field, y0, times, args=args, dense=self.dense, event=self.event, rowwise=self.rowwise,
            compile=self.compile, on_accept=on_accept, **self.options,
        )  # fmt: skip

    def back(
        self, joint: VectorField, y0: Tensor, times: Tensor, args: tuple[Tensor, ...], on_accept: Accepted,
        on_leave: Left,
    ) -> Solution:  # fmt: skip
        """Solve the adjoint's equation, with the method and the tolerance of the solve itself."""
        if not self.method.adaptive:
            return self._fixed(joint, y0, times, args, on_accept)
        return integrate(
            self.method, joint, y0, times, args=args, rowwise=self.rowwise, on_accept=on_accept, on_leave=on_leave,
            **self.options,
        )  # fmt: skip

    def _fixed(
        self, field: VectorField, y0: Tensor, times: Tensor, args: tuple[Tensor, ...], on_accept: Accepted | None
    ) -> Solution:
        assert isinstance(self.method, Tableau)
        return integrate_fixed(
            self.method, field, y0, times, args, dense=self.dense, on_accept=on_accept, **self.options
        )  # fmt: skip

    def adjoint(self) -> Adjoint:
        assert isinstance(self.method, Tableau)
        return Adjoint(self.solve, self.back, self.field, self.method)

    def checkpointed(self, checkpoints: int | None, steps: int | None) -> Checkpointed:
        return Checkpointed(self.solve, self.field, self.method, checkpoints, steps)


def _checked_times(t: Tensor, y0: Tensor) -> Tensor:
    """Times as (batch, T) in the state's precision."""
    if not y0.is_floating_point():
        raise UsageError(f"y0 must hold real numbers, not {y0.dtype}")
    if t.dim() not in (1, 2) or (t.dim() == 2 and t.shape[0] != y0.shape[0]):
        raise UsageError(f"t must have shape (T,) or (batch, T) with batch {y0.shape[0]}, not {tuple(t.shape)}")
    times = t.to(y0.device, y0.dtype)
    times = times.expand(y0.shape[0], -1) if times.dim() == 1 else times
    if is_wrapped(times) or torch.compiler.is_compiling():
        return times
    differences = times.detach().diff(dim=1)
    if not bool(((differences >= 0).all(1) | (differences <= 0).all(1)).all()):
        raise UsageError("the times t must not go back and forth: sort them in one direction for each sample")
    return times


def _parameters(field: VectorField, t: Tensor, y0: Tensor, args: tuple[Tensor, ...]) -> list[Tensor]:
    """The leaf tensors that the field's value depends on and that want a gradient, its arguments not counted."""
    if isinstance(field, nn.Module):
        return [p for p in field.parameters() if p.requires_grad]
    with torch.enable_grad():
        value = field(t.detach()[:1], y0.detach()[:1], *(x.detach()[:1] for x in args)) if len(y0) else y0
    leaves: dict[int, Tensor] = {}
    waiting, seen = [value.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            leaves[id(leaf)] = leaf
        waiting.extend(parent for parent, _ in node.next_functions)
    return list(leaves.values())
