"""Batches of pairs that a teacher makes: noise, and the samples that its flow takes that noise to.

A pair costs many network calls, so it is used several times. Pairs are made in blocks, from a seed of their own for
each, and a step draws from the latest blocks: as training goes on the oldest block makes room for a new one. A run that
is resumed makes the blocks again that it was drawing from, and goes on as if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch

from pushforward.models import Pairs
from pushforward.randomness import Draws, seed_for
from pushforward.training.batches import Examples, Part, Source

__all__ = ["Paired"]

_PAIRS = 8

Watch = Callable[[str, float], None]


class Paired:
    """The batches of a run that trains on pairs.

    Arguments:
        source: of batches, of which the conditions are used.
        pairs: of the model; makes samples and their noise.
        part, seed: as for the source.
        device: where pairs are made and held.
        autocast: entered while they are made.
        watch: told what is being made and how far it is, in [0, 1].
        batches: in a block.
        uses: of each pair, on average.
        blocks: that a step draws from.
    """

    def __init__(
        self,
        source: Source,
        pairs: Pairs,
        part: Part,
        seed: int,
        *,
        device: torch.device | str = "cpu",
        autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
        watch: Watch = lambda what, part: None,
        batches: int = 16,
        uses: int = 16,
        blocks: int = 4,
    ) -> None:
        self.source, self.pairs, self.part, self.seed = source, pairs, part, seed
        self.device, self.autocast, self.watch = torch.device(device), autocast, watch
        self.batches, self.blocks = batches, blocks
        self.steps = batches * uses
        self._made: dict[int, Examples] = {}
        self._pool: Examples | None = None

    def __call__(self, step: int) -> Examples:
        oldest = (step - 1) // self.steps
        wanted = range(oldest, oldest + self.blocks)
        missing = [block for block in wanted if block not in self._made]
        if missing or self._pool is None:
            self._made = {block: made for block, made in self._made.items() if block in wanted}
            for number, block in enumerate(missing):
                self._made[block] = self._block(block, number, len(missing))
            self._pool = _joined([self._made[block] for block in wanted])
        draws = Draws(
            seed_for(self.seed, step, 0, _PAIRS), self.part.count, rank=self.part.rank, processes=self.part.processes
        )
        rows = draws.integers(len(self._pool.x)).to(self.device)
        return Examples(*(None if each is None else each[rows] for each in self._pool))  # type: ignore[arg-type]

    @torch.no_grad()
    def _block(self, block: int, number: int, missing: int) -> Examples:
        made, part = [], self.part
        for batch in range(self.batches):
            self.watch("pairs", (number + batch / self.batches) / missing)
            step = block * self.batches + batch + 1
            _, condition, _ = self.source(step)
            condition = None if condition is None else condition.to(self.device)
            seed = seed_for(self.seed, step, 1, _PAIRS)
            draws = Draws(seed, part.count, rank=part.rank, processes=part.processes, device=self.device)
            with self.autocast():
                x, noise = self.pairs(draws, condition)
            made.append(Examples(x.float(), condition, noise))
        return _joined(made)


def _joined(parts: list[Examples]) -> Examples:
    columns = (None if tensors[0] is None else torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return Examples(*columns)  # type: ignore[arg-type]
