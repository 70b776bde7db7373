"""Loss of held-out members during training, and the weights for which it is smallest.

The loss of a few hundred validation members, with averaged weights and always the same random numbers, is measured at
twenty moments of the run. It rises where the weights begin to learn the training members by heart; those of the best
moment are kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from pushforward.ensembles import EnsembleSource, Source
from pushforward.ensembles.batch import Batch
from pushforward.ensembles.batching import Shard, batches_of
from pushforward.errors import UsageError
from pushforward.models import Model
from pushforward.models.abilities import Bounded, Density
from pushforward.randomness import Draws, Purpose, seed_for
from pushforward.training.checkpoints import Best, State

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from pushforward.ensembles.preprocessing import Preprocessing

__all__ = ["HeldOut", "check_held_out"]

_TIMES = 20
"""Measurements per run."""
_MOST, _FEWEST = 512, 8
"""Largest and smallest number of members that are measured."""


def check_held_out(source: Source, model: type[Model]) -> None:
    """Raise unless the loss of held-out members can be compared over a run.

    Raises:
        UsageError: unless the source is an ensemble with enough validation members, and the model has a density or a
            bound of it.
    """
    name = model.__name__
    if not isinstance(source, EnsembleSource):
        raise UsageError(f"keep=best needs an ensemble, and {name} learns from {source.kind} data; leave it out")
    if not issubclass(model, Density | Bounded):
        raise UsageError(
            f"keep=best needs a model with a density or a bound of it, and the losses of {name} do not tell how "
            "well it describes data; leave it out"
        )
    members = len(source.ensemble.validation)
    if members < _FEWEST:
        raise UsageError(f"keep=best needs {_FEWEST} validation members, not {members}; leave it out")


class HeldOut:
    """Measures the loss of held-out members, and keeps the best weights in ``state.best``.

    Arguments:
        source: its validation split is measured, without augmentation.
        preprocessing: map to network units.
        state: that of the run.
        batch_size: members per evaluation.
        seed: seed of the run.
        fabric: device, precision, processes; each process measures the same.
    """

    def __init__(
        self, source: Source, preprocessing: Preprocessing, state: State, batch_size: int, seed: int, fabric: Fabric
    ) -> None:
        members = cast(EnsembleSource, source).ensemble.validation
        self.state, self.seed, self.fabric = state, seed, fabric
        self.size = min(batch_size, len(members))
        self.numbers = range(1, 1 + max(1, min(len(members), _MOST) // self.size))
        self.batches = batches_of(
            members, preprocessing, Shard(self.size), seed, augmented=False, device=torch.device(fabric.device)
        )
        self.passed = 0
        self.last: float | None = None

    def begin(self, progress: float) -> None:
        """Begin at a completed fraction of the run; earlier moments were measured before an interruption."""
        self.passed = int(_TIMES * progress)

    def is_due(self, progress: float) -> bool:
        """Whether the run has passed another moment of measurement."""
        passed, self.passed = self.passed, int(_TIMES * progress)
        return self.passed > passed

    def measure(self) -> float:
        """The mean loss of the held-out members; keeps the averaged weights if it is the smallest finite one so far."""
        state = self.state
        buffers = [(buffer, buffer.clone()) for buffer in state.model.buffers()]
        state.model.eval()
        with state.average.in_place():
            losses = [self._loss(number) for number in self.numbers]
        state.model.train()
        for buffer, before in buffers:
            buffer.copy_(before)
        self.last = loss = _mean(losses, self.fabric)
        if math.isfinite(loss) and (state.best is None or loss < state.best.loss):
            weights = {name: tensor.clone() for name, tensor in state.averaged().items()}
            state.best = Best(loss, state.course.step, weights)
        return loss

    def _loss(self, number: int) -> Tensor:
        model, device = self.state.model, self.fabric.device
        draws = Draws(seed_for(self.seed, number, Purpose.HELD_OUT), self.size)
        # Some losses depend on the progress of the run: all are measured as at its end.
        batch: Batch = replace(self.batches(number), draws=draws, progress=1.0)
        if model.collate is not None:
            batch = model.collate(batch)
        with self.fabric.autocast():
            turns = model.turns(iter([batch.to(device)]))
            # Not under no_grad: some losses take gradients with respect to the samples.
            return next(turns).loss.detach().double()

    def remarks(self) -> list[str]:
        """The last loss and the smallest, for the progress display."""
        best = self.state.best
        return [] if self.last is None or best is None else [f"held out {self.last:.5g} (best {best.loss:.5g})"]

    def describe(self) -> str:
        return (
            f"{len(self.numbers) * self.size} validation members are measured {_TIMES} times, and the weights of the "
            "best time kept (keep=best)"
        )

    def verdict(self) -> list[str]:
        """A line on the weights that were kept."""
        best = self.state.best
        if best is None:
            return ["the loss of held-out members was never finite: the last weights are kept"]
        step, last = best.step, self.state.course.step
        when = "the last ones" if step == last else f"those of step {step} of {last}"
        return [f"held-out members had the smallest loss, {best.loss:.5g}, with {when}, which are kept"]


def _mean(losses: Sequence[Tensor], fabric: Fabric) -> float:
    mean = torch.stack(list(losses)).mean()
    if fabric.world_size > 1:
        mean = fabric.all_reduce(mean, reduce_op="mean")  # type: ignore[assignment]
    return float(mean)
