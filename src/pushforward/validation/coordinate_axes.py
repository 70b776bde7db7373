"""Axes of single coordinates in figures: their ends, logarithmic over decades, and bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CoordinateAxis"]

DECADES = 100.0
"""Smallest ratio of the ends of the positive values of a logarithmic axis."""


@dataclass(frozen=True)
class CoordinateAxis:
    """Axis of one coordinate.

    Attributes:
        label: name of the coordinate, with its unit.
        logarithmic: whether it is logarithmic; zeros are then drawn at its lower end.
        low, high: its ends, in the unit of the coordinate.
        levels: the allowed values where there are only a few; empty for a continuous coordinate.
    """

    label: str
    logarithmic: bool
    low: float
    high: float
    levels: tuple[float, ...] = ()

    @classmethod
    def of(cls, values: np.ndarray, label: str, margin: float = 0.08, most_levels: int = 0) -> CoordinateAxis:
        """Axis that holds real values, shape (n,), with a margin; logarithmic where that spreads them more evenly."""
        levels = np.unique(values)
        if len(levels) <= most_levels and len(levels) < len(values) / 2:
            step = float(np.diff(levels).min()) if len(levels) > 1 else 1.0
            return cls(label, False, levels[0] - step / 2, levels[-1] + step / 2, tuple(levels.tolist()))
        positive = values[values > 0]
        logarithmic = bool((values >= 0).all() and 2 * len(positive) >= len(values) and _over_decades(positive))
        chosen = np.log(positive) if logarithmic else values
        low, high = np.quantile(chosen, [0.001, 0.999])
        reach = margin * (high - low) if high > low else 0.5
        low, high = low - reach, high + reach
        return (
            cls(label, True, float(np.exp(low)), float(np.exp(high))) if logarithmic else cls(label, False, low, high)
        )

    def clipped(self, values: np.ndarray) -> np.ndarray:
        """Values with those beyond a logarithmic axis, zeros among them, moved to its ends."""
        return np.clip(values, self.low, self.high) if self.logarithmic else values

    def edges(self, bins: int) -> np.ndarray:
        """Edges of bins: about the levels, or equal ones on the axis; shape (bins + 1,)."""
        if self.levels:
            levels = np.array(self.levels)
            return np.concatenate([[self.low], (levels[1:] + levels[:-1]) / 2, [self.high]])
        space = np.geomspace if self.logarithmic else np.linspace
        return space(self.low, self.high, bins + 1)

    def apply(self, axes: Axes, which: Sequence[str] = ("x",)) -> None:
        """Scale and limits of an axis of a figure."""
        for axis in which:
            if self.logarithmic:
                getattr(axes, f"set_{axis}scale")("log")
            getattr(axes, f"set_{axis}lim")(self.low, self.high)


def _over_decades(positive: np.ndarray) -> bool:
    """Whether positive values span decades, and are more even in their logarithms."""
    low, middle, high = np.quantile(positive, [0.005, 0.5, 0.995])
    if not high > DECADES * low:
        return False
    linear = (middle - low) / (high - low)
    logarithmic = np.log(middle / low) / np.log(high / low)
    return bool(abs(logarithmic - 0.5) < abs(linear - 0.5))
