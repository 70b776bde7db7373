"""Scales for the values of a field, fitted to real members.

Both maps increase, channel by channel, so peaks stay peaks and excursion sets stay excursion sets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

__all__ = ["Heights", "Values"]

SAMPLED_CELLS = 2_000_000
SKEWED = 2.0
"""Largest skewness of positive values for which no logarithm is used."""


@dataclass(frozen=True)
class Values:
    """Values, or their natural logarithm, between bounds that contain all but 1e-4 of the real cells.

    Attributes:
        logarithmic: for all channels alike.
        low, high: bounds of each channel in this scale, shape (channels,).
    """

    logarithmic: bool
    low: Float[np.ndarray, " channels"]
    high: Float[np.ndarray, " channels"]

    @classmethod
    def fit(cls, fields: Float[np.ndarray, "samples channels *grid"]) -> Values:
        cells = _cells(fields)
        logarithmic = bool((cells > 0).all() and (stats.skew(cells, axis=1) > SKEWED).any())
        cells = np.log(cells) if logarithmic else cells
        low, high = np.quantile(cells, [1e-4, 1 - 1e-4], axis=1)
        margin = np.where(high > low, 0.05 * (high - low), 0.5)
        return cls(logarithmic, low - margin, high + margin)

    def __call__(self, fields: Float[np.ndarray, "samples channels *grid"]) -> np.ndarray:
        """Fields in this scale; values beyond the bounds are moved just inside them, so that no cell is lost."""
        if self.logarithmic:
            fields = np.log(np.maximum(fields, np.finfo(np.float32).tiny))
        shape = (1, -1) + (1,) * (fields.ndim - 2)
        inset = 1e-6 * (self.high - self.low)
        return np.clip(fields, (self.low + inset).reshape(shape), (self.high - inset).reshape(shape))


@dataclass(frozen=True)
class Heights:
    """Heights nu such that real cells lie below nu as often as a standard normal number does.

    A filled fraction makes thresholds comparable between fields of any one-point distribution, which the PDF judges.

    Attributes:
        levels: nu of the table, shape (levels,).
        quantiles: of the real cells at these levels, shape (channels, levels).
    """

    levels: Float[np.ndarray, " levels"]
    quantiles: Float[np.ndarray, "channels levels"]

    @classmethod
    def fit(cls, fields: Float[np.ndarray, "samples channels *grid"]) -> Heights:
        levels = np.linspace(-4, 4, 401)
        return cls(levels, np.quantile(_cells(fields), stats.norm.cdf(levels), axis=1).T)

    def __call__(self, fields: Float[np.ndarray, "samples channels *grid"]) -> np.ndarray:
        """The fields as heights, float32; values that many real cells share get the middle of their heights."""
        heights = np.empty(fields.shape, np.float32)
        for channel, table in enumerate(self.quantiles):
            values, index = np.unique(table, return_inverse=True)
            nu = np.bincount(index, self.levels) / np.bincount(index)
            cells = fields[:, channel]
            # Beyond the table, heights keep increasing slowly, so that peaks stay peaks.
            beyond = (cells - np.clip(cells, values[0], values[-1])) / (np.ptp(values) or 1.0)
            heights[:, channel] = np.interp(cells, values, nu) + beyond
        return heights


def _cells(fields: np.ndarray) -> np.ndarray:
    """Cells of each channel, evenly thinned if there are many, shape (channels, cells), float64."""
    cells = np.moveaxis(fields, 1, 0).reshape(fields.shape[1], -1)
    return cells[:, :: max(1, cells.shape[1] // SAMPLED_CELLS)].astype(float)
