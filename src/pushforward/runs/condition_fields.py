"""Conversion of a user's parameters and fields to a `Condition` in the user's units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pushforward.conditions import Condition
from pushforward.ensembles import Parameter
from pushforward.ensembles.condition_fields import field_space
from pushforward.errors import UsageError
from pushforward.runs.conditions import check_table, condition_table
from pushforward.spaces import Field, Space

__all__ = ["FIELD", "Written", "condition_of"]

FIELD = "field"
"""Name of the field among named conditions."""

Written = Mapping[str, Any] | ArrayLike | Tensor | Condition
"""Values of parameters by name and fields as ``"field"``; or rows of parameters; or fields; or a `Condition`."""


def condition_of(
    written: Written, parameters: Sequence[Parameter], space: Space, field: Field | None, n: int | None
) -> Condition:
    """The user's conditions, one row per sample.

    Arguments:
        written: see `Written`. Fields have the shape ``(m, channels, *grid)`` (or no channel axis, if there is only
            one), on the grid of the condition in training. An array holds fields if the condition has a field, else
            rows of parameters, shape ``(n, parameters)``.
        parameters: of the emulator.
        space: of a sample.
        field: of the condition; None if it has none.
        n: number of rows, a multiple of m: each field is repeated ``n / m`` times in succession. None: as many as
            were written.

    Raises:
        UsageError: as `condition_table` and `check_table`; if fields are missing or not expected, have the wrong
            number, dimension or grid, or are not finite.
    """
    named: Mapping[str, Any]
    rows: Any
    fields: Any
    if isinstance(written, Condition):
        named, rows, fields = {}, written.numbers, written.field
    elif isinstance(written, Mapping):
        named = {name: value for name, value in written.items() if name != FIELD or field is None}
        rows, fields = None, None if field is None else written.get(FIELD)
    else:
        named, rows, fields = {}, written if field is None else None, None if field is None else written
    found = None
    if field is not None:
        if fields is None:
            raise UsageError("these samples are conditional on a field; give one per sample (condition=, --condition)")
        found = _fields(fields, space, field, n)
        n = len(found)
    elif fields is not None:
        raise UsageError("these samples are not conditional on a field; leave it out")
    if rows is not None:
        table = check_table(rows.cpu() if isinstance(rows, Tensor) else rows, parameters, n)
    else:
        table = condition_table(named, parameters, 1 if n is None else n)
    return Condition(torch.tensor(table) if parameters else None, found)


def _fields(given: Any, space: Space, field: Field, n: int | None) -> Float[Tensor, "n channels *grid"]:
    fields = _fitting(_numbers(given), space, field)
    size = len(fields) if n is None else n
    if size % len(fields):
        raise UsageError(f"{len(fields)} condition fields were given for {size} samples; give one per sample, or one")
    bad = np.flatnonzero(~np.isfinite(fields).reshape(len(fields), -1).all(axis=1))
    if len(bad):
        raise UsageError(f"condition field {bad[0]} holds NaN or an infinite value; mask or fill it first")
    return torch.from_numpy(np.repeat(fields, size // len(fields), axis=0))


def _numbers(given: Any) -> NDArray[np.float32]:
    try:
        return np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given, dtype=np.float32)
    except (TypeError, ValueError):
        raise UsageError("condition fields must be an array of numbers") from None


def _fitting(fields: NDArray[np.float32], space: Space, wanted: Field) -> NDArray[np.float32]:
    """Fields with the channel axis before the grid, shape ``(m, channels, *grid)``."""
    if fields.shape in (wanted.grid, wanted.shape):
        fields = fields[None]
    found = field_space(fields.shape[1:], cast(Field, space), "the condition")
    if found.shape != wanted.shape:
        raise UsageError(
            f"condition fields have shape {found.shape}, but those in training had {wanted.shape}; give fields of "
            "that shape"
        )
    if len(fields) == 0:
        raise UsageError("no condition fields were given; give one per sample")
    if fields.shape[1:] not in (wanted.grid, wanted.shape):
        fields = np.moveaxis(fields, -1, 1)
    return fields.reshape(len(fields), *wanted.shape)
