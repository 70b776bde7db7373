r"""Damped pendulums of unknown length and damping, released at rest and observed at irregular times.

.. math:: \ddot\theta = -\frac{g}{l} \sin\theta - \gamma \dot\theta

with the length :math:`l` in m, the damping :math:`\gamma` in 1/s, :math:`g` = 9.81 m/s^2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pushforward.dynamics import shared_step
from pushforward.dynamics.tableau import RK4
from pushforward.errors import UsageError
from pushforward.simulate.simulated import Simulated, simulator
from pushforward.simulate.times import irregular_times, observed, uniform
from pushforward.spaces import Series

__all__ = ["damped_pendulum", "draw_pendulums", "swing"]

Array = NDArray[np.float64]
GRAVITY = 9.81
STEP = 0.01
"""Longest step of the integration, in s: a fiftieth of a radian of the fastest pendulum, with an error near 1e-8."""


@simulator
def damped_pendulum(
    count: int,
    seed: int = 0,
    *,
    length: int = 50,
    duration: float = 10.0,
    noise: float = 0.1,
    missing: float = 0.2,
    parameters: bool = False,
) -> Simulated:
    """Angle (rad) and angular velocity (rad/s) of damped pendulums, timed series of shape ``(count, length, 3)``.

    Lengths are uniform in 0.5 to 1.5 m, dampings in 0.1 to 0.5 per s, angles of release in 0.5 to 2.5 rad to either
    side. ``truth`` holds the noiseless values at the times of observation, including missing ones.

    Arguments:
        length: observations per series.
        duration: time span of a series, s.
        noise: standard deviation of the error of either value, in rad and rad/s.
        missing: fraction of the values that are missing.
        parameters: give the pendulum's length and damping as conditions.

    Raises:
        UsageError: if an option is out of range.
    """
    if length < 2 or duration <= 0:
        raise UsageError(f"length is {length} and duration {duration:g}; give at least 2 rows and a positive time")
    rng = np.random.default_rng(seed)
    pendulums = draw_pendulums(rng, count)
    times = irregular_times(rng, count, length, duration)
    truth = swing(pendulums, times)
    x = observed(rng, times, truth, noise, missing)
    return Simulated(
        x,
        Series(2, length, timed=True),
        conditions=pendulums[:, :2].astype(np.float32) if parameters else None,
        names=("length", "damping") if parameters else (),
        truth=truth,
        notes=(f"angle (rad) and angular velocity (rad/s) over time (s), with an error of {noise:g}",),
    )


def draw_pendulums(rng: np.random.Generator, count: int) -> Array:
    """Length (m), damping (1/s) and angle of release (rad) of pendulums, shape ``(count, 3)``."""
    metres, damping = uniform(rng, 0.5, 1.5, count), uniform(rng, 0.1, 0.5, count)
    angle = uniform(rng, 0.5, 2.5, count) * rng.choice([-1.0, 1.0], (count, 1))
    return np.concatenate([metres, damping, angle], axis=1)


def swing(pendulums: Array, times: Array) -> Array:
    """Angle and angular velocity at given times, shape ``(count, T, 2)``, in rad and rad/s.

    Arguments:
        pendulums: length (m), damping (1/s) and angle of release (rad) of each, shape ``(count, 3)``.
        times: since the release, not negative, ascending, shape ``(count, T)``, s.
    """
    metres, damping, angle = pendulums.T

    def slope(state: Array) -> Array:
        return np.stack([state[1], -GRAVITY / metres * np.sin(state[0]) - damping * state[1]])

    steps = max(1, int(np.ceil(times.max() / STEP)))
    dt = times.max() / steps
    states = np.empty((steps + 1, 2, len(pendulums)))
    slopes = np.empty_like(states)
    states[0] = angle, np.zeros_like(angle)
    for step in range(steps):
        states[step + 1], (slopes[step], *_) = shared_step(RK4, lambda y, _: slope(y), states[step], dt)
    slopes[steps] = slope(states[steps])
    return _hermite(states, slopes, dt, times)


def _hermite(states: Array, slopes: Array, dt: float, times: Array) -> Array:
    """Cubic Hermite interpolation of states and slopes at multiples of ``dt``, shape ``(count, T, 2)``."""
    before = np.clip((times / dt).astype(np.intp), 0, len(states) - 2)
    u = (times / dt - before)[..., None]
    row = np.arange(len(times))[:, None]
    y0, y1, s0, s1 = (each[before + k, :, row] for each in (states, slopes) for k in (0, 1))
    return (
        y0 * (1 + 2 * u) * (1 - u) ** 2
        + s0 * dt * u * (1 - u) ** 2
        + y1 * u**2 * (3 - 2 * u)
        + s1 * dt * u**2 * (u - 1)
    )
