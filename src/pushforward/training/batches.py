"""The batches of a run: which members, in which order, seen how, and made ahead of time.

A batch is a function of the run's seed and the step alone, never of what came before or of how many processes there
are: a resumed run continues the order of the uninterrupted one, and two processes hold halves of what one would see.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from pushforward.ensembles import Ensemble, Preprocessing
from pushforward.ensembles.symmetries import augment_given
from pushforward.models import Coupling
from pushforward.randomness import Draws, seed_for
from pushforward.spaces import Field, Vector
from pushforward.tensors import start_beside

__all__ = ["Ahead", "AtHand", "Coupled", "Examples", "Members", "Order", "Part", "Resident", "Source", "examples"]


class Examples(NamedTuple):
    """What a step sees, in network units.

    Attributes:
        x: samples, shape ``(batch, *space.shape)``.
        condition: shape ``(batch, numbers and cells)``; None if there is none.
        noise: that the model's `Coupling` has found for the samples; None if it has none.
    """

    x: Tensor
    condition: Tensor | None = None
    noise: Tensor | None = None


# The last key of a seed says what it is for, so that no two uses share a stream of random numbers.
_ORDER, _VIEW, _NOISE = 1, 2, 7
_RESIDENT_ELEMENTS = 2**26


class Part:
    """Which part of every joined batch a process holds.

    Arguments:
        batch_size: samples in the joined batch; a multiple of ``processes``.
        rank, processes: this process, and how many there are.
    """

    def __init__(self, batch_size: int, rank: int = 0, processes: int = 1) -> None:
        self.batch_size, self.rank, self.processes = batch_size, rank, processes
        self.count = batch_size // processes

    def positions(self, step: int) -> range:
        """Places in the order of members that this process sees at a step (the first step is 1)."""
        start = (step - 1) * self.batch_size + self.rank * self.count
        return range(start, start + self.count)


class Order:
    """An endless order of members: one random permutation of them after another.

    Arguments:
        members: how many there are.
        seed: of the run.
    """

    def __init__(self, members: int, seed: int) -> None:
        self.members, self.seed = members, seed
        self._epochs: dict[int, np.ndarray] = {}

    def __call__(self, positions: range) -> np.ndarray:
        """Indices of the members at some places in the order, int64."""
        epochs, places = np.divmod(np.arange(positions.start, positions.stop), self.members)
        index = np.empty(len(positions), np.int64)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            index[chosen] = self._permutation(int(epoch))[places[chosen]]
        return index

    def _permutation(self, epoch: int) -> np.ndarray:
        if epoch not in self._epochs:
            self._epochs = {k: v for k, v in self._epochs.items() if k == epoch - 1}
            self._epochs[epoch] = np.random.default_rng(seed_for(self.seed, epoch, _ORDER)).permutation(self.members)
        return self._epochs[epoch]


class Members:
    """Batches read from an ensemble as they are asked for.

    Arguments:
        ensemble: what to train on.
        preprocessing: to network units; on the CPU.
        part: of the joined batch.
        seed: of the run.
        augmented: whether fields are moved, rotated and reflected at random, as far as their space allows.
    """

    def __init__(
        self, ensemble: Ensemble, preprocessing: Preprocessing, part: Part, seed: int, *, augmented: bool = True
    ) -> None:
        self.ensemble, self.preprocessing, self.part, self.seed = ensemble, preprocessing, part, seed
        self.order = Order(len(ensemble), seed)
        space = ensemble.space
        self.augmented = augmented and isinstance(space, Field) and (space.periodic or space.isotropic)

    @torch.no_grad()
    def __call__(self, step: int) -> Examples:
        index = self.order(self.part.positions(step))
        views = _JoinedGenerator(seed_for(self.seed, step, 0, _VIEW), self.part)
        batch, rows = self.ensemble.take_given(index, views)
        x, condition = torch.from_numpy(batch), None if rows is None else torch.from_numpy(rows)
        if self.augmented:
            x, condition = augment_given(x, condition, self.ensemble.space, views)
        return _in_network_units(self.preprocessing, x, condition)


class _JoinedGenerator(np.random.Generator):
    """Draws for the joined batch, one row a sample, and gives this process its rows: what `Draws` is to tensors.

    Cropping and augmentation draw nothing but integers, with the batch along the first axis.
    """

    def __init__(self, seed: int, part: Part) -> None:
        super().__init__(np.random.PCG64(seed))
        self._part = part

    def integers(self, low: Any, high: Any = None, size: Any = None) -> Any:  # type: ignore[override]
        count, *event = np.atleast_1d(size).tolist()
        joined = super().integers(low, high, (count * self._part.processes, *event))
        return joined[self._part.rank * count : (self._part.rank + 1) * count]


class Resident:
    """Batches of an ensemble that is held as a whole on the device, in network units: a step only picks rows."""

    def __init__(
        self, ensemble: Ensemble, preprocessing: Preprocessing, part: Part, seed: int, device: torch.device
    ) -> None:
        self.part, self.order = part, Order(len(ensemble), seed)
        blocks = [np.arange(i, min(i + 65536, len(ensemble))) for i in range(0, len(ensemble), 65536)]
        with torch.no_grad():
            x = torch.from_numpy(np.concatenate([ensemble.take(block) for block in blocks]))
            rows = ensemble.condition_rows(np.arange(len(ensemble)))
            x, condition, _ = _in_network_units(preprocessing, x, None if rows is None else torch.from_numpy(rows))
        self.x, self.condition = x.to(device), condition if condition is None else condition.to(device)

    def __call__(self, step: int) -> Examples:
        index = torch.from_numpy(self.order(self.part.positions(step))).to(self.x.device)
        return Examples(self.x[index], None if self.condition is None else self.condition[index])


def _in_network_units(preprocessing: Preprocessing, x: Tensor, condition: Tensor | None) -> Examples:
    if condition is None:
        return Examples(preprocessing(x))
    return Examples(preprocessing(x, condition), preprocessing.encode_condition(condition))


class Source(Protocol):
    """The examples of a step, the first of which is 1."""

    def __call__(self, step: int) -> Examples: ...


class Coupled:
    """Batches that come with their noise, which the plans of optimal transport take a while to find.

    The noise of a step is drawn from a seed of its own, so that it does not matter when that is done.

    Arguments:
        source: of samples and conditions.
        coupling: of the model; it looks at no weights.
        part, seed: as for the source.
    """

    def __init__(self, source: Source, coupling: Coupling, part: Part, seed: int) -> None:
        self.source, self.coupling, self.part, self.seed = source, coupling, part, seed

    @torch.no_grad()
    def __call__(self, step: int) -> Examples:
        x, condition, _ = self.source(step)
        seed, part = seed_for(self.seed, step, 0, _NOISE), self.part
        draws = Draws(seed, part.count, rank=part.rank, processes=part.processes, device=x.device)
        return Examples(x, condition, self.coupling(x, condition, draws))


class Ahead:
    """Calls a source for one step after another in a thread of its own, some steps ahead of whoever asks.

    Arguments:
        source: gives the batch of a step.
        first: step to begin at.
        finish: what is still to be done to a batch, in the thread (moving it to a device).
        depth: batches held ready.
        busy: whether making them keeps a core at work.
    """

    def __init__(
        self, source: Source, first: int, finish: Callable[[Tensor], Tensor], depth: int = 4, *, busy: bool = False
    ) -> None:
        self._source, self._finish = source, finish
        self._ready: queue.Queue[Examples | BaseException] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        self.waited = 0.0
        self._threads = torch.get_num_threads()
        self._thread = start_beside(partial(self._fill, first), name="batches", busy=busy)

    def __next__(self) -> Examples:
        """The next step's batch. An error in the thread is raised here."""
        start = time.perf_counter()
        batch = self._ready.get()
        self.waited += time.perf_counter() - start
        if isinstance(batch, BaseException):
            raise batch
        return batch

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        torch.set_num_threads(self._threads)

    def _fill(self, step: int) -> None:
        while not self._stop.is_set():
            try:
                made = self._source(step)
                x, condition, noise = (tensor if tensor is None else self._finish(tensor) for tensor in made)
                assert x is not None
                batch: Examples | BaseException = Examples(x, condition, noise)
            except BaseException as error:
                batch = error
            self._put(batch)
            if isinstance(batch, BaseException):
                return
            step += 1

    def _put(self, batch: Examples | BaseException) -> None:
        while not self._stop.is_set():
            try:
                return self._ready.put(batch, timeout=0.05)
            except queue.Full:
                continue


