"""From what a user gives as conditions, parameters and fields, to the rows that a model is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pushforward.ensembles import Parameter
from pushforward.ensembles.condition_fields import condition_space, refined
from pushforward.errors import UsageError
from pushforward.runs.conditions import check_table, condition_table
from pushforward.spaces import Field, Space, condition_shape

__all__ = ["FIELD", "given_rows", "rows_with_fields"]

FIELD = "field"
"""Name of the field among named conditions."""


def given_rows(
    condition: Mapping[str, Any] | ArrayLike | Tensor, parameters: Sequence[Parameter], space: Space, n: int | None
) -> Float[np.ndarray, "n given"]:
    """Rows of conditions in the user's units, of whatever kind samples of the space are given with.

    Raises:
        UsageError: as `condition_table`, `check_table` and `rows_with_fields` do.
    """
    if isinstance(space, Field) and space.condition is not None:
        return rows_with_fields(condition, parameters, space, n)
    if isinstance(condition, Mapping):
        condition = condition_table(condition, parameters, n or 1)
    return check_table(condition, parameters, n)


def rows_with_fields(
    condition: Mapping[str, Any] | ArrayLike | Tensor, parameters: Sequence[Parameter], space: Field, n: int | None
) -> Float[np.ndarray, "n given"]:
    """Rows of parameters, each followed by the cells of its field, in the user's units.

    Arguments:
        condition: the fields, shape ``(m, channels, *grid)`` (or without the channels, if there is but one), on the
            grid of the condition in training; or a mapping that holds them under ``"field"``, beside a value for each
            parameter by name; or rows as they are returned here.
        parameters: of the emulator.
        space: of a sample.
        n: rows that are wanted, a multiple of m: each field is taken ``n / m`` times in a row. None takes m.

    Raises:
        UsageError: if there are no fields, or they do not fit in number, dimension or grid, or are not finite.
    """
    assert space.condition is not None
    cells, count = prod(condition_shape(space)), len(parameters)
    values: dict[str, Any] = dict(condition) if isinstance(condition, Mapping) else {FIELD: condition}
    given = values.pop(FIELD, None)
    if given is None:
        raise UsageError("these samples are conditional on a field; give one for each sample (condition=, --condition)")
    fields = _numbers(given)
    if isinstance(condition, Mapping) or fields.ndim != 2 or fields.shape[1] != count + cells:
        rows = _fitting(fields, space).reshape(-1, cells)
        size = len(rows) if n is None else n
        if size % len(rows):
            raise UsageError(f"{len(rows)} condition fields were given for {size} samples; give one for each, or one")
        rows = np.repeat(rows, size // len(rows), axis=0)
        table = condition_table(values, parameters, size)
    else:
        table, rows = np.split(fields, [count], axis=1)
        if n is not None and len(rows) != n:
            raise UsageError(f"{len(rows)} rows of conditions were given for {n} samples; give one each")
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise UsageError(f"condition field {bad[0]} holds NaN or an infinite value; mask or fill it first")
    return np.concatenate([check_table(table, parameters), rows], axis=1) if count else rows


def _numbers(given: Any) -> NDArray[np.float32]:
    try:
        return np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given, dtype=np.float32)
    except (TypeError, ValueError):
        raise UsageError("condition fields must be an array of numbers") from None


def _fitting(fields: NDArray[np.float32], space: Field) -> NDArray[np.float32]:
    """Fields on the grid of the samples, shape ``(m, channels, *grid)``."""
    wanted = space.condition
    assert wanted is not None
    if fields.shape in (wanted.grid, wanted.shape):
        fields = fields[None]
    found = condition_space(fields.shape[1:], space, "the condition")
    if found.shape != wanted.shape:
        raise UsageError(
            f"condition fields have shape {found.shape}, and those of the training had {wanted.shape}: "
            "give fields of the same kind"
        )
    if len(fields) == 0:
        raise UsageError("no condition fields were given; give one for each sample")
    if fields.shape[1:] not in (wanted.grid, wanted.shape):
        fields = np.moveaxis(fields, -1, 1)
    return refined(fields.reshape(len(fields), *wanted.shape), space.grid)
