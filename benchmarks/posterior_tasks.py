"""Tasks of the benchmark of simulation-based inference (Lueckmann et al. 2021, arXiv:2101.04653).

Priors and simulators are defined here; observations, reference samples of the posteriors and a design matrix are files
of the package `sbibm`, which is located but never imported (`pip install --no-deps sbibm`).
"""

from __future__ import annotations

import bz2
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
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
        prior: parameters (count, dim).
        simulate: simulator, from parameters (n, dim) to data (n, numbers).
        bound: the prior is uniform on [-bound, bound], if given.
        folder, observation: of the files, if not those of the name.
    """

    dim: int
    prior: Callable[[int, np.random.Generator], Array]
    simulate: Callable[[Array, np.random.Generator], Array]
    bound: float | None = None
    folder: str | None = None
    observation: str = "observation.csv"


def uniform(dim: int, bound: float, simulate: Callable[[Array, np.random.Generator], Array], **files: str) -> Task:
    """A task whose prior is uniform on [-bound, bound]."""
    return Task(dim, lambda count, rng: rng.uniform(-bound, bound, (count, dim)), simulate, bound, **files)


def lognormal(
    mean: tuple[float, ...], deviation: tuple[float, ...], simulate: Callable[[Array, np.random.Generator], Array]
) -> Task:
    """A task whose parameters have normal logarithms."""
    dim = len(mean)
    return Task(dim, lambda count, rng: np.exp(mean + np.array(deviation) * rng.normal(size=(count, dim))), simulate)


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


@cache
def distractors() -> tuple[Array, Array, NDArray[np.int64]]:
    """Centres (20, 92), Cholesky factors (20, 92, 92) of the distractors' mixture, and the order of the data.

    The benchmark drew them by these calls, in this order.
    """
    rng, count = np.random.RandomState(42), 92
    centres = np.array([15 * rng.normal(size=count) for _ in range(20)])
    factors = [np.tril(rng.normal(size=(count, count))) + np.diag(np.exp(rng.normal(size=count))) for _ in range(20)]
    return centres, 3 * np.array(factors), rng.permutation(count + 8)


def slcp_distractors(theta: Array, rng: np.random.Generator) -> Array:
    """The same eight numbers, hidden among 92 from a mixture of Student distributions of two degrees of freedom."""
    centres, factors, order = distractors()
    which = rng.integers(0, len(centres), len(theta))
    normal = rng.normal(size=(len(theta), centres.shape[1]))
    for part in range(len(centres)):
        normal[which == part] = normal[which == part] @ factors[part].T
    noise = centres[which] + normal / np.sqrt(rng.chisquare(2, (len(theta), 1)) / 2)
    return np.concatenate([slcp(theta, rng), noise], 1)[:, order]


@cache
def design() -> Array:
    """Of the Bernoulli tasks: offset and the stimulus at nine delays, shape (100, 10)."""
    import torch

    return torch.load(_package() / "tasks" / "bernoulli_glm" / "files" / "design_matrix.pt").double().numpy()


def glm_prior(count: int, rng: np.random.Generator) -> Array:
    """A filter of nine delays that is smooth, after an offset."""
    delays = 9
    difference = np.eye(delays) - np.eye(delays, k=-1)
    root = difference @ difference + np.diag(np.sqrt(np.arange(delays) / delays))
    filters = np.linalg.solve(root, rng.normal(size=(delays, count))).T
    return np.concatenate([math.sqrt(2) * rng.normal(size=(count, 1)), filters], 1)


def bernoulli_glm_raw(theta: Array, rng: np.random.Generator) -> Array:
    """Spikes in 100 bins."""
    odds = theta @ design().T
    return (rng.uniform(size=odds.shape) < 1 / (1 + np.exp(-odds))).astype(float)


def bernoulli_glm(theta: Array, rng: np.random.Generator) -> Array:
    """The sufficient statistics of the spikes: their number, and their sums with the stimulus."""
    return bernoulli_glm_raw(theta, rng) @ design()


def sir(theta: Array, rng: np.random.Generator) -> Array:
    """Infected among 1000 people at ten times of an epidemic."""
    people = 1e6
    start = np.tile([people - 1, 1.0], (len(theta), 1))

    def rate(state: Array) -> Array:
        new = theta[:, 0] * state[:, 0] * state[:, 1] / people
        return np.stack([-new, new - theta[:, 1] * state[:, 1]], 1)

    infected = solved(rate, start, every=17.0, count=10, steps=340)[..., 1]
    return rng.binomial(1000, np.clip(infected / people, 0, 1)).astype(float)


def lotka_volterra(theta: Array, rng: np.random.Generator) -> Array:
    """Prey and predators at ten times, with noise of 10 %; solved in logarithms, which stay finite."""
    start = np.tile(np.log([30.0, 1.0]), (len(theta), 1))

    def rate(logs: Array) -> Array:
        prey, predators = np.exp(np.minimum(logs, 50)).T
        return np.stack([theta[:, 0] - theta[:, 1] * predators, -theta[:, 2] + theta[:, 3] * prey], 1)

    logs = solved(rate, start, every=2.1, count=10, steps=1050).transpose(0, 2, 1).reshape(len(theta), 20)
    return np.exp(np.clip(logs, math.log(1e-10), math.log(1e4)) + 0.1 * rng.normal(size=logs.shape))


def solved(rate: Callable[[Array], Array], start: Array, *, every: float, count: int, steps: int) -> Array:
    """States (n, count, numbers) at 0, every, 2 every, ..., by Runge and Kutta with so many steps between two."""
    state, found, h = start, [start], every / steps
    for _ in range(count - 1):
        for _ in range(steps):
            k1 = rate(state)
            k2 = rate(state + h / 2 * k1)
            k3 = rate(state + h / 2 * k2)
            state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + rate(state + h * k3))
        found.append(state)
    return np.stack(found, 1)


def normal(count: int, rng: np.random.Generator) -> Array:
    return np.sqrt(0.1) * rng.normal(size=(count, 10))


TASKS = {
    "two_moons": uniform(2, 1.0, two_moons),
    "slcp": uniform(5, 3.0, slcp),
    "slcp_distractors": uniform(5, 3.0, slcp_distractors, folder="slcp", observation="observation_distractors.csv"),
    "gaussian_mixture": uniform(2, 10.0, gaussian_mixture),
    "gaussian_linear": Task(10, normal, gaussian),
    "gaussian_linear_uniform": uniform(10, 1.0, gaussian),
    "bernoulli_glm": Task(10, glm_prior, bernoulli_glm),
    "bernoulli_glm_raw": Task(
        10, glm_prior, bernoulli_glm_raw, folder="bernoulli_glm", observation="observation_raw.csv"
    ),
    "sir": lognormal((math.log(0.4), math.log(0.125)), (0.5, 0.2), sir),
    "lotka_volterra": lognormal((-0.125, -3.0, -0.125, -3.0), (0.5, 0.5, 0.5, 0.5), lotka_volterra),
}


def observed(task: str, number: int) -> Array:
    """Observation ``number``, shape (1, numbers)."""
    return np.loadtxt(_folder(task, number) / TASKS[task].observation, delimiter=",", skiprows=1, ndmin=2)


def reference(task: str, number: int) -> Array:
    """Reference samples of the posterior of that observation, shape (10000, dim)."""
    with bz2.open(_folder(task, number) / "reference_posterior_samples.csv.bz2", "rt") as lines:
        return np.loadtxt(lines, delimiter=",", skiprows=1, ndmin=2)


def _folder(task: str, number: int) -> Path:
    return _package() / "tasks" / (TASKS[task].folder or task) / "files" / f"num_observation_{number}"


def _package() -> Path:
    found = find_spec("sbibm")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("the reference posteriors are files of sbibm: pip install --no-deps sbibm")
    return Path(found.submodule_search_locations[0])
