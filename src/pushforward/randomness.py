"""Random numbers that do not depend on the distribution of a batch over processes.

Two processes with half a batch each must see the same noise as one process with the joined batch, and a resumed run the
same noise as an uninterrupted one. So every batch has its own source, seeded by the run's seed and the step: each
process draws for the joined batch and keeps its own rows.
"""

from __future__ import annotations

from copy import copy
from enum import IntEnum, unique

import numpy as np
import torch
from torch import Tensor

__all__ = ["Draws", "Purpose", "seed_for", "uniform_from"]


@unique
class Purpose(IntEnum):
    """Last key of every seed derived from that of a run or report, so that no two uses share random numbers."""

    BATCH = 0
    """Noise and times of a joined batch; number 0 is the batch that prepares the model."""
    ORDER = 1
    """Permutation of the training members in an epoch."""
    VIEW = 2
    """Crops and symmetries of the members of a batch."""
    GLOBAL = 3
    """Global generators of PyTorch during a training step (dropout), per process."""
    CONDITIONS = 4
    """Conditions of samples for which none are given."""
    SAMPLES = 5
    """A chunk of samples."""
    WEIGHTS = 6
    """Initial weights of the model."""
    ATTEMPTS = 7
    """An attempt to draw posterior samples within bounds."""
    TEACHER_PAIRS = 8
    """Noise of the pairs made by a teacher, and their choice for a batch."""
    SIDE_B = 9
    """All seeds of the second ensemble of a pair."""
    PLACES = 10
    """Positions of discrete values within their cells."""
    BOUNDS = 11
    """Importance samples of a bound on a log-density."""
    FORECASTS = 12
    """A chunk of forecasts."""
    JUDGED_MEMBERS = 13
    """Members chosen for a report."""
    JUDGED_SAMPLES = 14
    """A chunk of the samples of a report."""
    FLOOR = 15
    """Repetitions of a comparison between real members."""
    PARTNERS = 16
    """Members that samples of another code are compared with."""
    TRANSLATIONS = 17
    """Members translated for a report."""
    ROUND_TRIPS = 18
    """Members translated there and back for a report."""
    POSTERIORS = 19
    """Members whose posteriors are calibrated."""
    TRANSLATION_NOISE = 20
    """Noise of a chunk of random translations."""
    HELD_OUT = 21
    """Noise of a batch of held-out members whose loss is measured during training."""


def seed_for(*keys: int) -> int:
    """One well-mixed 63-bit seed for a tuple of non-negative integers, such as (run seed, step, `Purpose`)."""
    return int(np.random.SeedSequence(keys).generate_state(2, np.uint32).astype(np.uint64) @ [1, 2**31])


class Draws:
    """The random numbers of one batch.

    Arguments:
        seed: of the generator; the same seed gives the same numbers on every device.
        count: samples in this process's part of the batch.
        rank, processes: index of this process's part of the joined batch, and number of parts.
        device, dtype: of the numbers.
    """

    def __init__(
        self,
        seed: int,
        count: int,
        *,
        rank: int = 0,
        processes: int = 1,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.count = count
        self.device = torch.device(device)
        self.dtype = dtype
        self._generator = torch.Generator().manual_seed(seed)
        self._total = count * processes
        self._rows = slice(rank * count, (rank + 1) * count)

    @property
    def total(self) -> int:
        """Samples in the joined batch."""
        return self._total

    @property
    def first(self) -> int:
        """Index of this process's first row in the joined batch."""
        return self._rows.start

    def to(self, device: torch.device | str) -> Draws:
        """The same source, with its further numbers on another device."""
        self.device = torch.device(device)
        return self

    def shared(self, rows: int) -> Draws:
        """The same source, with one number for every ``rows`` consecutive samples; the count must be a multiple."""
        other = copy(self)
        other.count, other._total = self.count // rows, self._total // rows
        other._rows = slice(self._rows.start // rows, self._rows.stop // rows)
        return other

    def normal(self, *event: int) -> Tensor:
        """Standard normal numbers, shape ``(count, *event)``."""
        return self._mine(torch.randn(self._total, *event, generator=self._generator))

    def uniform(self, *event: int) -> Tensor:
        """Uniform numbers in [0, 1), shape ``(count, *event)``."""
        return self._mine(torch.rand(self._total, *event, generator=self._generator))

    def integers(self, high: int, *event: int) -> Tensor:
        """Uniform integers in [0, high), int64, shape ``(count, *event)``."""
        numbers = torch.randint(high, (self._total, *event), generator=self._generator)
        return numbers[self._rows].to(self.device)

    def stratified(self) -> Tensor:
        """Uniform numbers in [0, 1), one in each equal stratum of the joined batch, shape ``(count,)``.

        Batch means of a function of them have a smaller variance than with independent numbers.
        """
        strata = torch.randperm(self._total, generator=self._generator, dtype=torch.float32)
        return self._mine(torch.rand(self._total, generator=self._generator).add_(strata).div_(self._total))

    def _mine(self, numbers: Tensor) -> Tensor:
        rows = numbers if self._total == self.count else numbers[self._rows]
        return rows if rows.device == self.device and rows.dtype == self.dtype else rows.to(self.device, self.dtype)


_ODD = np.uint64(0x9E3779B97F4A7C15)
"""Increment of SplitMix64."""


def uniform_from(x: Tensor, count: int) -> Tensor:
    """Uniform numbers in [0, 1) that are functions of each sample alone, shape ``(count, *x.shape)``, float32.

    An average over them does not depend on the other samples of a batch, nor on the order.

    Source: output function and increment of SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195).

    Arguments:
        x: samples, one per row.
        count: uniform numbers per value.
    """
    # One pattern of bits for all NaN, and one for both zeros.
    values = torch.where(x.isnan(), torch.nan, x.double() + 0.0)
    bits = values.detach().cpu().flatten(1).numpy().view(np.uint64)
    size = bits.shape[1]
    places = np.arange(1, size + 1, dtype=np.uint64) * _ODD
    rows = _mixed(_mixed(bits + places).sum(1, dtype=np.uint64))
    steps = np.arange(1, count * size + 1, dtype=np.uint64).reshape(count, 1, size) * _ODD
    # 24 bits, which float32 represents exactly.
    numbers = (_mixed(rows[:, None] + steps) >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
    return torch.from_numpy(numbers).view(count, *x.shape).to(x.device)


def _mixed(z: np.ndarray) -> np.ndarray:
    """Output function of SplitMix64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
