"""Observation times, noise and missing values of simulated series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import UsageError

__all__ = ["irregular_times", "observed", "uniform"]

Array = NDArray[np.float64]


def uniform(rng: np.random.Generator, low: float, high: float, count: int) -> Array:
    """Uniform numbers in [low, high), shape ``(count, 1)``: one parameter per series."""
    return rng.uniform(low, high, (count, 1))


def irregular_times(rng: np.random.Generator, count: int, length: int, duration: float) -> Array:
    """Times of a Poisson process in [0, duration), given their number; ascending, shape ``(count, length)``."""
    return np.sort(rng.uniform(0, duration, (count, length)), axis=1)


def observed(rng: np.random.Generator, times: Array, truth: Array, noise: float, missing: float) -> NDArray[np.float32]:
    """Timed series of noisy values, some of them missing, shape ``(count, length, 1 + dim)``.

    Arguments:
        times: shape ``(count, length)``.
        truth: noiseless values at these times, shape ``(count, length, dim)``.
        noise: standard deviation, in the units of the values.
        missing: fraction of values that were not observed, at random.

    Raises:
        UsageError: if the noise is negative, or the fraction is not in [0, 1).
    """
    if noise < 0:
        raise UsageError(f"noise must not be negative; got {noise:g}")
    if not 0 <= missing < 1:
        raise UsageError(f"missing must be a fraction in [0, 1); got {missing:g}")
    values = truth + noise * rng.standard_normal(truth.shape)
    values[rng.random(truth.shape) < missing] = np.nan
    return np.concatenate([times[..., None], values], axis=-1).astype(np.float32)
