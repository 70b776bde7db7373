"""Calls of a trained model in chunks of samples, between the user's units and network units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from pushforward.conditions import Condition
from pushforward.errors import UsageError
from pushforward.models import Model
from pushforward.randomness import Draws, Purpose, seed_for

__all__ = ["Chunks"]

_CHUNK_NUMBERS, _LARGEST_CHUNK = 2**19, 4096


class Chunks:
    """A model with its device and precision, called chunk by chunk.

    Arguments:
        model: in network units.
        preprocessing: between the user's units and network units.
        device: of both; results are returned on the CPU.
        low_precision: sample in bfloat16 where the model allows it.
    """

    def __init__(self, model: Model, preprocessing: Any, device: torch.device, *, low_precision: bool) -> None:
        self.model, self.preprocessing, self.device, self.low_precision = model, preprocessing, device, low_precision

    @property
    def size(self) -> int:
        """Samples per chunk, a function of the space alone, so that a seed determines the samples."""
        return max(1, min(_LARGEST_CHUNK, _CHUNK_NUMBERS // self.model.space.size))

    def encoded(self, condition: Condition | None) -> Condition | None:
        """Conditions in network units."""
        return None if condition is None else self.preprocessing.encode_condition(condition)

    def drawn(
        self,
        draw: Callable[[Draws, Condition | None], Any],
        n: int,
        given: Condition | None,
        seed: int,
        size: int | None,
    ) -> list[Any]:
        """Results of ``draw`` for the random numbers and the conditions, in the user's units, of each chunk."""
        made = []
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.low_precision):
            for number, part in enumerate(_parts(n, size or self.size)):
                draws = Draws(seed_for(seed, number, Purpose.SAMPLES), part.stop - part.start, device=self.device)
                made.append(draw(draws, self._rows(given, part)))
        return made

    def each(
        self, function: Callable[[Tensor, Condition | None], Tensor], x: Tensor, given: Condition | None
    ) -> Tensor:
        """Values of a function of samples and their conditions, both in the user's units, in float32.

        Raises:
            UsageError: if there are no samples.
        """
        if not len(x):
            raise UsageError("no samples were given; give at least one")
        with torch.no_grad():
            parts = [
                function(x[part].to(self.device), self._rows(given, part)).cpu() for part in _parts(len(x), self.size)
            ]
        return torch.cat(parts)

    def _rows(self, given: Condition | None, part: slice) -> Condition | None:
        return None if given is None else given[part].to(self.device)


def _parts(n: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
