"""Built-in energies by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from inspect import signature
from typing import Any

from pushforward.energies.double_well import double_well
from pushforward.energies.energy import Energy
from pushforward.energies.ising import ising
from pushforward.energies.lattice_phi4 import free_field, lattice_phi4
from pushforward.energies.lennard_jones import lennard_jones
from pushforward.errors import UsageError

__all__ = ["ENERGIES", "named_energy", "recorded_energy"]

ENERGIES: dict[str, Callable[..., Energy]] = {
    "dw4": double_well,
    "lj13": lennard_jones,
    "phi4": lattice_phi4,
    "free-field": free_field,
    "ising": ising,
}


def named_energy(name: str, **options: Any) -> Energy:
    """A built-in energy.

    Arguments:
        name: one of `ENERGIES`.
        options: of its function.

    Raises:
        UsageError: if the name or an option is unknown, or a value is of another type.
    """
    if name not in ENERGIES:
        near = get_close_matches(name, ENERGIES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"there is no built-in energy called {name!r}; {hint}there are {', '.join(ENERGIES)}")
    known = signature(ENERGIES[name]).parameters
    if unknown := next((each for each in options if each not in known), None):
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise UsageError(f"the energy {name} has no option {unknown!r}; {has}")
    try:
        return ENERGIES[name](**options)
    except TypeError:
        given = ", ".join(f"{each}={value!r}" for each, value in options.items())
        raise UsageError(f"the energy {name} cannot be made with {given}; its options are numbers") from None


def recorded_energy(record: Mapping[str, Any]) -> Energy | None:
    """The built-in energy of a run or of its members; None if there is none.

    Arguments:
        record: description of the data in the run's configuration: ``kind``, ``spec`` and ``parameters``.
    """
    spec = dict(record.get("spec") or {})
    if record.get("kind") == "energy" and spec:
        return named_energy(**spec)
    name = spec.get("data")
    # Members at several conditions follow a different energy each.
    if not isinstance(name, str) or name not in ENERGIES or record.get("parameters"):
        return None
    make = ENERGIES[name]
    return make(**{key: value for key, value in spec.items() if key in signature(make).parameters})
