"""Contents of a file, the result of a reader."""

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
"""Kinds of Space that a shape does not determine and a file may state."""
CONDITION_NAMES = ("conditions", "condition", "parameters", "params", "labels", "label")
CONDITION_FIELDS = "condition_fields"
"""Name of the array of condition fields in a file."""

WHOLE_SKY = (
    "a map of the whole sky in HEALPix, which no model accepts: project patches of it to flat maps first "
    "(healpy.gnomview, reproject), and give these"
)

_SHOWN = 6
"""Largest number of datasets listed in a note."""


@dataclass(frozen=True)
class Contents:
    """Array in a file, with its properties stated in the file.

    Attributes:
        source: array whose first axis counts members, unless the whole array is one member.
        names: names of the columns, if the format has columns.
        conditions: columns of conditions in the file, by name.
        column: function that returns a column or dataset by the name given by the user, or None.
        attributes: properties of the members stated in the file: ``box``, ``periodic``, ``isotropic``, ``groups``,
            the ``times`` of trajectories, ``species`` and ``centred`` of particles, and ``units``, of channels or of
            columns by name.
        kind: kind of Space, if the format implies one.
        one_member: True if the array is one member, False if its first axis counts members, None if unknown.
        notes: recognised properties.
        condition_fields: condition fields in the file, one per member.
        left_out: other contents of the file, by name, as shown in a note.
        how: note on the other contents, with the placeholder ``{}`` for them.
        question: question to the user if neither columns nor a dataset are named.
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
        """Note on contents of the file that are left out, except those included by name."""
        shown = [text for name, text in self.left_out.items() if name not in taken]
        if not shown:
            return ()
        return (self.how.format(", ".join(shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "")),)


def choose_dataset(shapes: Mapping[str, tuple[int, ...]], wanted: str | None, label: str) -> str:
    """Name of the dataset that holds the members.

    Arguments:
        shapes: shapes of the numeric datasets in the file, by name.
        wanted: name given by the user.
        label: name of the file in messages.

    Raises:
        DataError: if there is no such dataset, or several could be meant; the message lists them.
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
    """Other datasets of a file, and the note with the options that include them."""
    return {
        "left_out": {name: f"{name} {shape}" for name, shape in shapes.items() if name != chosen},
        "how": f"{label}: members are read from {chosen!r}; left out: {{}}; --field reads another, --condition "
        "includes one",
    }


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1].lower()
