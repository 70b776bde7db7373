r"""Missing values of continuous columns, modelled as an outcome of their own.

A column with gaps holds a number, or none (NaN). In network units, with a the smallest number seen, the numbers stay
where they are, those below a are squeezed into an interval of length g, and a gap is spread over a band below it:

    number   y = z                         z >= a
             y = a - g s / (g + s)         s = a - z > 0
    gap      y = a - g - 1/4 - u           u in [0, 1)

and the result is standardised. A gap has a probability, not a density: with p(y) the learned density, that of a row
with a gap is the integral of p over the band, which the average over places u estimates. Log-densities are comparable
among rows with the same gaps. Missing values are not imputed.

Source: as of `supports.Zeros`; uniform dequantisation as in `levels`, of one value.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["GapBands"]

_SQUEEZED = 0.5
"""g: length of the interval below the smallest number seen, network units."""
_CLEAR = 0.25
"""Distance of the band of gaps from this interval; a sample in the first half of it counts as a number."""
_FARTHEST = 0.95
"""Fraction of the interval that samples of numbers are clamped to."""


class GapBands(nn.Module):
    """Map of columns with gaps to the real line, and back. Set it with `fit`; other columns are unchanged.

    Arguments:
        columns: places of the columns along the last axis.
    """

    low: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, columns: Sequence[int]) -> None:
        super().__init__()
        self.columns = tuple(columns)
        for name, value in (("low", 0.0), ("mean", 0.0), ("deviation", 1.0)):
            self.register_buffer(name, torch.full((len(self.columns),), value))

    def fit(self, numbers: Sequence[NDArray[np.floating]], shares: Sequence[float]) -> None:
        """Set the constants.

        Arguments:
            numbers: numbers seen in each column, in network units.
            shares: fraction of members that lack a number in it.
        """
        for place, (values, share) in enumerate(zip(numbers, shares, strict=True)):
            seen = values.astype(np.float64)
            low = float(seen.min())
            gap = low - _SQUEEZED - _CLEAR - 0.5
            mean = (1 - share) * seen.mean() + share * gap
            square = (1 - share) * np.mean((seen - mean) ** 2) + share * ((gap - mean) ** 2 + 1 / 12)
            self.low[place], self.mean[place], self.deviation[place] = low, mean, max(square, 1e-12) ** 0.5

    def forward(self, z: Float[Tensor, "batch dim"], u: Tensor | float = 0.5) -> Float[Tensor, "batch dim"]:
        """Columns on the real line; ``u`` as in `Levels.forward`."""
        chosen, places = z[:, self.columns], u if isinstance(u, float) else u[:, self.columns]
        below = (self.low - chosen).clamp_min(0)
        numbers = chosen + below - _SQUEEZED * below / (_SQUEEZED + below)
        gaps = (self.low - _SQUEEZED - _CLEAR - places).expand_as(chosen)
        return self._put(z, (torch.where(chosen.isnan(), gaps, numbers) - self.mean) / self.deviation)

    def inverse(self, y: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """Numbers in network units, and NaN for gaps."""
        chosen = y[:, self.columns] * self.deviation + self.mean
        below = (self.low - chosen).clamp_min(0)
        inside = below.clamp_max(_FARTHEST * _SQUEEZED)
        numbers = torch.where(below > 0, self.low - _SQUEEZED * inside / (_SQUEEZED - inside), chosen)
        return self._put(y, torch.where(below > _SQUEEZED + _CLEAR / 2, torch.nan, numbers))

    def log_slope(self, z: Float[Tensor, "batch dim"], before: Float[Tensor, "batch dim"]) -> Tensor:
        """Sum of ``before``, the logarithm of the slope of all that comes before, and ``ln dy/dz``.

        At a gap it is that of the band, of length one before it is standardised.
        """
        chosen = z[:, self.columns]
        below = (self.low - chosen).clamp_min(0)
        own = before[:, self.columns] - 2 * torch.log1p(below / _SQUEEZED)
        return self._put(before, torch.where(chosen.isnan(), 0.0, own) - self.deviation.log())

    def _put(self, whole: Tensor, chosen: Tensor) -> Tensor:
        index = torch.tensor(self.columns, device=whole.device)
        return whole.index_copy(1, index, chosen.to(whole))
