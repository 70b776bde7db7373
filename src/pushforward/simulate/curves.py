r"""Curves in the plane, blurred by Gaussian noise of standard deviation :math:`\sigma`.

.. math:: x = c(s) + \sigma \epsilon, \qquad p(x) = \int N(x; c(s), \sigma^2 1)\, w(s)\, ds,

with the integral to quadrature: the density is exact to rounding, and so is the entropy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from pushforward.simulate.plane import Centres, entropy_on_grid, labelled, positive
from pushforward.simulate.simulated import Exact, Simulated

__all__ = ["circles", "s_curve", "spirals", "swiss_roll", "two_moons"]

Curve = Callable[[np.ndarray], np.ndarray]
"""Position (..., 2) on a curve at its parameter in [0, 1]."""


def _moon(upper: bool) -> Curve:
    def curve(u: np.ndarray) -> np.ndarray:
        angle = np.pi * u
        if upper:
            return np.stack([np.cos(angle), np.sin(angle)], -1)
        return np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], -1)

    return curve


def _circle(radius: float) -> Curve:
    return lambda u: radius * np.stack([np.cos(2 * np.pi * u), np.sin(2 * np.pi * u)], -1)


def _spiral(sign: float, turns: float, radius: float) -> Curve:
    def curve(u: np.ndarray) -> np.ndarray:
        # the square root spreads the points evenly along the arm
        part = np.sqrt(u)
        angle = 2 * np.pi * turns * part
        return sign * radius * part[..., None] * np.stack([-np.cos(angle), np.sin(angle)], -1)

    return curve


def _roll(scale: float) -> Curve:
    def curve(u: np.ndarray) -> np.ndarray:
        angle = 1.5 * np.pi * (1 + 2 * u)
        return angle[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1) * scale

    return curve


def _bend(scale: float) -> Curve:
    def curve(u: np.ndarray) -> np.ndarray:
        angle = 3 * np.pi * (u - 0.5)
        return scale * np.stack([np.sin(angle), np.sign(angle) * (np.cos(angle) - 1)], -1)

    return curve


def _blurred(
    curves: tuple[Curve, ...], noise: float, count: int, seed: int, labels: bool, names: tuple[str, ...], key: tuple
) -> Simulated:
    """Equal numbers of points on every curve, at independent uniform parameters."""
    positive(noise=noise)
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.arange(count) % len(curves))
    u = rng.uniform(size=count)
    points = np.zeros((count, 2))
    for index, curve in enumerate(curves):
        points[label == index] = curve(u[label == index])
    points += noise * rng.normal(size=(count, 2))
    return labelled(points, _exact(curves, noise, key), label if labels else None, names)


_known: dict[tuple, Exact] = {}


def _exact(curves: tuple[Curve, ...], noise: float, key: tuple) -> Exact:
    if key not in _known:
        fine = np.concatenate([curve(np.linspace(0, 1, 4001)) for curve in curves])
        length = np.linalg.norm(np.diff(fine, axis=0), axis=1)[:4000].sum()
        # nodes closer than a quarter of the noise along the curve, at the midpoints of equal intervals
        count = int(np.clip(8 * length / noise, 200, 20_000))
        middle = (np.arange(count) + 0.5) / count
        density = Centres(np.concatenate([curve(middle) for curve in curves]), noise)
        margin = 7 * noise
        low, high = fine.min(0) - margin, fine.max(0) + margin
        entropy = cache(lambda: entropy_on_grid(density, tuple(low), tuple(high), max(noise / 3, 0.004)))
        _known[key] = _LazyExact(density, entropy)
    return _known[key]


class _LazyExact(Exact):
    """The entropy takes a second to integrate, so it is only integrated when it is asked for."""

    def __init__(self, density: Centres, entropy: Callable[[], float]) -> None:
        object.__setattr__(self, "log_prob", density)
        object.__setattr__(self, "power_spectrum", None)
        object.__setattr__(self, "_entropy", entropy)

    @property
    def entropy(self) -> float:  # type: ignore[override]
        return self._entropy()


def two_moons(count: int, seed: int = 0, noise: float = 0.1, labels: bool = False) -> Simulated:
    """Two interleaved half circles of radius 1: the definition of scikit-learn's ``make_moons``.

    There the angles are equally spaced; here they are uniform, so that members are independent. With ``noise=0.1`` the
    entropy is 1.007 nats. ``labels`` gives the moon as a condition.
    """
    curves = (_moon(True), _moon(False))
    return _blurred(curves, noise, count, seed, labels, ("upper", "lower"), ("two-moons", noise))


def circles(count: int, seed: int = 0, noise: float = 0.24, labels: bool = False) -> Simulated:
    """Two circles about the origin, of radii 3 and 1.5."""
    curves = (_circle(3.0), _circle(1.5))
    return _blurred(curves, noise, count, seed, labels, ("outer", "inner"), ("circles", noise))


def spirals(count: int, seed: int = 0, noise: float = 0.1, turns: float = 1.5, labels: bool = False) -> Simulated:
    """Two spirals that wind ``turns`` times around each other, out to radius pi."""
    positive(turns=turns)
    curves = (_spiral(1.0, turns, np.pi), _spiral(-1.0, turns, np.pi))
    return _blurred(curves, noise, count, seed, labels, ("first", "second"), ("spirals", noise, turns))


def swiss_roll(count: int, seed: int = 0, noise: float = 0.1) -> Simulated:
    """The spiral (t cos t, t sin t) / 5 with t uniform in [1.5 pi, 4.5 pi]."""
    return _blurred((_roll(0.2),), noise, count, seed, False, (), ("swiss-roll", noise))


def s_curve(count: int, seed: int = 0, noise: float = 0.05, scale: float = 1.0) -> Simulated:
    """The S of scikit-learn's ``make_s_curve``, seen along its width, times ``scale``."""
    positive(scale=scale)
    return _blurred((_bend(scale),), noise, count, seed, False, (), ("s-curve", noise, scale))
