"""Solve an initial value problem for a batch of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pushforward.dynamics.arguments import checked_args, checked_count, checked_number, checked_state, checked_times
from pushforward.dynamics.clock import Clock
from pushforward.dynamics.control import Controller
from pushforward.dynamics.events import Event
from pushforward.dynamics.jumps import solve_piecewise
from pushforward.dynamics.methods import Method, find_method
from pushforward.dynamics.runge_kutta import VectorField, over, rows
from pushforward.dynamics.solution import Solution, failure
from pushforward.dynamics.solver import Gradient, Solver
from pushforward.dynamics.tableau import Tableau
from pushforward.dynamics.term import Term, check_event
from pushforward.errors import UsageError

__all__ = ["odeint"]


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
    max_step: float | None = None,
    jump_times: Tensor | Sequence[float] | None = None,
    max_steps: int = 10_000,
    dense: bool = False,
    event: Event | None = None,
    args: Sequence[Tensor] = (),
    rowwise: bool = False,
    compile: bool = False,
    parameters: Sequence[Tensor] | None = None,
    on_failure: Literal["raise", "nan", "return"] = "raise",
) -> Solution:
    r"""Solve :math:`dy/dt = f(t, y)` for every sample of a batch, each with its own steps.

    Arguments:
        field: ``field(t, y, *args) -> dy/dt`` with t (batch,) and y, dy/dt (batch, ...). A module or a plain function;
            samples must not mix. t is in the state's precision, but in float64 where its offset would be lost there.
        y0: initial states, shape ``(batch, ...)``, float32 or float64 on any device.
        t: output times, shape ``(T,)``, or ``(batch, T)`` for a time span of its own for every sample; monotonic in
            either direction, the first is the time of ``y0``. In the units of the field's time.
        method: ``euler``, ``midpoint``, ``heun``, ``rk4`` take ``steps`` equal steps between consecutive times;
            ``bosh3``, ``dopri5``, ``tsit5``, ``dopri8`` choose their steps; so does ``rodas4``, for stiff problems.
        rtol, atol: relative and absolute tolerance of a step, numbers or one a sample (batch,) shaped to broadcast.
        gradient: ``direct`` differentiates through the steps; ``checkpointed`` too, in the memory of ``checkpoints``
            states; ``adjoint`` solves the adjoint equation backwards in constant memory, as exact as the tolerance.
        steps: of a method of equal steps, between consecutive output times.
        checkpoints: states to keep; the square root of the number of steps where None.
        first_step: length of the first step, chosen from the field where None.
        max_step: longest step. What happens between two evaluations of the field, such as a short pulse, no error
            estimate sees: a bound of its width does.
        jump_times: times at which the field jumps, shape ``(J,)`` or ``(batch, J)``: steps end just before them and
            begin anew just after.
        max_steps: tried steps after which a solve gives up, between jumps.
        dense: keep the trajectory, so that the solution can be called at any time.
        event: ``event(t, y) -> (batch,)``; a sample stops where it changes sign or is zero, or where its truth value
            changes, at ``solution.t_end``.
        args: tensors of a row a sample, handed to the field: the constants that samples differ in.
        rowwise: the field holds nothing that has a row a sample but its ``args``, so that finished samples may leave
            the batch.
        compile: compile the steps, field included, by `torch.compile`: seconds to a minute once for each field and
            shape, then faster where steps are made of small operations. Without gradients, events and inner output
            times all steps are one loop.
        parameters: tensors to differentiate for by ``checkpointed`` and ``adjoint``; found by themselves where None.
        on_failure: ``raise`` an error; for samples that begin with NaN or infinity give ``nan`` instead, and raise for
            others alone; ``return`` what was reached, with the reason in ``solution.status``.

    Returns:
        a `Solution`: ``y`` (T, batch, ...), ``stats`` and ``status`` for each sample.

    Raises:
        IntegrationError: names the sample, the time, the step size and the norm of the state.
        UsageError: for times that are not monotonic, an unknown method, options that do not go together or are out of
            range, a field or an event whose value has another shape.

    Example:
        >>> decay = odeint(lambda t, y: -y, torch.ones(2, 1), torch.tensor([0.0, 1.0]))
        >>> bool((decay.y[-1] - torch.exp(torch.tensor(-1.0))).abs().max() < 1e-5)
        True
    """
    chosen, state = find_method(method), checked_state(y0)
    if controller is not None and not isinstance(controller, Controller):
        raise UsageError(f"controller must be a Controller, not a {type(controller).__name__}")
    _check_together(
        chosen, gradient, steps=steps, checkpoints=checkpoints, controller=controller, first_step=first_step,
        max_step=max_step, jump_times=jump_times, dense=dense, event=event, compile=compile, on_failure=on_failure,
    )  # fmt: skip
    user_times, constants = checked_times(t, state), checked_args(args, len(state))
    clock = Clock.of(user_times, state.dtype, directed=chosen.adaptive)
    solver = Solver(chosen, clock.field(Term(field)), dense=dense, rowwise=rowwise, compile=compile)
    solver.checkpoints = checkpoints if checkpoints is None else checked_count("checkpoints", checkpoints)
    if chosen.adaptive:
        limited = controller or Controller()
        if max_step is not None:
            limited = replace(limited, max_step=float(checked_number("max_step", max_step, state)))
        solver.options = {
            "rtol": checked_number("rtol", rtol, state, zero=True),
            "atol": checked_number("atol", atol, state, zero=True),
            "max_steps": checked_count("max_steps", max_steps),
            "controller": limited,
        }
        if first_step is not None:
            length = torch.as_tensor(checked_number("first_step", first_step, state), dtype=state.dtype)
            solver.options["length"] = length.to(state.device).expand(len(state))
    else:
        solver.options = {"steps": checked_count("steps", steps)}
    if event is not None:
        check_event(event, user_times[:, 0].to(state.dtype), state)
        solver.event = clock.event(event)
    kind = gradient if torch.is_grad_enabled() else "direct"
    wanted = list(parameters or ())
    if kind != "direct" and parameters is None:
        wanted = _parameters(field, user_times[:, 0].to(state.dtype), state, constants)
    args = (*clock.rows, *constants)

    def solve(y0: Tensor, times: Tensor) -> Solution:
        return solver.solve_by(kind, y0, times, args, wanted)

    times = clock.solver_time(user_times)
    if jump_times is None:
        solution = solve(state, times)
    else:
        jumps = clock.solver_time(checked_times(jump_times, state, ordered=False))
        solution = solve_piecewise(solve, state, times, jumps, solver.event, args)
    solution = clock.restore(solution, user_times)
    if on_failure == "return" or not chosen.adaptive:
        return solution
    begun = torch.isfinite(rows(state)).all(1) if on_failure == "nan" else None
    error = failure(solution, begun)
    if error is not None:
        raise error
    if begun is not None:
        solution.y_end = torch.where(over(begun, solution.y_end), solution.y_end, torch.nan)
    return solution


def _check_together(method: Method, gradient: str, *, on_failure: str, **given: Any) -> None:
    """Raise if an option does not go with the method or with the gradient."""
    if gradient not in ("direct", "checkpointed", "adjoint"):
        raise UsageError(f"gradient must be direct, checkpointed or adjoint, not {gradient!r}")
    if on_failure not in ("raise", "nan", "return"):
        raise UsageError(f"on_failure must be raise, nan or return, not {on_failure!r}")
    has = {name for name, value in given.items() if value is not None and value is not False}
    if "event" in has and gradient != "direct":
        raise UsageError(f"the time of an event is differentiable with gradient='direct' alone, not {gradient!r}")
    if "dense" in has and gradient != "direct":
        raise UsageError(f"dense output is kept with gradient='direct' alone, not {gradient!r}")
    if gradient == "adjoint" and not isinstance(method, Tableau):
        raise UsageError(f"{method.name} has no adjoint here: use gradient='direct' or 'checkpointed'")
    if "checkpoints" in has and gradient != "checkpointed":
        raise UsageError(f"checkpoints= is for gradient='checkpointed', not {gradient!r}")
    if method.adaptive:
        if "steps" in has:
            raise UsageError(f"{method.name} chooses its steps by rtol and atol: leave steps= out, or use rk4")
        return
    if "event" in has:
        raise UsageError(f"events need a method that chooses its steps, such as dopri5, not {method.name}")
    if "compile" in has:
        raise UsageError(f"compile= is for methods that choose their steps; for {method.name} compile the field")
    chooses = has & {"controller", "first_step", "max_step", "jump_times"}
    if chooses:
        raise UsageError(f"{min(chooses)}= is for methods that choose their steps, such as dopri5, not {method.name}")
    if "steps" not in has:
        raise UsageError(f"{method.name} takes equal steps between output times: say how many with steps=")


def _parameters(field: VectorField, t: Tensor, y0: Tensor, args: tuple[Tensor, ...]) -> list[Tensor]:
    """The leaf tensors that the field's value depends on and that want a gradient, its arguments not counted."""
    if isinstance(field, nn.Module):
        return [p for p in field.parameters() if p.requires_grad]
    with torch.enable_grad():
        one = (x.detach()[:1].clone() for x in (t, y0, *args))
        value = field(*one) if len(y0) else y0
    leaves: dict[int, Tensor] = {}
    waiting, seen = [getattr(value, "grad_fn", None)], set()
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
