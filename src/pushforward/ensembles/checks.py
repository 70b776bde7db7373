"""Checks of ensembles before training, and of each batch.

Every function raises a `DataError` with one sentence: what is wrong, where it is, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pushforward.ensembles.members import Members
from pushforward.ensembles.series import check_series
from pushforward.ensembles.stores import Rows
from pushforward.errors import DataError
from pushforward.spaces import Series, Space

if TYPE_CHECKING:
    from pushforward.ensembles.ensemble import Ensemble, Parameter

__all__ = ["MINIMUM_MEMBERS", "check_batch", "check_conditions", "check_ensemble", "too_few"]

MINIMUM_MEMBERS = 10
SCANNED = 512 * 2**20
_BATCH = 32 * 2**20


def too_few(count: int, name: str) -> str:
    """Error message for an ensemble that is too small to train on."""
    return (
        f"{name} has {count} member{'s' * (count != 1)}, but training needs at least {MINIMUM_MEMBERS} (hundreds are "
        "better); give more members, or cut large fields with crop"
    )


def check_batch(
    batch: NDArray[np.float32], rows: Rows, members: Members, space: Space | None = None, what: str = ""
) -> None:
    """Raise if a value of the batch is NaN or infinite, naming the member after the prefix ``what``.

    A series may have missing values, and so may the columns of a vector that have gaps.

    If every value is finite, so is the sum, with rare exceptions: one pass without a temporary decides the common case.
    """
    if isinstance(space, Series):
        fault = check_series(batch, space)
        if fault is not None:
            raise DataError(f"{members.where(int(rows[fault[0]]))} {fault[1]}; fix or leave out such members first")
        return
    gaps = list(getattr(space, "gaps", ()))
    if gaps:
        batch = batch.copy()
        batch[:, gaps] = np.where(np.isnan(batch[:, gaps]), 0, batch[:, gaps])
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(batch.sum()):
            return
    bad = np.flatnonzero(~np.isfinite(batch).reshape(len(batch), -1).all(axis=1))
    if len(bad) == 0:
        return
    first = batch[bad[0]]
    share = float(np.mean(~np.isfinite(first)))
    where = f"in {share:.2g} of its values" if share < 1 else "in all of its values"
    if np.isnan(first).any():
        advice = "NaN {}; give --missing drop, fill or mask"
    else:
        advice = "an infinite value (or one too large for float32) {}; fix it, or divide large numbers by a unit"
    raise DataError(f"{what}{members.where(int(rows[bad[0]]))} holds {advice.format(where)}")


def check_conditions(conditions: NDArray[np.float32], parameters: Sequence[Parameter], count: int, name: str) -> None:
    """Raise unless each member has one finite condition per parameter, and labels are known classes."""
    if len(conditions) != count:
        raise DataError(
            f"there are {len(conditions)} rows of conditions, but {name} has {count} members; give one row per member"
        )
    if conditions.ndim != 2 or conditions.shape[1] != len(parameters):
        raise DataError(
            f"the conditions of {name} have shape {conditions.shape}, but there are {len(parameters)} names: "
            f"{', '.join(p.name for p in parameters)}; give one name per column"
        )
    names = [p.name for p in parameters]
    if len(set(names)) != len(names):
        raise DataError(f"two parameters of {name} have the same name: {', '.join(names)}")
    bad = np.argwhere(~np.isfinite(conditions))
    if len(bad):
        row, column = bad[0]
        raise DataError(f"the condition {names[column]!r} of member {row} of {name} is {conditions[row, column]}")
    for column, parameter in enumerate(parameters):
        if parameter.classes:
            values = conditions[:, column]
            if (values != np.round(values)).any() or values.min() < 0 or values.max() >= len(parameter.classes):
                raise DataError(
                    f"the label {parameter.name!r} has {len(parameter.classes)} classes, but its column holds "
                    f"values from {values.min():g} to {values.max():g}; give the index of the class, from 0"
                )


def check_ensemble(ensemble: Ensemble) -> None:
    """Raise if there are too few members to train on, a value is not finite, or all values are equal."""
    count = len(ensemble)
    if count < MINIMUM_MEMBERS:
        raise DataError(too_few(count, ensemble.name))
    member_bytes = 4 * ensemble.space.size
    scanned = np.arange(count)
    if count * member_bytes > SCANNED:
        scanned = np.unique(np.linspace(0, count - 1, max(1, SCANNED // member_bytes)).astype(np.int64))
    step = max(1, _BATCH // member_bytes)
    low, high = np.inf, -np.inf
    for start in range(0, len(scanned), step):
        batch = ensemble.take(scanned[start : start + step])
        values = batch[..., 1:] if ensemble.space.timed else batch
        low, high = min(low, np.nanmin(values)), max(high, np.nanmax(values))
    if low == high:
        # Not their value: whole numbers are placed within their cells by now.
        raise DataError(f"all values of {ensemble.name} are equal in float32: constant data cannot be learned from")
