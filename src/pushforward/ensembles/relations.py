"""Exact linear relations among the values of a sample, such as a centre of mass at zero.

Samples that obey them lie in a lower-dimensional plane, and have no density in the full space: the density of a model
would be determined by its resolution, and grow without bound in training. Of members with more values than these can
tell, only one relation of fields is looked for: a channel whose mean over the cells is the same in every field.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from pushforward.spaces import Field, Space, Vector

__all__ = ["described", "relations_among"]

_LARGEST = 1024
_FEWEST_FIELDS = 8
_EXACT = 1e-10
"""Variance of standardised values along a direction that counts as zero: that of float32 rounding."""
_SAME_MEAN = 1e-12
"""Variance of the mean of a field, in units of that of its cells, that counts as zero; for white noise, it is one over
the number of cells."""


@singledispatch
def relations_among(space: Space, x: NDArray[np.floating]) -> int:
    """Number of independent linear relations obeyed by all samples, shape ``(members, *space.shape)``."""
    return 0


@relations_among.register
def _(space: Field, x: NDArray[np.floating]) -> int:
    found = _linear(x)
    if found or len(x) < _FEWEST_FIELDS:
        return found
    cells = x.reshape(*x.shape[:2], -1)
    means = cells.mean(2, dtype=np.float64).var(0)
    return int((means < _SAME_MEAN * cells.var((0, 2), dtype=np.float64)).sum())


@relations_among.register
def _(space: Vector, x: NDArray[np.floating]) -> int:
    return _linear(x)


def _linear(x: NDArray[np.floating]) -> int:
    rows = x.reshape(len(x), -1).astype(np.float64)
    rows = rows[~np.isnan(rows).any(1)]
    count, size = rows.shape
    if not 1 < size <= _LARGEST or count < 2 * size:
        return 0
    deviations = rows.std(axis=0)
    varying = deviations > 0
    standard = (rows - rows.mean(axis=0))[:, varying] / deviations[varying]
    variances = np.linalg.eigvalsh(standard.T @ standard / count)
    return int((variances < _EXACT).sum())


def described(relations: int) -> list[str]:
    """A line for the terminal and the report, if there are relations."""
    if not relations:
        return []
    return [f"values obey {relations} exact linear relation{'s' * (relations > 1)}: samples have no density"]
