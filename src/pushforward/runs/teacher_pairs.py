"""Pairs of noise and the samples that a teacher's flow maps it to, in a pool that is renewed during training.

A pair costs many network calls, so it is used several times. Pairs are made in blocks, each with its own seed, and a
batch draws from the latest blocks: as training proceeds, new blocks replace the oldest. A resumed run makes its current
blocks again and continues exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pushforward.conditions import Condition
from pushforward.ensembles.batch import Batch
from pushforward.ensembles.batching import BatchSource, Shard
from pushforward.randomness import Purpose

__all__ = ["PairPool"]


class PairPool:
    """Batches of pairs.

    Arguments:
        source: source of batches; the pairs are made at their conditions.
        teacher: has ``pairs_from_noise(draws, condition, steps)``, which gives samples and their noise.
        shard, seed: as for the source.
        device: device of the pairs.
        watch: called with the name of the computation and its completed fraction, in [0, 1].
        batches: batches per block.
        uses: mean number of uses per pair.
        blocks: number of blocks that a batch draws from.
    """

    def __init__(
        self,
        source: BatchSource,
        teacher: Any,
        shard: Shard,
        seed: int,
        *,
        device: torch.device | str = "cpu",
        watch: Callable[[str, float], None] = lambda what, part: None,
        batches: int = 16,
        uses: int = 16,
        blocks: int = 4,
    ) -> None:
        self.source, self.teacher, self.shard, self.seed = source, teacher, shard, seed
        self.device, self.watch = torch.device(device), watch
        self.batches, self.blocks = batches, blocks
        self.lifetime = batches * uses
        self._made: dict[int, Batch] = {}
        self._pool: Batch | None = None

    def __call__(self, number: int, steps: int) -> Batch:
        """Batch ``number``, with pairs made by ``steps`` steps of the teacher's solver."""
        oldest = (number - 1) // self.lifetime
        wanted = range(oldest, oldest + self.blocks)
        missing = [block for block in wanted if block not in self._made]
        if missing or self._pool is None:
            self._made = {block: made for block, made in self._made.items() if block in wanted}
            for count, block in enumerate(missing):
                self._made[block] = self._block(block, steps, count, len(missing))
            self._pool = _joined([self._made[block] for block in wanted])
        draws = self.shard.draws(self.seed, number, 0, Purpose.TEACHER_PAIRS)
        return _rows(self._pool, draws.integers(len(self._pool.x)).to(self.device))

    @torch.no_grad()
    def _block(self, block: int, steps: int, count: int, missing: int) -> Batch:
        made = []
        for index in range(self.batches):
            self.watch("pairs", (count + index / self.batches) / missing)
            number = block * self.batches + index + 1
            condition = self.source(number).condition
            condition = None if condition is None else condition.to(self.device)
            draws = self.shard.draws(self.seed, number, 1, Purpose.TEACHER_PAIRS, device=self.device)
            x, noise = self.teacher.pairs_from_noise(draws, condition, steps)
            made.append(Batch(x.float(), condition, draws, noise=noise))
        return _joined(made)


def _joined(parts: list[Batch]) -> Batch:
    conditions = [part.condition for part in parts if part.condition is not None]
    return Batch(
        torch.cat([part.x for part in parts]),
        Condition.cat(conditions) if conditions else None,
        parts[0].draws,
        noise=torch.cat([part.noise for part in parts if part.noise is not None]),
    )


def _rows(batch: Batch, rows: Tensor) -> Batch:
    return replace(
        batch,
        x=batch.x[rows],
        condition=None if batch.condition is None else batch.condition[rows],
        noise=None if batch.noise is None else batch.noise[rows],
    )
