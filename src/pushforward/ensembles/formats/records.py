"""Arrays of records (structured arrays): tables whose columns are the fields of the type."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pushforward.ensembles.formats.contents import Contents
from pushforward.ensembles.stores import InMemory
from pushforward.errors import DataError

__all__ = ["decoded", "record_table"]


def record_table(rows: NDArray[np.void], label: str, file: str) -> Contents:
    """Members of an array of records: one coordinate per numeric field.

    Arguments:
        rows: array of shape ``(members,)``, of a structured type.
        label: name of the array in messages.
        file: name of the file that contains it.

    Raises:
        DataError: if no field is numeric.
    """
    names = rows.dtype.names or ()
    plain = [name for name in names if rows.dtype[name].kind in "fiub" and not rows.dtype[name].shape]
    if not plain or rows.ndim != 1:
        raise DataError(f"the table {label} has no column of numbers; it has {', '.join(names)}")
    return Contents(
        InMemory(np.stack([rows[name].astype(np.float64) for name in plain], axis=1), label),
        names=tuple(plain),
        column=lambda name: {name: decoded(rows[name])} if name in names else None,
        kind="vector",
        one_member=False,
        left_out={name: name for name in names if name not in plain},
        how=f"{file}: columns that are not plain numbers are left out: {{}}",
    )


def decoded(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Text of words stored as bytes; other values unchanged."""
    if values.dtype.kind not in "OS":
        return values
    words = [value.decode() if isinstance(value, bytes) else str(value) for value in values.ravel()]
    return np.array(words).reshape(values.shape)
