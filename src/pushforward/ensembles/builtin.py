"""Built-in ensembles, by name.

The simulators live beside this package, not below it, so they are found by the name of their module when they are asked
for, and nothing here is imported from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from typing import Any

from pushforward.ensembles.ensemble import Ensemble
from pushforward.errors import UsageError

__all__ = ["DATASETS", "find_near", "simulate"]

_REGISTRY = "pushforward.simulate.registry:SIMULATORS"


class _Summaries(Mapping[str, str]):
    """The built-in ensembles: name -> one line. The registry is looked up when it is first asked."""

    def __getitem__(self, name: str) -> str:
        return str(_entries()[name].summary)

    def __iter__(self) -> Iterator[str]:
        return iter(_entries())

    def __len__(self) -> int:
        return len(_entries())

    def __repr__(self) -> str:
        return repr(dict(self))


DATASETS: Mapping[str, str] = _Summaries()


def simulate(name: str, count: int | None = None, seed: int = 0, **options: Any) -> Ensemble:
    """A built-in ensemble.

    Arguments:
        name: one of `DATASETS`.
        count: members; None for the set's own number.
        seed: of the simulation.
        options: of the simulator.

    Raises:
        UsageError: if there is none of that name, or it has no such option.
    """
    if name not in DATASETS:
        raise UsageError(f"there is no built-in ensemble called {name!r}; there are {', '.join(DATASETS)}")
    entry = _entries()[name]
    simulator = _resolve(entry.target)
    known = [key for key in signature(simulator).parameters if key not in ("count", "seed")]
    unknown = [key for key in options if key not in known]
    if unknown:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise UsageError(f"{name} has no option {unknown[0]!r}; {has}")
    result = simulator(entry.default_count if count is None else count, seed, **options)
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
    return next(iter(get_close_matches(name, list(DATASETS), n=1)), None)


def _entries() -> Mapping[str, Any]:
    entries: Mapping[str, Any] = _resolve(_REGISTRY)
    return entries


def _resolve(target: str) -> Any:
    module, _, attribute = target.partition(":")
    module = module if module.startswith("pushforward.") else f"pushforward.simulate.{module}"
    return getattr(import_module(module), attribute)
