"""Numbers with a large offset (Julian dates, UNIX times), whose differences float32 would lose.

They stay in float64 until their offset is subtracted. float32 has a relative precision of 2^-24: 0.15 days for a
Julian date.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.ensembles.channels import channel_axis, trailing_axes
from pushforward.spaces import Space

__all__ = ["laid_along", "loses_differences", "narrowed", "origin_of", "without_origin"]

_FINEST = 1e-5
"""Largest rounding error of differences, as a fraction of the standard deviation."""


def loses_differences(values: NDArray[np.floating]) -> bool:
    """Whether rounding to float32 changes differences by more than a small fraction of their scatter."""
    if values.dtype.itemsize < 8:
        return False
    seen = values[np.isfinite(values)]
    if len(seen) < 2:
        return False
    with np.errstate(over="ignore"):
        scatter = seen.std()
    return bool(np.abs(seen).max() * 2.0**-24 > _FINEST * scatter > 0)


def narrowed(columns: NDArray[np.floating]) -> NDArray[np.floating]:
    """Table as float32, or as float64 if the differences in one of its columns need it."""
    wide = any(loses_differences(columns[:, number]) for number in range(columns.shape[1]))
    return np.ascontiguousarray(columns, dtype=np.float64 if wide else np.float32)


def origin_of(space: Space, x: NDArray[np.floating]) -> tuple[float, ...]:
    """Offset of each channel that needs float64, rounded to a whole number; 0 for other channels.

    Empty if no channel needs it.
    """
    if x.dtype.itemsize < 8:
        return ()
    channels = np.moveaxis(x, channel_axis(space), 0)
    origin = tuple(float(np.round(np.nanmean(values))) if loses_differences(values) else 0.0 for values in channels)
    return origin if any(origin) else ()


def without_origin(x: Tensor, origin: Sequence[float], space: Space) -> Tensor:
    """Samples without the offsets of their channels."""
    if not origin:
        return x
    return (x.double() - laid_along(origin, space, x.double())).float()


def laid_along(origin: Sequence[float], space: Space, like: Tensor) -> Tensor:
    """Offsets of channels in a shape that broadcasts with a batch."""
    return torch.tensor(origin, dtype=like.dtype, device=like.device).reshape(-1, *[1] * trailing_axes(space))
