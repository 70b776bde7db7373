"""Call a simulator by its name."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from typing import Any

from pushforward.errors import UsageError
from pushforward.simulate.registry import SIMULATORS
from pushforward.simulate.simulated import Simulated

__all__ = ["option_names", "simulate"]


def simulate(name: str, count: int | None = None, seed: int = 0, **options: Any) -> Simulated:
    """``count`` members of a built-in set.

    Arguments:
        name: one of `SIMULATORS`.
        count: members; None for the set's own number.
        options: of the simulator; see its docstring.

    Raises:
        UsageError: for an unknown name or option, with the known ones.
    """
    simulator = _find(name)
    known = option_names(name)
    for option in options:
        if option not in known:
            has = f"known options are {', '.join(known)}" if known else "it has no options"
            raise UsageError(f"{name} has no option {option!r}; {has}")
    return simulator(SIMULATORS[name].default_count if count is None else count, seed, **options)


def option_names(name: str) -> tuple[str, ...]:
    """Names of a simulator's options."""
    return tuple(key for key in signature(_find(name)).parameters if key not in ("count", "seed"))


def _find(name: str) -> Callable[..., Simulated]:
    if name not in SIMULATORS:
        near = get_close_matches(name, SIMULATORS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"there is no built-in set called {name!r}; {hint}there are {', '.join(SIMULATORS)}")
    module, _, function = SIMULATORS[name].target.partition(":")
    return getattr(import_module(module), function)
