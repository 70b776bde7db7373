"""Built-in ensembles, by name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from pushforward.ensembles.ensemble import Ensemble
from pushforward.errors import UsageError
from pushforward.simulate import option_names
from pushforward.simulate import simulate as run
from pushforward.simulate.registry import registered

__all__ = ["find_near", "simulate"]


def simulate(name: str, count: int | None = None, seed: int = 0, **options: Any) -> Ensemble:
    """A built-in ensemble.

    Arguments:
        name: of a built-in set, or of one that an installed package brings.
        count: members; None for the set's own number.
        seed: of the simulation.
        options: of the simulator.

    Raises:
        UsageError: if there is none of that name, or it has no such option.
    """
    if name not in registered():
        raise UsageError(f"there is no built-in ensemble called {name!r}; there are {', '.join(registered())}")
    known = option_names(name)
    unknown = [key for key in options if key not in known]
    if unknown:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise UsageError(f"{name} has no option {unknown[0]!r}; {has}")
    result = run(name, count, seed, **options)
    return Ensemble.from_array(
        result.x,
        space=result.space,
        conditions=result.conditions,
        names=result.names,
        classes=result.classes,
        groups=result.groups,
        condition_fields=result.condition_fields,
        name=name,
        exact=result.exact,
        notes=result.notes,
    )


def find_near(name: str) -> str | None:
    """The built-in ensemble whose name is nearest to one that is unknown, for an error's hint."""
    return next(iter(get_close_matches(name, list(registered()), n=1)), None)
