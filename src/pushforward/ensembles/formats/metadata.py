"""Metadata of members in a file: geometry, units, origin and conditions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.simulate.simulated import Simulated
from pushforward.spaces import Space

__all__ = ["attributes", "condition_columns", "coordinate_names", "digits"]


def attributes(simulated: Simulated) -> dict[str, Any]:
    """Kind of Space and its geometry, names of columns, units and origin, by the names that readers recognise."""
    space = simulated.space
    values: dict[str, Any] = {"kind": "timed-series" if space.timed else space.kind}
    for name in ("periodic", "isotropic", "box", "times", "species", "centred"):
        if getattr(space, name, None) not in (None, ()):
            values[name] = getattr(space, name)
    if names := getattr(space, "names", ()):
        values["columns"] = names
    if simulated.units:
        values["units"] = simulated.units
    if simulated.box_unit:
        values["box_unit"] = simulated.box_unit
    return {**values, **simulated.origin}


def condition_columns(simulated: Simulated) -> dict[str, NDArray[Any]]:
    """Conditions by name, labels as the names of their classes."""
    if simulated.conditions is None:
        return {}
    columns = dict(zip(simulated.names, simulated.conditions.T, strict=True))
    return {
        name: np.array(simulated.classes[name])[values.astype(np.intp)] if name in simulated.classes else values
        for name, values in columns.items()
    }


def coordinate_names(space: Space) -> tuple[str, ...]:
    """Names of coordinates, of a series those of its values; ``x0``, ``x1``, ... if they have none."""
    return getattr(space, "names", ()) or tuple(f"x{number}" for number in range(space.size))


def digits(*arrays: NDArray[Any]) -> str:
    """Format in which text keeps all digits of the numbers in arrays."""
    return "%.17g" if any(values.dtype == np.float64 for values in arrays) else "%.9g"
