"""Prefetching of batches in a background thread."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

import torch

from pushforward.ensembles.batch import Batch
from pushforward.ensembles.batching import BatchSource
from pushforward.errors import UsageError
from pushforward.tensors import start_beside

__all__ = ["Immediate", "Prefetched", "Supply", "supply"]


class Supply(Protocol):
    """Batches in the order of their numbers.

    Attributes:
        waited: seconds that the loop has waited for batches.
    """

    waited: float

    def __next__(self) -> Batch: ...

    def __iter__(self) -> Iterator[Batch]: ...

    def close(self) -> None: ...


class Prefetched:
    """Batches of a source, made in a background thread a few ahead of their use.

    Arguments:
        source: gives the batch of a number.
        first: number of the first batch.
        finish: last operation on a batch, in the thread (such as moving it to a device).
        depth: number of batches held ready.
        busy: whether making them occupies a core.
    """

    def __init__(
        self,
        source: BatchSource,
        first: int,
        finish: Callable[[Batch], Batch] = lambda batch: batch,
        depth: int = 4,
        *,
        busy: bool = False,
    ) -> None:
        self._source, self._finish = source, finish
        self._ready: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        self.waited = 0.0
        self._threads = torch.get_num_threads()
        self._thread = start_beside(partial(self._fill, first), name="batches", busy=busy)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        """The next batch; an error in the thread is raised here."""
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

    def _fill(self, number: int) -> None:
        while not self._stop.is_set():
            try:
                batch: Batch | BaseException = self._finish(self._source(number))
            except BaseException as error:
                batch = error
            self._put(batch)
            if isinstance(batch, BaseException):
                return
            number += 1

    def _put(self, batch: Batch | BaseException) -> None:
        while not self._stop.is_set():
            try:
                return self._ready.put(batch, timeout=0.05)
            except queue.Full:
                continue


class Immediate:
    """Batches of a source without prefetching, with the interface of `Prefetched`."""

    waited = 0.0

    def __init__(self, source: BatchSource, first: int) -> None:
        self._source, self._number = source, first

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        self._number += 1
        return self._source(self._number - 1)

    def close(self) -> None:
        pass


def supply(
    source: BatchSource,
    first: int,
    device: torch.device,
    collate: Callable[[Batch], Batch] | None = None,
    *,
    ready: bool,
) -> Supply:
    """The batches of a source from number ``first`` on, prefetched if making them takes time.

    Arguments:
        source: of batches.
        first: number of the first batch.
        device: device of the batches.
        collate: the model's preparation of a batch, independent of its weights (see `Model.collate`).
        ready: whether the source only selects rows of tensors that are on the device.
    """
    if ready and collate is None:
        return Immediate(source, first)

    @torch.no_grad()
    def finish(batch: Batch) -> Batch:
        collated: object = batch if collate is None else collate(batch)
        if not isinstance(collated, Batch):
            raise UsageError(f"the model's collate must return a Batch, not {type(collated).__name__}")
        return collated.to(device)

    # An optimal-transport plan for a large batch of small samples takes as long as a step on them.
    return Prefetched(source, first, finish, busy=ready and device.type == "cpu")
