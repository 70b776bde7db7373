"""Integration methods by name."""

from __future__ import annotations

from torch import Tensor

from pushforward.dynamics.dormand_prince_8 import DORMAND_PRINCE_8
from pushforward.dynamics.rosenbrock import RODAS4, Rosenbrock, rosenbrock_step
from pushforward.dynamics.runge_kutta import Step, VectorField, rk_step
from pushforward.dynamics.tableau import (
    BOGACKI_SHAMPINE,
    DORMAND_PRINCE,
    EULER,
    HEUN,
    MIDPOINT,
    RK4,
    TSITOURAS,
    Tableau,
)
from pushforward.errors import UsageError

__all__ = ["METHODS", "Method", "find_method", "take_step"]

Method = Tableau | Rosenbrock

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        EULER,
        MIDPOINT,
        HEUN,
        RK4,
        BOGACKI_SHAMPINE,
        DORMAND_PRINCE,
        TSITOURAS,
        DORMAND_PRINCE_8,
        RODAS4,
    )
}


def find_method(method: str | Method) -> Method:
    """A method by its name; a `Tableau` of your own is returned unchanged.

    Raises:
        UsageError: if the name is unknown.
    """
    if not isinstance(method, str):
        return method
    if method not in METHODS:
        raise UsageError(f"there is no solver called {method!r}; known solvers are {', '.join(METHODS)}")
    return METHODS[method]


def take_step(
    method: Method, field: VectorField, t: Tensor, y: Tensor, dt: Tensor, start: Tensor | None, with_end: bool
) -> Step:
    """One step by any method."""
    if isinstance(method, Rosenbrock):
        return rosenbrock_step(method, field, t, y, dt, start, with_end)
    return rk_step(method, field, t, y, dt, start, with_end)
