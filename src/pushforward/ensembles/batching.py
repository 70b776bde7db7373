"""Batches of an ensemble: selection, order and transformation of members.

A batch is a function of the run's seed and the batch's number alone, never of earlier batches or the number of
processes: a resumed run continues the order of the uninterrupted one, and two processes hold halves of a joined batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pushforward.conditions import Condition
from pushforward.ensembles.batch import Batch
from pushforward.ensembles.symmetries import augment_given, has_symmetries
from pushforward.randomness import Draws, Purpose, seed_for
from pushforward.spaces import Particles, Space, Vector

if TYPE_CHECKING:
    from pushforward.ensembles.ensemble import Ensemble

__all__ = ["BatchSource", "Order", "Resident", "Shard", "Streamed", "batches_of"]

BatchSource = Callable[[int], Batch]
"""Function from a batch number, starting at 1, to the batch."""

_RESIDENT_ELEMENTS = 2**26


class Shard:
    """Share of every joined batch held by one process.

    Arguments:
        batch_size: samples in the joined batch; a multiple of ``processes``.
        rank, processes: index of this process, and number of processes.
    """

    def __init__(self, batch_size: int, rank: int = 0, processes: int = 1) -> None:
        self.batch_size, self.rank, self.processes = batch_size, rank, processes
        self.count = batch_size // processes

    def positions(self, number: int) -> range:
        """Positions in the order of members of this process's rows of a batch."""
        start = (number - 1) * self.batch_size + self.rank * self.count
        return range(start, start + self.count)

    def draws(self, *keys: int, device: torch.device | str = "cpu") -> Draws:
        """Rows of this process of the random numbers seeded by the keys."""
        return Draws(seed_for(*keys), self.count, rank=self.rank, processes=self.processes, device=device)


