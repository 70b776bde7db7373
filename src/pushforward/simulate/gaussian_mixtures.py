"""Gaussians on a circle and on a grid, the standard sets for mode collapse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import UsageError
from pushforward.simulate.densities import gaussians, labelled
from pushforward.simulate.simulated import Simulated, simulator

__all__ = ["eight_gaussians", "grid_gaussians"]


@simulator
def eight_gaussians(
    count: int, seed: int = 0, *, radius: float = 4 / 2**0.5, std: float = 0.5 / 2**0.5, labels: bool = False
) -> Simulated:
    """Eight Gaussians at equal angles on a circle, the first at angle zero, shape ``(count, 2)``.

    The defaults are those of the FFJORD experiments (Grathwohl et al. 2019); ``radius=5, std=0.316`` are those of the
    flow-matching tables (Tong et al. 2024), and ``radius=1, std=0.01`` those of the ring of PacGAN (Lin et al. 2018).

    Arguments:
        radius: of the circle.
        std: standard deviation of each Gaussian in each coordinate.
        labels: give the Gaussian as a condition.

    Raises:
        UsageError: if radius or std is not positive.
    """
    _positive("eight-gaussians", radius=radius, std=std)
    angles = np.arange(8) * np.pi / 4
    return _drawn(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), std, count, seed, labels)


@simulator
def grid_gaussians(
    count: int, seed: int = 0, *, side: int = 5, spacing: float = 2.0, std: float = 0.05, labels: bool = False
) -> Simulated:
    """``side``^2 narrow Gaussians on a square grid about the origin, shape ``(count, 2)``: the grid of PacGAN.

    Arguments:
        side: Gaussians along each axis.
        spacing: of the grid.
        std: standard deviation of each Gaussian in each coordinate.
        labels: give the Gaussian, counted along the rows, as a condition.

    Raises:
        UsageError: if side, spacing or std is not positive.
    """
    _positive("grid-gaussians", side=side, spacing=spacing, std=std)
    axis = spacing * (np.arange(side) - (side - 1) / 2)
    centres = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    return _drawn(centres, std, count, seed, labels)


def _drawn(centres: NDArray[np.float64], std: float, count: int, seed: int, labels: bool) -> Simulated:
    rng = np.random.default_rng(seed)
    which = rng.integers(len(centres), size=count)
    points = centres[which] + std * rng.normal(size=(count, 2))
    classes = tuple(str(i) for i in range(len(centres)))
    return labelled(points, gaussians(centres, std), which if labels else None, "mode", classes)


def _positive(name: str, **options: float) -> None:
    for option, value in options.items():
        if value <= 0:
            raise UsageError(f"the option {option} of {name} must be positive; got {value}")
