"""Mixtures in the plane whose density is a closed form: Gaussians on a circle and on a grid, a pinwheel, a board."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import logsumexp

from pushforward.simulate.plane import Centres, entropy_on_grid, labelled, positive
from pushforward.simulate.simulated import Exact, Simulated

__all__ = ["checkerboard", "eight_gaussians", "grid_gaussians", "pinwheel"]


def eight_gaussians(
    count: int, seed: int = 0, radius: float = 4 / 2**0.5, std: float = 0.5 / 2**0.5, labels: bool = False
) -> Simulated:
    """Eight Gaussians at equal angles on a circle: the first at angle zero.

    The defaults are those of the FFJORD experiments; ``radius=5, std=0.316`` those of the flow-matching tables.
    """
    positive(radius=radius, std=std)
    angle = np.arange(8) * np.pi / 4
    centres = radius * np.stack([np.cos(angle), np.sin(angle)], 1)
    return _round(count, seed, centres, std, labels)


def grid_gaussians(
    count: int, seed: int = 0, spacing: float = 2.0, std: float = 0.05, side: int = 5, labels: bool = False
) -> Simulated:
    """``side**2`` Gaussians on a square grid about the origin: the 25 modes on which GANs are known to collapse."""
    positive(spacing=spacing, std=std, side=side)
    axis = spacing * (np.arange(int(side)) - (int(side) - 1) / 2)
    centres = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    return _round(count, seed, centres, std, labels)


def _round(count: int, seed: int, centres: np.ndarray, std: float, labels: bool) -> Simulated:
    rng = np.random.default_rng(seed)
    label = rng.integers(len(centres), size=count)
    points = centres[label] + std * rng.normal(size=(count, 2))
    density = Centres(centres, std)
    entropy = _round_entropy(tuple(map(tuple, centres)), std)
    names = tuple(str(i) for i in range(len(centres)))
    return labelled(points, Exact(density, entropy), label if labels else None, names)


@lru_cache
def _round_entropy(centres: tuple[tuple[float, float], ...], std: float) -> float:
    points = np.array(centres)
    gaps = np.linalg.norm(points[:, None] - points, axis=-1)
    nearest = gaps[gaps > 0].min() if len(points) > 1 else np.inf
    if nearest > 16 * std:
        # the modes do not touch: that of one of them, and of the choice between them
        return float(np.log(len(points)) + np.log(2 * np.pi * np.e * std**2))
    low, high = points.min(0) - 8 * std, points.max(0) + 8 * std
    return entropy_on_grid(Centres(points, std), tuple(low), tuple(high), std / 3)


BLADES = 5
_RADIAL, _TANGENTIAL, _TWIST, _SCALE = 0.3, 0.1, 0.25, 2.0


def pinwheel(count: int, seed: int = 0, labels: bool = False) -> Simulated:
    r"""Five blades: Gaussians of sizes 0.3 and 0.1 about radius 1, turned by an angle that grows with the radius.

    Turning by :math:`e^{r}/4` keeps areas, so the density is that of the straight blades at the point turned back. All
    of it is then enlarged twofold.
    """
    rng = np.random.default_rng(seed)
    label = rng.integers(BLADES, size=count)
    straight = rng.normal(size=(count, 2)) * (_RADIAL, _TANGENTIAL) + (1.0, 0.0)
    angle = 2 * np.pi * label / BLADES + _TWIST * np.exp(np.linalg.norm(straight, axis=1))
    points = _SCALE * _turn(straight, angle)
    exact = Exact(_pinwheel_density, _pinwheel_entropy())
    return labelled(points, exact, label if labels else None, tuple(str(i) for i in range(BLADES)))


def _turn(points: np.ndarray, angle: np.ndarray) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * points[:, 0] - s * points[:, 1], s * points[:, 0] + c * points[:, 1]], 1)


def _pinwheel_density(x: np.ndarray) -> np.ndarray:
    points = np.asarray(x, dtype=np.float64) / _SCALE
    twist = _TWIST * np.exp(np.linalg.norm(points, axis=1))
    size = np.array([_RADIAL, _TANGENTIAL])
    constant = -np.log(2 * np.pi * size.prod()) - np.log(BLADES) - 2 * np.log(_SCALE)
    blades = []
    for blade in range(BLADES):
        offset = (_turn(points, -2 * np.pi * blade / BLADES - twist) - (1.0, 0.0)) / size
        blades.append(constant - np.square(offset).sum(1) / 2)
    return logsumexp(np.stack(blades), axis=0)


@lru_cache
def _pinwheel_entropy() -> float:
    return entropy_on_grid(_pinwheel_density, (-6.0, -6.0), (6.0, 6.0), 0.02)


def checkerboard(count: int, seed: int = 0, squares: int = 4) -> Simulated:
    """Uniform on the black half of ``squares`` x ``squares`` unit cells, enlarged to fill [-4, 4] x [-4, 4].

    Its entropy is that of a uniform distribution on half the board, log 32 = 3.466 nats.
    """
    positive(squares=squares)
    rng = np.random.default_rng(seed)
    row, column = (axis.reshape(-1) for axis in np.mgrid[: int(squares), : int(squares)])
    black = np.flatnonzero((row + column) % 2 == 0)
    cell = black[rng.integers(len(black), size=count)]
    side = 8.0 / int(squares)
    points = side * (np.stack([row[cell], column[cell]], 1) + rng.uniform(size=(count, 2))) - 4.0
    area = len(black) * side**2

    def log_prob(x: np.ndarray) -> np.ndarray:
        place = np.floor((np.asarray(x, dtype=np.float64) + 4.0) / side)
        inside = ((place >= 0) & (place < squares)).all(1) & (place.sum(1) % 2 == 0)
        return np.where(inside, -np.log(area), -np.inf)

    return labelled(points, Exact(log_prob, float(np.log(area))))
