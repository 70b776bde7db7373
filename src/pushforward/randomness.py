"""Random numbers that do not depend on the distribution of a batch over processes.

Two processes with half a batch each must see the same noise as one process with the joined batch, and a resumed run the
same noise as an uninterrupted one. So every batch has its own source, seeded by the run's seed and the step: each
process draws for the joined batch and keeps its own rows.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["Draws", "seed_for"]


def seed_for(*keys: int) -> int:
    """One well-mixed 63-bit seed for a tuple of non-negative integers, such as (run seed, step)."""
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
    def first(self) -> int:
        """Index of this process's first row in the joined batch."""
        return self._rows.start

    def to(self, device: torch.device | str) -> Draws:
        """The same source, with its further numbers on another device."""
        self.device = torch.device(device)
        return self

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
        strata = torch.randperm(self._total, generator=self._generator)
        return self._mine((strata + torch.rand(self._total, generator=self._generator)) / self._total)

    def _mine(self, numbers: Tensor) -> Tensor:
        return numbers[self._rows].to(self.device, self.dtype)
