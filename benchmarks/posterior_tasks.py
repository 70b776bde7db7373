"""Tasks of the benchmark of simulation-based inference (Lueckmann et al. 2021, arXiv:2101.04653).

Priors and simulators are defined here; observations and reference samples of the posteriors are files of the package
`sbibm`, which is located but never imported (`pip install --no-deps sbibm`).
"""

from __future__ import annotations

import bz2
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["TASKS", "Task", "observed", "reference"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """Prior and simulator of a task.

    Attributes:
        dim: number of parameters.
        bound: the prior is uniform on [-bound, bound]; None for a normal prior of variance 0.1.
        simulate: simulator, from parameters (n, dim) to data (n, numbers).
    """

    dim: int
    bound: float | None
    simulate: Callable[[Array, np.random.Generator], Array]

    def prior(self, count: int, rng: np.random.Generator) -> Array:
        if self.bound is None:
            return np.sqrt(0.1) * rng.normal(size=(count, self.dim))
        return rng.uniform(-self.bound, self.bound, (count, self.dim))


def two_moons(theta: Array, rng: np.random.Generator) -> Array:
    angle, radius = rng.uniform(-np.pi / 2, np.pi / 2, len(theta)), rng.normal(0.1, 0.01, len(theta))
    moon = np.stack([radius * np.cos(angle) + 0.25, radius * np.sin(angle)], 1)
    shift = np.stack([-np.abs(theta.sum(1)), theta[:, 1] - theta[:, 0]], 1) / np.sqrt(2)
    return moon + shift


def slcp(theta: Array, rng: np.random.Generator) -> Array:
    """Four points from a bivariate normal distribution; the parameters are its mean, scales and correlation."""
    scales, correlation = theta[:, None, 2:4] ** 2, np.tanh(theta[:, None, 4])
    noise = rng.normal(size=(len(theta), 4, 2))
    second = correlation * noise[..., 0] + np.sqrt(1 - correlation**2) * noise[..., 1]
    points = theta[:, None, :2] + scales * np.stack([noise[..., 0], second], -1)
    return points.reshape(len(theta), 8)


def gaussian_mixture(theta: Array, rng: np.random.Generator) -> Array:
    scale = np.where(rng.integers(0, 2, (len(theta), 1)) == 0, 1.0, 0.1)
    return theta + scale * rng.normal(size=theta.shape)


def gaussian(theta: Array, rng: np.random.Generator) -> Array:
    return theta + np.sqrt(0.1) * rng.normal(size=theta.shape)


TASKS = {
    "two_moons": Task(2, 1.0, two_moons),
    "slcp": Task(5, 3.0, slcp),
    "gaussian_mixture": Task(2, 10.0, gaussian_mixture),
    "gaussian_linear": Task(10, None, gaussian),
    "gaussian_linear_uniform": Task(10, 1.0, gaussian),
}


def observed(task: str, number: int) -> Array:
    """Observation ``number``, shape (1, numbers)."""
    return np.loadtxt(_folder(task, number) / "observation.csv", delimiter=",", skiprows=1, ndmin=2)


def reference(task: str, number: int) -> Array:
    """Reference samples of the posterior of that observation, shape (10000, dim)."""
    with bz2.open(_folder(task, number) / "reference_posterior_samples.csv.bz2", "rt") as lines:
        return np.loadtxt(lines, delimiter=",", skiprows=1, ndmin=2)


def _folder(task: str, number: int) -> Path:
    found = find_spec("sbibm")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("the reference posteriors are files of sbibm: pip install --no-deps sbibm")
    return Path(found.submodule_search_locations[0]) / "tasks" / task / "files" / f"num_observation_{number}"
