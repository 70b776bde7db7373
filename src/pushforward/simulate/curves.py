"""Curves in the plane blurred by a Gaussian: two moons, circles, spirals, the swiss roll, the S.

A point on a curve c is drawn at the parameter t = a + (b - a) u^(1/m), with u uniform on [0, 1], plus normal noise of
standard deviation sigma in each coordinate. Its density is the integral along the curve

    p(x) = int_0^1 ds m s^(m-1) N(x; c(a + (b - a) s), sigma^2 I),

evaluated by Gauss-Legendre quadrature on panels no longer than 2 sigma, to 1e-11 of its peak. Members are independent
draws from this density: two curves are equally likely, and angles are drawn uniformly, while scikit-learn's generators
of the same shapes space them equally.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import UsageError
from pushforward.simulate.densities import PlanarDensity, around, labelled
from pushforward.simulate.simulated import Simulated, simulator

__all__ = ["circles", "s_curve", "spirals", "swiss_roll", "two_moons"]

Array = NDArray[np.float64]
_NODES_PER_PANEL = 8
# Largest ratio of extent to noise with a density: beyond it the quadratures would take minutes.
_FINEST = 320.0


@dataclass(frozen=True)
class _Curve:
    """``point(t)`` for t from start to stop; s = (t - start) / (stop - start) has density power * s^(power - 1)."""

    point: Callable[[Array], Array]
    start: float
    stop: float
    power: float = 1.0

    def draw(self, uniform: Array) -> Array:
        return self.point(self.start + (self.stop - self.start) * uniform ** (1 / self.power))

    def nodes(self, longest: float) -> tuple[Array, Array]:
        """Quadrature points ``(M, 2)`` and log-weights ``(M,)``, on panels no longer than ``longest``."""
        intervals = 1024
        steps = np.diff(self.point(np.linspace(self.start, self.stop, intervals + 1)), axis=0)
        panels = int(np.ceil(np.linalg.norm(steps, axis=1).max() * intervals / longest))
        roots, weights = np.polynomial.legendre.leggauss(_NODES_PER_PANEL)
        s = ((np.arange(panels)[:, None] + (roots + 1) / 2) / panels).reshape(-1)
        density = self.power * s ** (self.power - 1)
        points = self.point(self.start + (self.stop - self.start) * s)
        return points, np.log(np.tile(weights / 2, panels) / panels * density)


def _circular(t: Array) -> Array:
    return np.stack([np.cos(t), np.sin(t)], axis=-1)


def _winding(t: Array) -> Array:
    return t[..., None] * _circular(t)


def _ring(radius: float) -> _Curve:
    return _Curve(lambda t: radius * _circular(t), 0.0, 2 * np.pi)


def _arm(turns: float, slope: float) -> _Curve:
    return _Curve(lambda t: slope * _winding(t), 0.0, 2 * np.pi * turns, power=2.0)


@simulator
def two_moons(count: int, seed: int = 0, *, noise: float = 0.1, labels: bool = False) -> Simulated:
    """Two interleaved half circles of radius one, shape ``(count, 2)``.

    The upper moon is (cos t, sin t) and the lower (1 - cos t, 1/2 - sin t), 0 <= t <= pi: the definition of
    scikit-learn's ``make_moons``, with the angle drawn uniformly instead of equally spaced. The entropy at noise 0.1 is
    1.0076 nats, and 0.3163 nats given the moon.

    Arguments:
        noise: standard deviation of the Gaussian blur in each coordinate, in the units of the data.
        labels: give the moon as a condition.

    Raises:
        UsageError: if the noise is negative.
    """
    upper = _Curve(_circular, 0.0, np.pi)
    lower = _Curve(lambda t: np.array([1.0, 0.5]) - _circular(t), 0.0, np.pi)
    return _blurred((upper, lower), noise, count, seed, "moon" if labels else None, ("upper", "lower"))


@simulator
def circles(
    count: int,
    seed: int = 0,
    *,
    noise: float = 0.24,
    radius: float = 3.0,
    factor: float = 0.5,
    labels: bool = False,
) -> Simulated:
    """Two concentric circles about the origin, shape ``(count, 2)``, with the defaults of the FFJORD experiments.

    Arguments:
        noise: standard deviation of the Gaussian blur in each coordinate.
        radius: of the outer circle.
        factor: radius of the inner circle over that of the outer.
        labels: give the circle as a condition.

    Raises:
        UsageError: if the noise is negative, the radius not positive, or the factor not in (0, 1).
    """
    if radius <= 0 or not 0 < factor < 1:
        raise UsageError(f"circles need a positive radius and a factor between 0 and 1; got {radius} and {factor}")
    curves = _ring(radius), _ring(factor * radius)
    return _blurred(curves, noise, count, seed, "circle" if labels else None, ("outer", "inner"))


@simulator
def spirals(count: int, seed: int = 0, *, noise: float = 0.1, turns: float = 1.5, labels: bool = False) -> Simulated:
    """Two spiral arms about the origin, r = t/3 at the angle t, shape ``(count, 2)``.

    The angle is t = 2 pi turns sqrt(u), so that an arm is about equally dense along its length.

    Arguments:
        noise: standard deviation of the Gaussian blur in each coordinate.
        turns: of each arm about the origin.
        labels: give the arm as a condition.

    Raises:
        UsageError: if the noise is negative, or turns is not positive.
    """
    if turns <= 0:
        raise UsageError(f"the option turns of spirals must be positive; got {turns}")
    arms = _arm(turns, 1 / 3), _arm(turns, -1 / 3)
    return _blurred(arms, noise, count, seed, "arm" if labels else None, ("first", "second"))


@simulator
def swiss_roll(count: int, seed: int = 0, *, noise: float = 0.1) -> Simulated:
    """Swiss roll seen from its end: r = t/5 at the angle t, 3 pi/2 <= t <= 9 pi/2, shape ``(count, 2)``.

    These are the first and last coordinates of scikit-learn's ``make_swiss_roll``, divided by 5.

    Arguments:
        noise: standard deviation of the Gaussian blur in each coordinate.

    Raises:
        UsageError: if the noise is negative.
    """
    roll = _Curve(lambda t: _winding(t) / 5, 1.5 * np.pi, 4.5 * np.pi)
    return _blurred((roll,), noise, count, seed)


@simulator
def s_curve(count: int, seed: int = 0, *, noise: float = 0.05, scale: float = 1.0) -> Simulated:
    """S-shaped sheet seen from its end: (sin t, sign(t)(cos t - 1)), |t| <= 3 pi/2, shape ``(count, 2)``.

    These are the first and last coordinates of scikit-learn's ``make_s_curve``.

    Arguments:
        noise: standard deviation of the Gaussian blur in each coordinate, not scaled.
        scale: factor by which the curve is enlarged.

    Raises:
        UsageError: if the noise is negative, or the scale is not positive.
    """
    if scale <= 0:
        raise UsageError(f"the option scale of s-curve must be positive; got {scale}")

    def point(t: Array) -> Array:
        return scale * np.stack([np.sin(t), np.sign(t) * (np.cos(t) - 1)], axis=-1)

    return _blurred((_Curve(point, -1.5 * np.pi, 1.5 * np.pi),), noise, count, seed)


def _blurred(
    curves: tuple[_Curve, ...],
    noise: float,
    count: int,
    seed: int,
    label: str | None = None,
    classes: tuple[str, ...] = (),
) -> Simulated:
    """Independent draws from equally likely curves, blurred; the density is None if it would be too sharp."""
    if noise < 0:
        raise UsageError(f"the noise is a standard deviation and must not be negative; got {noise}")
    rng = np.random.default_rng(seed)
    which, uniform, blur = rng.integers(len(curves), size=count), rng.random(count), rng.normal(size=(count, 2))
    points = np.stack([curve.draw(uniform) for curve in curves])[which, np.arange(count)] + noise * blur
    return labelled(points, _density(curves, noise), which if label else None, label or "", classes)


def _density(curves: tuple[_Curve, ...], noise: float) -> PlanarDensity | None:
    outline = np.concatenate([curve.draw(np.linspace(0, 1, 1025)) for curve in curves])
    if noise < np.ptp(outline, axis=0).max() / _FINEST:
        return None
    nodes, log_weights = zip(*(curve.nodes(longest=2 * noise) for curve in curves), strict=True)

    def components(x: Array) -> Array:
        logs = []
        for centres, weights in zip(nodes, log_weights, strict=True):
            # In place: these large arrays dominate the run time.
            exponents = x @ (centres.T / noise**2)
            exponents += weights - (centres**2).sum(axis=1) / (2 * noise**2)
            largest = exponents.max(axis=1, keepdims=True)
            exponents -= largest
            total = np.log(np.exp(exponents, out=exponents).sum(axis=1))
            logs.append(total + largest[:, 0] - (x**2).sum(axis=1) / (2 * noise**2))
        return np.stack(logs, axis=1) - np.log(2 * np.pi * noise**2)

    return PlanarDensity(components, *around(outline, noise), scale=noise)
