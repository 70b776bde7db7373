"""Initial value problems for a batch of samples."""

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
            samples must not mix. t has the state's precision, or float64 where that precision would lose its offset.
        y0: initial states, shape ``(batch, ...)``, float32 or float64 on any device.
        t: output times, shape ``(T,)``, or ``(batch, T)`` for one time span per sample; monotonic in either direction.
            The first is the time of ``y0``. In the units of the field's time.
        method: ``euler``, ``midpoint``, ``heun``, ``rk4`` take ``steps`` equal steps between consecutive times;
            ``bosh3``, ``dopri5``, ``tsit5``, ``dopri8`` choose their steps; so does ``rodas4``, for stiff problems.
        rtol, atol: relative and absolute tolerance per step; a number, or one per sample (batch,) shaped to broadcast.
        gradient: ``direct`` differentiates through the steps; ``checkpointed`` too, in the memory of ``checkpoints``
            states; ``adjoint`` solves the adjoint equation backwards in constant memory, accurate to the tolerance.
        steps: number of equal steps between consecutive output times, for a fixed-step method.
        checkpoints: number of states to keep; None: the square root of the number of steps.
        first_step: length of the first step; None: chosen from the field.
        max_step: longest step. The error estimate misses a pulse between two evaluations of the field; set this to the
            pulse's width.
        jump_times: times at which the field jumps, shape ``(J,)`` or ``(batch, J)``; steps end just before a jump and
            start again just after it.
        max_steps: attempted steps, between jumps, after which a solve gives up.
        dense: keep the trajectory, so that the solution can be called at any time.
        event: ``event(t, y) -> (batch,)``; a sample stops, at ``solution.t_end``, where the value is zero or changes
            sign, or where a truth value changes.
        args: tensors with one row per sample, passed to the field: constants that differ between samples.
        rowwise: the field holds no per-sample tensors except ``args``, so finished samples may leave the batch.
        compile: compile the steps, field included, with `torch.compile`: seconds to a minute once per field and shape,
            then faster where steps consist of small operations. Without gradients, events and inner output times all
            steps are one loop.
        parameters: tensors that ``checkpointed`` and ``adjoint`` differentiate for; None: found from the field.
        on_failure: ``raise`` an error; ``nan``: return NaN for samples that start with NaN or infinity, and raise for
            others; ``return`` the state reached, with the reason in ``solution.status``.

    Returns:
        a `Solution`: ``y`` (T, batch, ...), ``stats`` and ``status`` per sample.

    Raises:
        IntegrationError: names the sample, the time, the step size and the norm of the state.
        UsageError: for times that are not monotonic, an unknown method, options that are incompatible or out of range,
            or a field or event that cannot be called or whose value has the wrong shape.

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
    """Raise if an option is incompatible with the method or the gradient."""
    if gradient not in ("direct", "checkpointed", "adjoint"):
        raise UsageError(f"gradient must be direct, checkpointed or adjoint, not {gradient!r}")
    if on_failure not in ("raise", "nan", "return"):
        raise UsageError(f"on_failure must be raise, nan or return, not {on_failure!r}")
    has = {name for name, value in given.items() if value is not None and value is not False}
    if "event" in has and gradient != "direct":
        raise UsageError(f"events need gradient='direct', not {gradient!r}")
    if "dense" in has and gradient != "direct":
        raise UsageError(f"dense output needs gradient='direct', not {gradient!r}")
    if gradient == "adjoint" and not isinstance(method, Tableau):
        raise UsageError(f"{method.name} has no adjoint gradient; use gradient='direct' or 'checkpointed'")
    if "checkpoints" in has and gradient != "checkpointed":
        raise UsageError(f"checkpoints= needs gradient='checkpointed', not {gradient!r}")
    if method.adaptive:
        if "steps" in has:
            raise UsageError(f"{method.name} chooses its steps from rtol and atol; leave steps= out, or use rk4")
        return
    if "event" in has:
        raise UsageError(f"events need an adaptive method, such as dopri5, not {method.name}")
    if "compile" in has:
        raise UsageError(f"compile= needs an adaptive method, not {method.name}; compile the field instead")
    chooses = has & {"controller", "first_step", "max_step", "jump_times"}
    if chooses:
        raise UsageError(f"{min(chooses)}= needs an adaptive method, such as dopri5, not {method.name}")
    if "steps" not in has:
        raise UsageError(f"{method.name} takes equal steps between output times; give their number with steps=")


def _parameters(field: VectorField, t: Tensor, y0: Tensor, args: tuple[Tensor, ...]) -> list[Tensor]:
    """Leaf tensors, other than its arguments, that need a gradient and on which the field's value depends."""
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
