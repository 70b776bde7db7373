"""Built-in ensembles, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pushforward.ensembles.assembly import cropped
from pushforward.ensembles.condition_fields import without_fields
from pushforward.ensembles.ensemble import Ensemble
from pushforward.ensembles.shapes import layout_of
from pushforward.errors import UsageError
from pushforward.simulate import option_names
from pushforward.simulate import simulate as run
from pushforward.simulate.registry import registered
from pushforward.spaces import Space

__all__ = ["find_near", "is_built_in", "read_built_in", "simulate"]

_OF_FILES = ("columns", "id", "time", "missing", "mask", "complex_parts")
"""Arguments of `read` that only files and arrays have."""


def is_built_in(data: Any) -> bool:
    """Whether a built-in ensemble is meant: by its bare name, whatever lies in the current folder."""
    return isinstance(data, str) and re.fullmatch(r"[a-z0-9-]+", data) is not None and data in registered()


def read_built_in(
    name: str,
    condition: Any,
    space: Space | str | None,
    crop: int | Sequence[int] | None,
    members: int | None,
    geometry: Mapping[str, Any],
    *,
    seed: int,
    options: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> Ensemble:
    """A built-in ensemble with the arguments of `read`.

    Arguments:
        geometry: periodic, isotropic, box and centred, each None if not given.
        options: of the simulator.
        arguments: all arguments of `read` that were given, as plain values.

    Raises:
        UsageError: if an argument is only of files, is set by the simulator, or is unknown to it.
    """
    strange = [each for each in _OF_FILES if each in arguments]
    if strange:
        raise UsageError(f"{name} is built in and has no option {strange[0]}; leave out --{strange[0]}")
    # A box that the simulator accepts is simulated, not assigned to members of another box.
    own = {key: value for key, value in geometry.items() if value is not None and key in option_names(name)}
    ensemble = simulate(name, members, seed, **options, **own)
    if condition is not None and condition is not False:
        raise UsageError(f"{name} has its own conditions; condition=False leaves them out")
    if space is not None:
        raise UsageError(f"{name} is a built-in ensemble of {ensemble.space}; space cannot be given")
    assigned: dict[str, Any] = {key: None if key in own else value for key, value in geometry.items()}
    layout = layout_of((len(ensemble), *ensemble.space.shape), ensemble.space, label=name, **assigned)
    spec = {"data": name, "seed": seed, **options, **arguments}
    whole = ensemble.replaced(space=layout.space, notes=(*_notes_on_name(name), *ensemble.notes), spec=spec)
    if condition is False:
        unconditional = without_fields(ensemble.members)
        whole = whole.replaced(members=unconditional, condition_field=None, conditions=None, parameters=())
    return whole if crop is None else cropped(whole, crop)


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


def _notes_on_name(name: str) -> tuple[str, ...]:
    """A note where a file or a folder is called like the built-in ensemble that is read."""
    path = Path(name)
    if not path.exists():
        return ()
    return (f"{name} is the built-in ensemble; the {'folder' if path.is_dir() else 'file'} of that name is ./{name}",)