class Order:
    """Endless order of members: a sequence of random permutations.

    Arguments:
        members: number of members.
        seed: seed of the run.
    """

    def __init__(self, members: int, seed: int) -> None:
        self.members, self.seed = members, seed
        self._epochs: dict[int, np.ndarray] = {}

    def __call__(self, positions: range) -> np.ndarray:
        """Indices of the members at some positions in the order, int64."""
        parts = []
        for epoch in range(positions.start // self.members, (positions.stop - 1) // self.members + 1):
            begin = epoch * self.members
            parts.append(self._permutation(epoch)[max(0, positions.start - begin) : positions.stop - begin])
        return np.concatenate(parts)

    def _permutation(self, epoch: int) -> np.ndarray:
        if epoch not in self._epochs:
            self._epochs = {k: v for k, v in self._epochs.items() if k == epoch - 1}
            self._epochs[epoch] = np.random.default_rng(seed_for(self.seed, epoch, Purpose.ORDER)).permutation(
                self.members
            )
        return self._epochs[epoch]


class Units(Protocol):
    """Map of samples and conditions to network units."""

    def __call__(self, x: Tensor, condition: Condition | None = None, **places: Tensor) -> Tensor: ...

    def encode_condition(self, condition: Condition) -> Condition: ...


class Streamed:
    """Batches read from an ensemble on demand.

    Arguments:
        ensemble: training ensemble.
        preprocessing: map to network units, on the CPU.
        shard: share of the joined batch.
        seed: seed of the run.
        augmented: whether random symmetries of the space are applied to members.

    Attributes:
        ready: whether batches are made on the device; here they are read first.
    """

    ready = False

    def __init__(
        self, ensemble: Ensemble, preprocessing: Units, shard: Shard, seed: int, *, augmented: bool = True
    ) -> None:
        self.ensemble, self.preprocessing, self.shard, self.seed = ensemble, preprocessing, shard, seed
        self.order = Order(len(ensemble), seed)
        self.discrete = spread_at_random(preprocessing)
        self.augmented = augmented and has_symmetries(ensemble.space)

    @torch.no_grad()
    def __call__(self, number: int) -> Batch:
        index = self.order(self.shard.positions(number))
        views = _JoinedGenerator(seed_for(self.seed, number, 0, Purpose.VIEW), self.shard)
        batch, condition = self.ensemble.take_given(index, views)
        x = torch.from_numpy(batch)
        if self.augmented:
            x, condition = augment_given(x, condition, self.ensemble.space, views)
        places = {}
        if self.discrete:
            places = {"u": self.shard.draws(self.seed, number, 0, Purpose.PLACES).uniform(*x.shape[1:])}
        units = _in_network_units(self.preprocessing, x, condition, **places)
        return Batch(*units, self.shard.draws(self.seed, number, Purpose.BATCH))


class _JoinedGenerator(np.random.Generator):
    """Generator for the joined batch, one row per sample, that returns the rows of this process, as `Draws` does.

    Cropping and augmentation draw only integers, with the batch along the first axis.
    """

    def __init__(self, seed: int, shard: Shard) -> None:
        super().__init__(np.random.PCG64(seed))
        self._shard = shard

    def integers(self, low: Any, high: Any = None, size: Any = None) -> Any:  # type: ignore[override]
        count, *event = np.atleast_1d(size).tolist()
        joined = super().integers(low, high, (count * self._shard.processes, *event))
        return joined[self._shard.rank * count : (self._shard.rank + 1) * count]


class Resident:
    """Batches of an ensemble held whole on the device in network units: a step only selects rows."""

    ready = True

    def __init__(self, ensemble: Ensemble, preprocessing: Units, shard: Shard, seed: int, device: torch.device) -> None:
        self.shard, self.seed, self.order = shard, seed, Order(len(ensemble), seed)
        blocks = [np.arange(i, min(i + 65536, len(ensemble))) for i in range(0, len(ensemble), 65536)]
        with torch.no_grad():
            x = torch.from_numpy(np.concatenate([ensemble.take(block) for block in blocks]))
            rows = ensemble.condition_rows(np.arange(len(ensemble)))
            given = None if rows is None else Condition(torch.from_numpy(rows))
            x, condition = _in_network_units(preprocessing, x, given)
        self.x, self.condition = x.to(device), condition if condition is None else condition.to(device)

    def __call__(self, number: int) -> Batch:
        device = self.x.device
        index = torch.from_numpy(self.order(self.shard.positions(number))).to(device)
        condition = None if self.condition is None else self.condition[index]
        return Batch(self.x[index], condition, self.shard.draws(self.seed, number, Purpose.BATCH, device=device))


def _in_network_units(
    preprocessing: Units, x: Tensor, condition: Condition | None, **places: Tensor
) -> tuple[Tensor, Condition | None]:
    code = None if condition is None else preprocessing.encode_condition(condition)
    return preprocessing(x, condition, **places), code


def spread_at_random(preprocessing: Units) -> bool:
    """Whether some values are placed at random in network units: discrete ones, and zeros."""
    return bool(getattr(preprocessing, "levels", False)) or getattr(preprocessing, "spreads_zeros", False)


@singledispatch
def _is_held(space: Space, augmented: bool) -> bool:
    """Whether small ensembles are held whole on the device: members are the same in every batch."""
    return False


@_is_held.register
def _(space: Vector, augmented: bool) -> bool:
    return True


@_is_held.register
def _(space: Particles, augmented: bool) -> bool:
    return not augmented


def batches_of(
    ensemble: Ensemble,
    preprocessing: Units,
    shard: Shard,
    seed: int,
    *,
    augmented: bool,
    device: torch.device,
) -> Streamed | Resident:
    """Batches of an ensemble, held on the device or read on demand, by its size."""
    # Discrete values get a new random place in their cells in every batch.
    held = _is_held(ensemble.space, augmented) and not spread_at_random(preprocessing)
    if held and len(ensemble) * ensemble.space.size <= _RESIDENT_ELEMENTS:
        return Resident(ensemble, preprocessing, shard, seed, device)
    return Streamed(ensemble, preprocessing, shard, seed, augmented=augmented)
