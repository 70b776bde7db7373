"""Run a simulator by its name."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from pushforward.arguments import checked
from pushforward.errors import UsageError
from pushforward.simulate.registry import SIMULATORS, registered

if TYPE_CHECKING:
    from pushforward.simulate.simulated import Simulated

__all__ = ["option_names", "simulate"]


@checked(count=1)
def simulate(name: str, count: int | None = None, seed: int = 0, **options: Any) -> Simulated:
    """Members of a built-in set.

    Arguments:
        name: one of `SIMULATORS`.
        count: number of members; None for the default of the set.
        seed: the same seed gives the same members.
        options: of the simulator; see its docstring.

    Raises:
        UsageError: if the name or an option is unknown, or a value is invalid.

    >>> simulate("two-moons", 100, noise=0.05).x.shape
    (100, 2)
    """
    function = _find(name)
    return function(SIMULATORS[name].default_count if count is None else count, seed, **options)


def option_names(name: str) -> tuple[str, ...]:
    """Names of a simulator's options.

    >>> option_names("two-moons")
    ('noise', 'labels')
    """
    return tuple(key for key in signature(_find(name)).parameters if key not in ("count", "seed"))


def _find(name: str) -> Callable[..., Simulated]:
    if name not in registered():
        near = get_close_matches(name, SIMULATORS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"there is no built-in set called {name!r}; {hint}there are {', '.join(SIMULATORS)}")
    chosen = SIMULATORS[name]
    if chosen.problem:
        raise UsageError(chosen.problem)
    module, _, function = chosen.target.partition(":")
    return getattr(import_module(module), function)