class AtHand:
    """The same face as `Ahead`, for a source that has nothing to prepare."""

    waited = 0.0

    def __init__(self, source: Source, first: int) -> None:
        self._source, self._step = source, first

    def __next__(self) -> Examples:
        self._step += 1
        return self._source(self._step - 1)

    def close(self) -> None:
        pass


def examples(
    ensemble: Ensemble,
    preprocessing: Preprocessing,
    part: Part,
    seed: int,
    *,
    first: int,
    augmented: bool,
    device: torch.device,
    coupling: Coupling | None = None,
    paired: Callable[[Source], Source] | None = None,
) -> Ahead | AtHand:
    """The batches of a run from step ``first`` on, made in the way that suits the ensemble and the model."""
    source: Source
    held = isinstance(ensemble.space, Vector) and len(ensemble) * ensemble.space.size <= _RESIDENT_ELEMENTS
    if held:
        source = Resident(ensemble, preprocessing, part, seed, device)
    else:
        source = Members(ensemble, preprocessing, part, seed, augmented=augmented)
    if paired is not None:
        return AtHand(paired(source), first)
    if coupling is not None:
        source = Coupled(source, coupling, part, seed)
    elif held:
        return AtHand(source, first)
    # A plan for a large batch of small samples takes as long as a step on them.
    busy = held and device.type == "cpu"
    return Ahead(source, first, lambda tensor: _laid_out(tensor).to(device, non_blocking=True), busy=busy)


def _laid_out(tensor: Tensor) -> Tensor:
    """Maps with the channels last in memory, which convolutions are faster on."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor
