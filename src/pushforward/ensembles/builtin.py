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
        name: name of a built-in set, or of one registered by an installed package.
        count: number of members; None for the default of the set.
        seed: seed of the simulation.
        options: options of the simulator.

    Raises:
        UsageError: if the name or an option is unknown.
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
    """Built-in ensemble with the name nearest to an unknown one, for the hint of an error."""
    return next(iter(get_close_matches(name, list(registered()), n=1)), None)
