"""Pinwheel of five twisted blades (after Johnson et al. 2016, https://arxiv.org/abs/1603.06277, figure 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pushforward.simulate.densities import PlanarDensity, labelled
from pushforward.simulate.simulated import Simulated, simulator

__all__ = ["pinwheel"]

Array = NDArray[np.float64]
_BLADES = 5
_SIZES = np.array([0.3, 0.1])
_TWIST = 0.25
_ENLARGED = 2.0


@simulator
def pinwheel(count: int, seed: int = 0, *, labels: bool = False) -> Simulated:
    """Five twisted blades, shape ``(count, 2)``.

    A straight blade is a Gaussian about (1, 0), of standard deviation 0.3 along and 0.1 across the radius. A point at
    radius r is rotated by 2 pi / 5 times the number of the blade plus e^r / 4, and scaled by two. A rotation that
    depends on the radius alone preserves areas, so the density is that of the straight blade at the point rotated back,
    divided by 4.

    Arguments:
        labels: give the blade as a condition.
    """
    rng = np.random.default_rng(seed)
    which = rng.integers(_BLADES, size=count)
    straight = rng.normal(size=(count, 2)) * _SIZES + (1.0, 0.0)
    points = _ENLARGED * _turned(straight, 2 * np.pi * which / _BLADES + _twist(straight))
    # The box extends to eight standard deviations of the longer axis; the shorter one sets the scale.
    reach = _ENLARGED * (1 + 8 * _SIZES[0])
    density = PlanarDensity(_blades, (-reach, -reach), (reach, reach), scale=float(_SIZES[1]))
    return labelled(points, density, which if labels else None, "blade", tuple(str(i) for i in range(_BLADES)))


def _blades(x: Array) -> Array:
    """Log-densities of the blades, ``(N, 2)`` -> ``(N, 5)``."""
    points = x / _ENLARGED
    angles = _twist(points)[:, None] + 2 * np.pi * np.arange(_BLADES) / _BLADES
    offset = (_turned(points[:, None], -angles) - (1.0, 0.0)) / _SIZES
    return -(offset**2).sum(axis=-1) / 2 - np.log(2 * np.pi * _SIZES.prod() * _ENLARGED**2)


def _twist(points: Array) -> Array:
    return _TWIST * np.exp(np.linalg.norm(points, axis=-1))


def _turned(points: Array, angle: Array) -> Array:
    x, y = points[..., 0], points[..., 1]
    return np.stack([np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y], axis=-1)
