"""Sets of points in the plane, as in the code of torchcfm.

Eight Gaussians on a circle of radius 5 with *covariance* sqrt(0.1) I, the moons of torchdyn scaled to 3 x - 1 (whose
noise is uniform and moves both coordinates alike), and 1.5 times scikit-learn's S with noise 0.05.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Sampler = Callable[[int, np.random.Generator], Tensor]


def normal(count: int, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.normal(size=(count, 2))).float()


def eight_gaussians(count: int, rng: np.random.Generator) -> Tensor:
    angle = np.pi / 4 * rng.integers(8, size=count)
    centre = 5 * np.stack([np.cos(angle), np.sin(angle)], 1)
    return torch.from_numpy(centre + 0.1**0.25 * rng.normal(size=(count, 2))).float()


def moons(count: int, rng: np.random.Generator) -> Tensor:
    outer = np.linspace(0, np.pi, count // 2)
    inner = np.linspace(0, np.pi, count - count // 2)
    curves = [np.stack([np.cos(outer), np.sin(outer)], 1), np.stack([1 - np.cos(inner), 0.5 - np.sin(inner)], 1)]
    return torch.from_numpy(3 * (np.concatenate(curves) + 0.2 * rng.random((count, 1))) - 1).float()


def independent_moons(count: int, rng: np.random.Generator) -> Tensor:
    """The same distribution as `moons`, but each point by itself: how many fall on either moon varies."""
    inner, angle = rng.integers(2, size=(count, 1)) == 1, np.pi * rng.random(count)
    curves = [np.stack([np.cos(angle), np.sin(angle)], 1), np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], 1)]
    return torch.from_numpy(3 * (np.where(inner, *reversed(curves)) + 0.2 * rng.random((count, 1))) - 1).float()


def s_curve(count: int, rng: np.random.Generator) -> Tensor:
    from sklearn.datasets import make_s_curve

    points, _ = make_s_curve(count, noise=0.05, random_state=int(rng.integers(2**31)))
    return torch.from_numpy(1.5 * points[:, [0, 2]]).float()


TASKS: dict[str, tuple[Sampler, Sampler]] = {
    "normal to 8 Gaussians": (normal, eight_gaussians),
    "normal to moons": (normal, moons),
    "moons to 8 Gaussians": (moons, eight_gaussians),
    "normal to S": (normal, s_curve),
}
