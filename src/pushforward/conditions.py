"""Conditions of samples: numbers, a field, or both, one row per sample.

A `Condition` holds the conditions of a batch; its `ConditionSpace` describes one row. Ensembles and emulators hold
conditions in the user's units, networks and models in network units (see `Preprocessing.encode_condition`). An unknown
row holds NaN: training with some such rows gives one model of both the conditional and the unconditional distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.spaces import Field

__all__ = ["Condition", "ConditionSpace", "laid_out", "refined"]


@dataclass(frozen=True)
class Condition:
    """The conditions of a batch of samples.

    Attributes:
        numbers: shape ``(batch, numbers)``; None if there are none.
        field: shape ``(batch, channels, *grid)``, on a grid of its own; None if there is none.

    >>> condition = Condition(torch.tensor([[0.3, 0.8], [0.2, 0.9]]))
    >>> len(condition), condition[1:].numbers.shape
    (2, torch.Size([1, 2]))
    >>> condition.withheld(torch.tensor([True, False])).numbers.isnan().any(1).tolist()
    [True, False]
    """

    numbers: Float[Tensor, "batch numbers"] | None = None
    field: Float[Tensor, "batch channels *grid"] | None = None

    def __len__(self) -> int:
        part = self.numbers if self.numbers is not None else self.field
        return 0 if part is None else len(part)

    def __getitem__(self, rows: Any) -> Condition:
        """Rows selected by a slice, indices or a mask."""
        return self.map(lambda part: part[rows])

    def map(self, function: Callable[[Tensor], Tensor]) -> Condition:
        """Apply a function to the numbers and to the field, if present."""
        parts = (self.numbers, self.field)
        return Condition(*(None if part is None else function(part) for part in parts))

    def to(self, device: torch.device | str) -> Condition:
        """Move to a device."""
        return self.map(lambda part: part.to(device))

    def withheld(self, mask: Bool[Tensor, " batch"]) -> Condition:
        """Set the rows under ``mask`` to NaN, which means unknown."""
        return self.map(lambda part: part.masked_fill(mask.view(-1, *[1] * (part.dim() - 1)), torch.nan))

    def flat(self) -> Float[Tensor, "batch features"]:
        """Numbers and cells of each row in one vector, for distances between conditions."""
        return torch.cat([part.flatten(1) for part in (self.numbers, self.field) if part is not None], 1)

    @staticmethod
    def cat(parts: Sequence[Condition]) -> Condition:
        """Concatenate conditions of one space along the rows."""
        numbers = [part.numbers for part in parts if part.numbers is not None]
        fields = [part.field for part in parts if part.field is not None]
        return Condition(torch.cat(numbers) if numbers else None, torch.cat(fields) if fields else None)


@dataclass(frozen=True)
class ConditionSpace:
    """Space of one row of a condition; false if samples are unconditional.

    Attributes:
        numbers: count of numbers.
        field: space of the field; its grid is that of the samples, or coarser by a whole factor along each axis.
    """

    numbers: int = 0
    field: Field | None = None

    @property
    def channels(self) -> int:
        """Channels of a condition laid out on a grid: those of its field, and one per number."""
        return self.numbers + (0 if self.field is None else self.field.channels)

    def __bool__(self) -> bool:
        return self.numbers > 0 or self.field is not None

    def numbers_of(self, condition: Condition | None) -> Float[Tensor, "batch numbers"] | None:
        """The numbers of a condition; None if it has none, or there is no condition.

        Raises:
            UsageError: if the condition does not belong to this space.
        """
        if condition is None:
            return None
        length = 0 if condition.numbers is None else condition.numbers.shape[-1]
        shape = None if condition.field is None else tuple(condition.field.shape[1:])
        if (length, shape) != (self.numbers, None if self.field is None else self.field.shape):
            raise UsageError(f"expected {self}, got {_described(length, shape)}")
        return condition.numbers

    def __str__(self) -> str:
        return _described(self.numbers, None if self.field is None else self.field.shape)


def _described(numbers: int, shape: tuple[int, ...] | None) -> str:
    parts = [f"{numbers} number{'s' * (numbers > 1)}"] if numbers else []
    parts += [] if shape is None else [f"a field of shape {shape}"]
    return f"conditions of {' and '.join(parts)}" if parts else "no conditions"


def refined(
    field: Float[Tensor, "batch channels *coarse"], grid: Sequence[int]
) -> Float[Tensor, "batch channels *grid"]:
    """Refine a field to a finer grid by repeating its cells.

    Arguments:
        grid: the finer grid, a whole multiple of the field's along each axis.
    """
    for axis, cells in enumerate(grid, start=2):
        factor = cells // field.shape[axis]
        field = field.repeat_interleave(factor, axis) if factor > 1 else field
    return field


def laid_out(
    condition: Float[Tensor, "batch channels *finer"], grid: Sequence[int]
) -> Float[Tensor, "batch channels *grid"]:
    """A condition on a grid: numbers as constant fields, a field by the means of its blocks.

    Arguments:
        grid: the grid; that of a field is a whole multiple of it along each axis.
    """
    if condition.dim() == 2:
        return condition.view(*condition.shape, *[1] * len(grid)).expand(-1, -1, *grid)
    for axis, cells in enumerate(grid, start=2):
        if condition.shape[axis] != cells:
            condition = condition.unflatten(axis, (cells, -1)).mean(axis + 1)
    return condition
