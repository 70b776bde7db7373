"""Members of a built-in set, and the decorator of simulators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, wraps
from inspect import signature
from typing import Any, Protocol, get_type_hints

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pushforward.errors import UsageError
from pushforward.spaces import Space

__all__ = ["Exact", "Simulated", "simulator"]


class Exact(Protocol):
    """An exactly known distribution. That of a Gaussian field also has ``power_spectrum(k)``."""

    def log_prob(self, x: ArrayLike) -> NDArray[np.float64]:
        """Log-density of the members ``(N, *space.shape)``, shape ``(N,)``, in nats and in the units of the data."""

    @property
    def entropy(self) -> float | None:
        """Differential entropy in nats, a lower bound on mean negative log-densities; None if not known exactly."""


@dataclass(frozen=True)
class Simulated:
    """Members of a built-in set, with their conditions, groups and exact distribution.

    Attributes:
        x: members, shape ``(N, *space.shape)``, float32.
        space: space of a member.
        conditions: condition of each member, shape ``(N, P)``, float32; a label is the index of its class. None if
            there is no condition.
        names: of the P columns of ``conditions``.
        classes: for each column that is a label, the names of its classes.
        groups: simulation that each member comes from, shape ``(N,)``, int64; None if members are independent.
        condition_fields: condition field of each member, shape ``(N, channels, *grid)``; None if there is none.
        exact: distribution of the members, if known.
        truth: for series, noiseless values at every time, shape ``(N, length, dim)``; None if unknown.
        notes: facts on the data for their user, one line each.
        units: of the channels or coordinates, or one for all; empty if unknown.
        box_unit: unit of lengths and of the box; empty if unknown.
        origin: model, seed and version that made the data (``model``, ``seed``, ``version``), for files that keep it.
    """

    x: NDArray[np.float32]
    space: Space
    conditions: NDArray[np.float32] | None = None
    names: tuple[str, ...] = ()
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    groups: NDArray[np.int64] | None = None
    condition_fields: NDArray[np.float32] | None = None
    exact: Exact | None = None
    truth: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    box_unit: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.x)


def simulator(function: Callable[..., Simulated]) -> Callable[..., Simulated]:
    """Decorate a simulator: check its count, its seed and, against their annotations, its options.

    Values are converted to the annotated type, so that strings from the command line work.

    Raises:
        UsageError: when the simulator is called with an unknown option or an invalid value.
    """
    name = function.__name__.replace("_", "-")

    @cache
    def hints() -> dict[str, Any]:
        found = get_type_hints(function)
        return {key: found[key] for key in signature(function).parameters if key not in ("count", "seed")}

    @wraps(function)
    def checked(count: int, seed: int = 0, **options: Any) -> Simulated:
        for word, value, least in (("number of members", count, 1), ("seed", seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise UsageError(f"the {word} of {name} must be a whole number of at least {least}; got {value!r}")
        for option in options:
            if option not in hints():
                has = f"its options are {', '.join(hints())}" if hints() else "it has none"
                raise UsageError(f"{name} has no option {option!r}; {has}")
        values = {key: _converted(name, key, value, hints()[key]) for key, value in options.items()}
        return function(int(count), int(seed), **values)

    return checked


def _converted(name: str, option: str, value: Any, kind: Any) -> Any:
    """An option's value, converted to the annotated type."""
    from pydantic import TypeAdapter, ValidationError

    try:
        converted = TypeAdapter(kind).validate_python(value)
    except ValidationError:
        wanted = getattr(kind, "__name__", None) or str(kind)
        words = {"int": "a whole number", "float": "a number", "bool": "true or false"}
        raise UsageError(f"the option {option} of {name} must be {words.get(wanted, wanted)}; got {value!r}") from None
    if isinstance(converted, float) and not np.isfinite(converted):
        raise UsageError(f"the option {option} of {name} must be a finite number; got {value!r}")
    return converted
