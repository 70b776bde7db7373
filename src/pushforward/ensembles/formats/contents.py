"""What a reader finds in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.ensembles.stores import Store
from pushforward.errors import DataError

__all__ = [
    "CONDITION_FIELDS",
    "CONDITION_NAMES",
    "DATA_NAMES",
    "STATED_KINDS",
    "WHOLE_SKY",
    "Contents",
    "choose_dataset",
    "of_several",
]

DATA_NAMES = ("x", "data", "samples", "fields", "maps", "images", "members")
STATED_KINDS = ("series", "timed-series", "particles", "trajectory")
"""Kinds of Space that a shape does not tell, as a file may state them."""
CONDITION_NAMES = ("conditions", "condition", "parameters", "params", "labels", "label")
CONDITION_FIELDS = "condition_fields"
"""Name of the array of fields that the members of a file are given with."""

WHOLE_SKY = (
    "a map of the whole sky in HEALPix, which no model here takes: project patches of it to flat maps first "
    "(healpy.gnomview, reproject), and give these"
)

_SHOWN = 6
"""Datasets that a note lists."""


@dataclass(frozen=True)
class Contents:
    """An array in a file, with what the file says about it.

    Attributes:
        source: the array; its first axis counts members, unless the whole array turns out to be one member.
        names: of the columns, where the format has columns.
        conditions: columns of conditions that the file holds beside the members, by name.
        column: finds a column or dataset by the name that the user gives; None where there is none.
        attributes: properties of the members that the file states: ``box``, ``periodic``, ``isotropic``, ``groups``,
            the ``times`` of trajectories, ``species`` and ``centred`` of particles, and ``units``, of channels or of
            columns by name.
        kind: of Space, where the format implies one.
        one_member: True if the array is one member, False if its first axis counts members, None if it cannot be told.
        notes: what was recognised.
        condition_fields: the field that each member is given with, where the file holds them beside the members.
        left_out: what the file holds beside the members, by name, as a note shows it.
        how: the note on what is left out, with ``{}`` for it.
        question: what is to be asked if the user names neither columns nor a dataset.
    """

    source: Store
    names: tuple[str, ...] = ()
    conditions: Mapping[str, NDArray[Any]] | None = None
    column: Callable[[str], Mapping[str, NDArray[Any]] | None] = lambda name: None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    kind: str | None = None
    one_member: bool | None = None
    notes: tuple[str, ...] = ()
    condition_fields: Store | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    how: str = "{}"
    question: str | None = None

    def unused(self, taken: Sequence[str]) -> tuple[str, ...]:
        """A note on what is left out of what the file holds, but for what is taken in by name."""
        shown = [text for name, text in self.left_out.items() if name not in taken]
        if not shown:
            return ()
        return (self.how.format(", ".join(shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "")),)


def choose_dataset(shapes: Mapping[str, tuple[int, ...]], wanted: str | None, label: str) -> str:
    """The name of the dataset that holds the members.

    Arguments:
        shapes: of the numeric datasets in the file, by name.
        wanted: the name that the user gives.
        label: what a message calls the file.

    Raises:
        DataError: if there is no such dataset, or several could be meant; the sentence lists them.
    """
    if not shapes:
        raise DataError(f"{label} holds no array of numbers")
    listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    if wanted is not None:
        if wanted in shapes:
            return wanted
        raise DataError(f"{label} has no numeric dataset called {wanted!r}; it has: {listed}")
    candidates = [
        name
        for name, shape in shapes.items()
        if len(shape) > 0 and _last(name) not in ("groups", CONDITION_FIELDS, *CONDITION_NAMES)
    ]
    candidates = candidates or list(shapes)
    usual = [name for name in candidates if _last(name) in DATA_NAMES]
    for group in (candidates, usual):
        if len(group) == 1:
            return group[0]
    largest = sorted(candidates, key=lambda name: np.prod(shapes[name], dtype=float), reverse=True)
    if len(largest) > 1 and np.prod(shapes[largest[0]], dtype=float) >= 8 * np.prod(shapes[largest[1]], dtype=float):
        return largest[0]
    raise DataError(f"cannot tell which dataset of {label} holds the members; name one with --field: {listed}")


def of_several(label: str, chosen: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """What a file of several datasets holds beside that of the members, and the note that says how it is taken in."""
    return {
        "left_out": {name: f"{name} {shape}" for name, shape in shapes.items() if name != chosen},
        "how": f"{label}: members are read from {chosen!r}; left out: {{}}; --field reads another, --condition takes "
        "one in",
    }


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1].lower()
