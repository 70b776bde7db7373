"""Emulators whose quality is known because they are made of the data: what the verdicts are tested by."""

from collections.abc import Callable

import numpy as np
import torch

from pushforward.ensembles import Ensemble
from pushforward.spaces import Field, Vector

SIZE = 32

Draw = Callable[[int, np.ndarray | None, np.random.Generator], np.ndarray]


class StandIn:
    """An emulator that draws its samples with a function of their number and what they are given with.

    That is the fields where there are some, else the parameters.
    """

    run = None

    def __init__(self, ensemble: Ensemble, draw: Draw, abilities: tuple[str, ...] = (), log_prob=None):
        self.draw, self.abilities, self._log_prob = draw, abilities, log_prob
        self.space, self.parameters, self.name = ensemble.space, ensemble.parameters, "stand-in"
        self.condition_space = ensemble.condition_space
        self.config = {"data": {"fingerprint": ensemble.fingerprint, "spec": None}}

    def sample(self, n, *, seed=0):
        return torch.from_numpy(self.draw(n, None, np.random.default_rng(seed)))

    def sample_at(self, condition, *, seed=0):
        rows = (condition.numbers if condition.field is None else condition.field).numpy()
        return torch.from_numpy(self.draw(len(rows), rows, np.random.default_rng(seed)))

    def log_prob(self, x, conditions=None):
        return torch.as_tensor(self._log_prob(np.asarray(x)))


def maps(conditions: np.ndarray, rng: np.random.Generator, power: float = 1.0) -> np.ndarray:
    """Lognormal maps of given amplitude and slope, shape (n, 1, SIZE, SIZE)."""
    k = np.sqrt(np.fft.fftfreq(SIZE)[:, None] ** 2 + np.fft.rfftfreq(SIZE)[None] ** 2) * SIZE
    k[0, 0] = np.inf
    amplitude, slope = conditions.T[:, :, None, None]
    noise = np.fft.rfft2(rng.standard_normal((len(conditions), SIZE, SIZE)))
    transfer = amplitude * (k / 4) ** (-slope / 2) * np.exp(-((k / 10) ** 2))
    gaussian = np.fft.irfft2(noise * transfer, s=(SIZE, SIZE))
    fields = np.exp(0.6 * gaussian)
    # Power is added around the mean map value, so that nothing but the power changes.
    return (np.sqrt(power) * (fields - fields.mean()) + fields.mean()).astype(np.float32)[:, None]


def conditional_maps(members: int = 1200, seed: int = 0) -> Ensemble:
    rng = np.random.default_rng(seed)
    conditions = np.stack([rng.uniform(0.6, 1.2, members), rng.uniform(1.5, 2.5, members)], axis=1).astype(np.float32)
    return Ensemble.from_array(
        maps(conditions, rng),
        space=Field(1, (SIZE, SIZE), periodic=True, box=25.0, isotropic=True),
        conditions=conditions,
        names=("A", "slope"),
        name="lognormal",
    )


def two_blobs(n: int, rng: np.random.Generator) -> np.ndarray:
    """Two well-separated normal blobs in the plane."""
    side = rng.integers(2, size=n)
    return (rng.standard_normal((n, 2)) * [1.0, 0.5] + np.where(side, 4.0, -4.0)[:, None] * [1, 0]).astype(np.float32)


def blobs(members: int = 4000, seed: int = 0) -> Ensemble:
    x = two_blobs(members, np.random.default_rng(seed))
    return Ensemble.from_array(x, space=Vector(2), name="blobs")
