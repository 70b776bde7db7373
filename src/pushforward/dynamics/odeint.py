"""Solve an initial value problem for a batch of samples."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pushforward.dynamics.adjoint import solve_with_adjoint
from pushforward.dynamics.checkpointed import solve_with_checkpoints
from pushforward.dynamics.control import Controller
from pushforward.dynamics.events import Event
from pushforward.dynamics.fixed import integrate_fixed
from pushforward.dynamics.integrate import integrate
from pushforward.dynamics.methods import Method, find_method
from pushforward.dynamics.runge_kutta import VectorField
from pushforward.dynamics.solution import Solution
from pushforward.dynamics.tableau import Tableau
from pushforward.dynamics.wrapped import is_wrapped
from pushforward.errors import UsageError

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
    rowwise: bool = False,
    parameters: Sequence[Tensor] | None = None,
    on_failure: Literal["raise", "return"] = "raise",
) -> Solution:
    r"""Solve :math:`dy/dt = f(t, y)` for every sample of a batch, each with its own steps.

    Arguments:
        field: ``field(t, y) -> dy/dt`` with t (batch,) and y, dy/dt (batch, ...). A module or a plain function; samples
            must not mix.
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
        rowwise: the field holds nothing that has a row a sample, so that finished samples may leave the batch.
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
    times = _checked_times(t, y0)
    if isinstance(chosen, Tableau) and not chosen.adaptive:
        if event is not None:
            raise UsageError(f"events need a method that chooses its steps, such as dopri5, not {chosen.name}")
        if steps is None and times.shape[1] == 2:
            raise UsageError(f"{chosen.name} takes equal steps: say how many with steps=")
        if gradient != "direct":
            raise UsageError(
                f"{chosen.name} has gradient='direct' alone; {gradient!r} needs a method that chooses its steps"
            )
        return integrate_fixed(chosen, field, y0, times, steps or 1, dense)
    if event is not None and gradient != "direct":
        raise UsageError(f"the time of an event is differentiable with gradient='direct' alone, not {gradient!r}")
    if dense and gradient != "direct":
        raise UsageError(f"dense output is kept with gradient='direct' alone, not {gradient!r}")
    options: dict[str, Any] = {
        "rtol": rtol,
        "atol": atol,
        "controller": controller or Controller(),
        "max_steps": max_steps,
        "raise_on_failure": on_failure == "raise",
    }
    if first_step is not None:
        options["length"] = torch.as_tensor(first_step, dtype=y0.dtype, device=y0.device).expand(len(y0))
    solve = functools.partial(
        integrate, chosen, field, dense=dense, event=event, rowwise=rowwise and gradient != "checkpointed", **options
    )
    if gradient == "direct" or not torch.is_grad_enabled():
        return solve(y0, times)  # type: ignore[call-arg]
    if gradient not in ("checkpointed", "adjoint"):
        raise UsageError(f"gradient must be direct, checkpointed or adjoint, not {gradient!r}")
    tensors = list(parameters) if parameters is not None else _parameters(field, times[:, 0], y0)
    if gradient == "checkpointed":
        return solve_with_checkpoints(solve, field, y0, times, tensors, chosen, checkpoints)
    if not isinstance(chosen, Tableau):
        raise UsageError(f"{chosen.name} has no adjoint here: use gradient='direct' or 'checkpointed'")
    return solve_with_adjoint(solve, field, y0, times, tensors, chosen, options)


def _checked_times(t: Tensor, y0: Tensor) -> Tensor:
    """Times as (batch, T) in the state's precision."""
    if not y0.is_floating_point():
        raise UsageError(f"y0 must hold real numbers, not {y0.dtype}")
    if t.dim() not in (1, 2) or (t.dim() == 2 and t.shape[0] != y0.shape[0]):
        raise UsageError(f"t must have shape (T,) or (batch, T) with batch {y0.shape[0]}, not {tuple(t.shape)}")
    times = t.to(y0.device, y0.dtype)
    times = times.expand(y0.shape[0], -1) if times.dim() == 1 else times
    if is_wrapped(times):
        return times
    differences = times.detach().diff(dim=1)
    if not bool(((differences >= 0).all(1) | (differences <= 0).all(1)).all()):
        raise UsageError("the times t must not go back and forth: sort them in one direction for each sample")
    return times


def _parameters(field: VectorField, t: Tensor, y0: Tensor) -> list[Tensor]:
    """The leaf tensors that the field's value depends on and that want a gradient."""
    if isinstance(field, nn.Module):
        return [p for p in field.parameters() if p.requires_grad]
    with torch.enable_grad():
        value = field(t.detach()[:1], y0.detach()[:1]) if len(y0) else y0
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
