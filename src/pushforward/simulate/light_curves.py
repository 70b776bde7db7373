r"""Light curves of long-period variable stars (Miras), observed only in the season when they are visible.

.. math:: m(t) = m_0 - A \left[\cos\phi + \tfrac{h}{2} \cos(2\phi + \psi)\right], \qquad \phi = 2\pi t / P + \phi_0

The Sun hides a star for some months of every year, and the survey leaves gaps of nights between observations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import UsageError
from pushforward.simulate.simulated import Simulated, simulator
from pushforward.simulate.times import observed, uniform
from pushforward.spaces import Series

__all__ = ["draw_stars", "light_curve", "magnitudes"]

Array = NDArray[np.float64]
YEAR = 365.25


@simulator
def light_curve(
    count: int,
    seed: int = 0,
    *,
    length: int = 60,
    years: float = 4.0,
    gap: float = 0.4,
    noise: float = 0.05,
    parameters: bool = False,
) -> Simulated:
    """Magnitudes of periodic variable stars with seasonal gaps, timed series of shape ``(count, length, 2)``.

    Periods are log-uniform in 200 to 500 days, half-amplitudes uniform in 0.5 to 1.5 mag, mean magnitudes in 11 to
    13, and the second harmonic has up to half the amplitude of the first. Each star has its own dark season. ``truth``
    holds the noiseless magnitudes at the times of observation.

    Arguments:
        length: observations per star.
        years: duration of the survey.
        gap: fraction of every year in which a star is not visible.
        noise: standard deviation of a magnitude's error.
        parameters: give the period (days) as a condition.

    Raises:
        UsageError: if an option is out of range.
    """
    if length < 2 or years <= 0:
        raise UsageError(f"length is {length} and years {years:g}; give at least 2 rows and a positive time")
    if not 0 <= gap < 1:
        raise UsageError(f"gap is {gap:g}; give a fraction of a year in [0, 1)")
    rng = np.random.default_rng(seed)
    stars = draw_stars(rng, count)
    times = _seasonal_times(rng, count, length, years, gap)
    truth = magnitudes(stars, times)
    x = observed(rng, times, truth, noise, missing=0.0)
    return Simulated(
        x,
        Series(1, length, timed=True),
        conditions=stars[:, 2:3].astype(np.float32) if parameters else None,
        names=("period",) if parameters else (),
        truth=truth,
        notes=(f"magnitude over time (days), with an error of {noise:g} mag and a gap every year",),
    )


def draw_stars(rng: np.random.Generator, count: int) -> Array:
    """Random parameters of stars for `magnitudes`, shape ``(count, 6)``."""
    mean, amplitude = uniform(rng, 11, 13, count), uniform(rng, 0.5, 1.5, count)
    period = np.exp(uniform(rng, np.log(200), np.log(500), count))
    phase, shift = uniform(rng, 0, 2 * np.pi, count), uniform(rng, 0, 2 * np.pi, count)
    return np.concatenate([mean, amplitude, period, phase, uniform(rng, 0, 1, count), shift], axis=1)


def magnitudes(stars: Array, times: Array) -> Array:
    """Noiseless magnitudes, shape ``(count, T, 1)``.

    Arguments:
        stars: mean magnitude, half-amplitude (mag), period (days), phase at time zero, strength of the second harmonic
            and its phase, shape ``(count, 6)``; phases in rad.
        times: in days, shape ``(count, T)``.
    """
    mean, amplitude, period, phase, harmonic, shift = (each[:, None] for each in stars.T)
    angle = 2 * np.pi * times / period + phase
    return (mean - amplitude * (np.cos(angle) + harmonic / 2 * np.cos(2 * angle + shift)))[..., None]


def _seasonal_times(rng: np.random.Generator, count: int, length: int, years: float, gap: float) -> Array:
    """Ascending times in days, uniform over the visible part of each year."""
    start = rng.random((count, 1))

    def visible(t: Array) -> NDArray[np.bool_]:
        return (t - start) % 1 >= gap

    times = rng.uniform(0, years, (count, length))
    hidden = ~visible(times)
    while hidden.any():
        times = np.where(hidden, rng.uniform(0, years, times.shape), times)
        hidden = ~visible(times)
    return YEAR * np.sort(times, axis=1)
