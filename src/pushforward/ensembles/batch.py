"""Training batches, one class per kind of source.

Everything is in network units (see `Preprocessing`). A model takes random numbers from the batch's `Draws` alone, so
that a resumed run and a run of several processes see what one uninterrupted process would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from pushforward.conditions import Condition
from pushforward.randomness import Draws

__all__ = ["Batch", "EnergyBatch", "PairBatch", "TeacherBatch"]


@dataclass(frozen=True)
class Batch:
    """Members of an ensemble.

    Attributes:
        x: samples, shape ``(batch, *space.shape)``.
        condition: conditions of the samples; None for an unconditional ensemble.
        draws: random numbers of this batch.
        progress: completed fraction of the run, in [0, 1].
        noise: one row per sample, if `Model.collate` has paired the samples with noise before the step.
        values: the samples in the user's units, in `Model.prepare` alone, and only if these are functions of ``x``
            value by value.
    """

    x: Tensor
    condition: Condition | None
    draws: Draws
    progress: float = 0.0
    noise: Tensor | None = None
    values: Tensor | None = None

    def to(self, device: torch.device) -> Self:
        """Move the batch to a device; maps get channels last in memory, which is faster for convolutions."""
        moved: dict[str, Any] = {"draws": self.draws.to(device)}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Tensor):
                moved[each.name] = _laid_out(value, device)
            elif isinstance(value, Condition):
                moved[each.name] = value.map(lambda part: _laid_out(part, device))
        return replace(self, **moved)


@dataclass(frozen=True, kw_only=True)
class PairBatch(Batch):
    """Members of two unpaired ensembles: ``x`` of ensemble a, and as many of ensemble b.

    Attributes:
        b: members of ensemble b, shape ``(batch, *space_b.shape)``.
        paired: whether row i of ``b`` belongs to row i of ``x`` by a plan of `Model.collate`; otherwise rows
            are unrelated.
    """

    b: Tensor
    paired: bool = False


@dataclass(frozen=True, kw_only=True)
class EnergyBatch(Batch):
    """Random numbers and an energy, without members, so ``x`` has no rows.

    Attributes:
        energy: function of samples in network units, ``(batch, *space.shape)`` to ``(batch,)``, in units of kT: U of
            the samples in the user's units plus the log volume change of the preprocessing, so that exp(-energy) is an
            unnormalised density in network units with the same normalisation as exp(-U).
    """

    energy: Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class TeacherBatch(Batch):
    """Members of an ensemble, and a trained teacher model.

    Attributes:
        teacher: trained model in evaluation mode, without gradients, in the same network units.
        pairs: function of a number of solver steps; returns a `Batch` of the teacher's samples with the noise that its
            flow maps to them, from a pool renewed during training.
    """

    teacher: nn.Module
    pairs: Callable[[int], Batch]


def _laid_out(tensor: Tensor, device: torch.device) -> Tensor:
    tensor = tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor
    return tensor.to(device, non_blocking=True)
