r"""Discrete values: spins, counts, grey levels.

A value is the i-th of the allowed ones. A model of densities gets :math:`y = i + u` with u uniform in [0, 1) (uniform
dequantisation), and its samples are mapped back by the integer part, so they are allowed values exactly. With p(y) the
learned density,

.. math:: \log P(x) = \log \int_0^1 p(i + u)\, du \ge \mathrm{E}_u \log p(i + u),

a bound that is tight where p is constant over each cell.

Source: Theis, van den Oord and Bethge 2016 (arXiv:1511.01844), section 3.1; Uria, Murray and Larochelle 2013.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["Allowed", "Levels", "allowed_values"]

FEW = 64
"""Largest number of distinct values, other than whole numbers, that count as discrete at any spacing."""
OFTEN = 20
"""Smallest mean number of occurrences of each distinct value."""
MOST_STEPS, UNEVENNESS = 1024, 0.01
"""Largest number of even steps between non-integer levels, and largest deviation from them, in steps."""
COMMON = 0.2
"""Smallest frequency of the largest value, in units of the mean frequency, for which it is a bound."""
LARGEST_SCALE = 2**16
"""Largest number of integer grey levels."""
LARGEST = 2**22
"""Largest whole number that float32 can tell from its dequantised neighbours."""
ROUNDING = 0.01
"""Largest deviation of a value from an allowed one, relative to the distance between the two nearest to each other."""
SURPRISING = 5.0
"""Smallest expected number of occurrences, from the two neighbours, for which an absent value counts as impossible."""


@dataclass(frozen=True)
class Allowed:
    """Allowed values of a channel.

    Attributes:
        least: smallest whole number; None if ``values`` lists the allowed ones.
        most: largest whole number; None if there is no bound.
        values: allowed values in ascending order, if they are not consecutive whole numbers.
        gap: whether a value may be missing (NaN), which has a cell of its own below that of the smallest.
    """

    least: int | None = None
    most: int | None = None
    values: tuple[float, ...] = ()
    gap: bool = False

    def describe(self) -> str:
        if self.values:
            listed = ", ".join(f"{value:g}" for value in self.values[:8])
            return f"one of {len(self.values)} values: {listed}{', ...' if len(self.values) > 8 else ''}"
        return f"whole numbers from {self.least}" + ("" if self.most is None else f" to {self.most}")

    def to_dict(self) -> dict[str, Any]:
        gap = {"gap": True} if self.gap else {}
        return {"least": self.least, "most": self.most, "values": list(self.values), **gap}


def allowed_values(values: NDArray[np.float32]) -> Allowed | None:
    """Allowed values inferred from some values; None if they are continuous.

    Whole numbers are discrete. So are other numbers that occur many times each, if they are few or evenly spaced.
    """
    distinct = np.unique(values)
    if len(distinct) < 2 or not np.isfinite(distinct).all():
        return None
    if (distinct == np.round(distinct)).all() and np.abs(distinct).max() < LARGEST:
        least, most = int(distinct[0]), int(distinct[-1])
        if len(distinct) == most - least + 1:
            # The largest count is rare and not a bound; the largest grey level is as frequent as others.
            common = np.mean(values == most) * len(distinct) >= COMMON
            return Allowed(least, most if (common and len(distinct) <= LARGEST_SCALE) or len(distinct) == 2 else None)
        if len(distinct) > FEW or most - least > values.size:
            return Allowed(least)
        if len(distinct) * OFTEN > values.size:
            return Allowed(least, most)
        return Allowed(values=tuple(distinct.tolist())) if _impossible_between(values) else Allowed(least)
    if len(distinct) * OFTEN > values.size:
        return None
    if len(distinct) <= FEW:
        return Allowed(values=tuple(distinct.tolist()))
    return _even_levels(distinct.astype(np.float64))


def _impossible_between(values: NDArray[np.float32]) -> bool:
    """Whether numbers are absent where their neighbours are frequent; a gap in the tail of a distribution is chance."""
    distinct, counts = np.unique(values, return_counts=True)
    expected = np.sqrt(counts[1:].astype(float) * counts[:-1])
    return bool((expected[np.diff(distinct) > 1] >= SURPRISING).any())


def _even_levels(distinct: NDArray[np.float64]) -> Allowed | None:
    """Evenly spaced levels, such as the 256 grey levels of a picture from 0 to 1; None if the spacing is uneven."""
    span = distinct[-1] - distinct[0]
    steps = int(np.round(span / np.diff(distinct).min()))
    if steps >= MOST_STEPS:
        return None
    positions = (distinct - distinct[0]) / span * steps
    if np.abs(positions - np.round(positions)).max() > UNEVENNESS:
        return None
    return Allowed(values=tuple((distinct[0] + span / steps * np.arange(steps + 1)).astype(np.float32).tolist()))


class Levels(nn.Module):
    """Map of the discrete channels of a sample to their cells, and back; other channels pass unchanged.

    Arguments:
        allowed: allowed values of each channel; None for a continuous one.
        axis: channel axis of a batch.
    """

    def __init__(self, allowed: Sequence[Allowed | None], axis: int) -> None:
        super().__init__()
        self.allowed, self.axis = tuple(allowed), axis
        for number, each in enumerate(self.allowed):
            if each is not None and each.values:
                table = torch.tensor(each.values, dtype=torch.float64)
                self.register_buffer(f"table_{number}", table, persistent=False)

    def __bool__(self) -> bool:
        return any(each is not None for each in self.allowed)

    def forward(self, x: Float[Tensor, "batch *shape"], u: Tensor | float = 0.5) -> Float[Tensor, "batch *shape"]:
        """Values in their cells: ``i + u`` of discrete channels.

        Arguments:
            u: position within the cell, in [0, 1): one per value of ``x``, or one for all.
        """
        if not self:
            return x
        places = torch.full_like(x, u) if isinstance(u, float) else u
        return self._each(x, places, self._cell, lambda x, _: x)

    def contains(self, x: Float[Tensor, "batch *shape"]) -> Tensor:
        """Whether each value is allowed, bool; missing values (NaN) and those of continuous channels are."""
        everywhere = torch.ones_like(x, dtype=torch.bool)
        return self._each(x, everywhere, self._is_allowed, lambda _, everywhere: everywhere)

    def inverse(self, y: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Allowed values: those of the cell that contains each number or is nearest to it."""
        return self._each(y, y, lambda number, y, _: self._value(number, y), lambda y, _: y)

    def _each(self, x: Tensor, other: Tensor, function: Any, otherwise: Any) -> Tensor:
        """``function(number, x, other)`` of each discrete channel, and ``otherwise(x, other)`` of continuous ones."""
        if not self:
            return otherwise(x, other)
        channels, others = x.unbind(self.axis), other.unbind(self.axis)
        # One set of values for all channels if they share their preprocessing.
        numbers = range(len(channels)) if len(self.allowed) > 1 else [0] * len(channels)
        return torch.stack(
            [
                otherwise(x, extra) if self.allowed[number] is None else function(number, x, extra)
                for number, x, extra in zip(numbers, channels, others, strict=True)
            ],
            self.axis,
        )

    def _cell(self, number: int, x: Tensor, u: Tensor) -> Tensor:
        allowed = self.allowed[number]
        assert allowed is not None
        absent = u - 1 if allowed.gap else x
        if not allowed.values:
            assert allowed.least is not None
            return torch.where(x.isnan(), absent, torch.round(x) - allowed.least + u)
        table = self._table(number, x)
        return torch.where(x.isnan(), absent, _nearest(table, x).to(x.dtype) + u)

    def _is_allowed(self, number: int, x: Tensor, _: Tensor) -> Tensor:
        allowed = self.allowed[number]
        assert allowed is not None
        if allowed.values:
            table = self._table(number, x)
            return x.isnan() | ((x - table[_nearest(table, x)]).abs() <= ROUNDING * table.diff().min())
        assert allowed.least is not None
        least, most = float(allowed.least), torch.inf
        if allowed.most is not None:
            most = float(allowed.most)
        else:
            # Of unbounded numbers the smallest is only the smallest seen; those that may be counts are not negative.
            least = 0.0 if allowed.least >= 0 else -torch.inf
        whole = ((x - x.round()).abs() <= ROUNDING) & (x >= least - ROUNDING) & (x <= most + ROUNDING)
        return x.isnan() | (whole & x.isfinite())

    def _value(self, number: int, y: Tensor) -> Tensor:
        allowed = self.allowed[number]
        assert allowed is not None
        if allowed.gap:
            y = torch.where(y < 0, torch.nan, y)
        cell = y.floor().clamp(min=0)
        if allowed.values:
            values = self._table(number, y)[cell.nan_to_num(0).clamp(max=len(allowed.values) - 1).long()]
            return torch.where(y.isnan(), y, values)
        assert allowed.least is not None
        top = None if allowed.most is None else allowed.most - allowed.least
        return cell.clamp(max=top) + allowed.least if top is not None else cell + allowed.least

    def _table(self, number: int, like: Tensor) -> Tensor:
        return getattr(self, f"table_{number}").to(like)

    def to_list(self) -> list[dict[str, Any] | None]:
        """Plain values for `from_list`."""
        return [None if each is None else each.to_dict() for each in self.allowed]

    @classmethod
    def from_list(cls, values: Sequence[dict[str, Any] | None], axis: int) -> Self:
        made = [None if each is None else Allowed(**{**each, "values": tuple(each["values"])}) for each in values]
        return cls(made, axis)


def _nearest(table: Float[Tensor, " values"], x: Tensor) -> Tensor:
    """Index of the value of an increasing table that is nearest to each number, int64."""
    return torch.searchsorted((table[1:] + table[:-1]) / 2, x.contiguous())
