"""The training loop. It knows no family of models: it steps the player that each turn names.

For each turn of the model, a step computes the gradient of the player's loss with respect to that player's parameters
alone, averages it over processes, and steps the optimiser before the next turn begins. Then the average of the weights
is updated.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from pushforward.ensembles.batch import Batch
from pushforward.ensembles.batching import Shard
from pushforward.errors import TrainingError, UsageError
from pushforward.models import Turn
from pushforward.models.contract import check_turn
from pushforward.models.model import Completion
from pushforward.plugins import blamed_on
from pushforward.randomness import Purpose, seed_for
from pushforward.runs.directory import CHECKPOINT
from pushforward.training.checkpoints import State, save_checkpoint
from pushforward.training.held_out import HeldOut
from pushforward.training.interrupt import Interrupted, StopRequests
from pushforward.training.meters import Meters, Reading
from pushforward.training.plan import Length
from pushforward.training.prefetch import Supply
from pushforward.training.progress import Display
from pushforward.training.settings import TrainingSettings
from pushforward.training.trackers import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightning_fabric import Fabric

__all__ = ["Loop"]

_MOST_TURNS = 10_000
"""Largest number of turns of one step: a model that loops over its batches would never end its first step."""


@dataclass
class Loop:
    """A run in progress.

    Attributes:
        fabric: device, precision, processes.
        run: the run directory.
        state: what a checkpoint holds; where to begin.
        settings, length, seed, shard: as requested.
        batches: the remaining batches.
        save_weights: writes the averaged weights for use outside training.
        completion: tells what follows the training.
        trackers, display: receive metrics and progress; silent on all processes but the first.
        held_out: measures held-out members, if they choose the weights.
    """

    fabric: Fabric
    run: Path
    state: State
    settings: TrainingSettings
    length: Length
    seed: int
    shard: Shard
    batches: Supply
    save_weights: Callable[[], None]
    completion: Callable[[], Completion | None]
    trackers: Sequence[Tracker]
    display: Display
    held_out: HeldOut | None = None

    def __post_init__(self) -> None:
        self.course = self.state.course
        self.meters = Meters(self.fabric)
        self._middle = 0.0
        self._start = self._logged = replace(self.course)
        self._start_progress = self._progress(0.0)
        self._checked, self._logged_waiting = self.course.seconds, 0.0
        self._saved: int | None = self.course.step if (self.run / CHECKPOINT).exists() else None
        self._writing = 0.0
        self._measured: dict[str, float] = {}
        if self.held_out is not None:
            self.held_out.begin(self._start_progress)

    def train(self) -> None:
        """Train to the end.

        Raises:
            TrainingError: if a loss or a weight is not finite, or a checkpoint cannot be written.
            Interrupted: on a signal, after everything is saved.
        """
        with ExitStack() as stack:
            stack.callback(self.batches.close)
            stack.callback(self.display.close)
            stack.enter_context(torch.random.fork_rng(devices=self._cuda()))
            requests = stack.enter_context(StopRequests())
            self._began = time.monotonic() - self.course.seconds
            if self._saved is None:
                self.save()
            while True:
                stop = self._agree(requests)
                progress = self._progress(self._reserve())
                if self.held_out is not None and self.held_out.is_due(progress):
                    self._measured = {"held_out/loss": self.held_out.measure()}
                    self.log(progress)
                if stop or (progress >= 1 and self.course.step > 0):
                    break
                if self.course.seconds - self._logged.seconds >= self.settings.log_every:
                    self.log(progress)
                if self.course.seconds - self._checked >= self._between_checkpoints():
                    self.save(progress)
                try:
                    with blamed_on(type(self.state.model), f"at step {self.course.step + 1}"):
                        self.step(progress)
                except (ArithmeticError, RuntimeError, ValueError):
                    # After a loss that was not finite the model may fail before the meters are read.
                    self._refuse(self.meters.read(alone=True))
                    raise
            self.save(progress)
            if self.held_out is not None and not stop:
                self.display.notes(self.held_out.verdict())
            if stop:
                raise Interrupted(
                    f"stopped by {stop} after step {self.course.step}, {progress:.0%} of {self.length}; everything is"
                    f" saved; to continue, give the same command with --out {self.run} --resume (resume=True)"
                )

    def step(self, progress: float) -> None:
        """Take one step: all turns of the model."""
        step = self.course.step + 1
        self._seed(seed_for(self.seed, step, self.shard.rank, Purpose.GLOBAL))
        self._middle = progress if self.length.steps is None else (step - 0.5) / self.length.steps
        for turn in self._turns(progress):
            self.meters.record(step, turn, self.state.optimisers.take(turn, self._middle))
        self.state.average.update(step)
        self.course.step = step

    def _turns(self, progress: float) -> Iterator[Turn]:
        """The turns of a step, each of them checked before it is taken.

        Raises:
            UsageError: if the model breaks the contract of `Model.turns`, or yields no turn or too many.
        """
        model, kind = self.state.model, type(self.state.model).__name__
        turns = model.turns(self._supplied(progress))
        if not isinstance(turns, Iterator):
            raise UsageError(f"{kind}.turns must yield Turn(player, loss, logs), not return {type(turns).__name__}")
        for count in range(_MOST_TURNS):
            with self.fabric.autocast():
                turn = next(turns, None)
            if turn is not None:
                check_turn(model, turn, self.state.optimisers.players)
                yield turn
            elif count:
                return
            else:
                step = self.course.step + 1
                raise UsageError(f"{kind}.turns yielded no turn at step {step}; it must yield at least one per step")
        raise UsageError(
            f"{kind}.turns yielded {_MOST_TURNS} turns in one step; it must yield those of one step and return "
            "(take a batch by next(batches): a loop over batches never ends)"
        )

    def _supplied(self, progress: float) -> Iterator[Batch]:
        """The batches of a step, counted as they are used."""
        for batch in self.batches:
            self.course.batches += 1
            yield replace(batch, progress=progress)

    def log(self, progress: float) -> None:
        """Read the meters and report to the trackers.

        Raises:
            TrainingError: if a loss was not finite.
        """
        reading = self.meters.read()
        steps, seconds = self.course.step - self._logged.step, self.course.seconds - self._logged.seconds
        self._refuse(reading)
        if not steps:
            return
        speed = (self.course.batches - self._logged.batches) * self.shard.batch_size / max(seconds, 1e-9)
        waiting = (self.batches.waited - self._logged_waiting) / max(seconds, 1e-9)
        metrics = {"seconds": self.course.seconds, **reading.means, "learning_rate": self._rate()}
        metrics |= {"samples_per_second": speed, "waiting": waiting, **self._measured}
        for tracker in self.trackers:
            tracker.log_metrics(self.course.step, metrics)
        left = (1 - progress) * (self.course.seconds - self._start.seconds) / max(progress - self._start_progress, 1e-9)
        with blamed_on(type(self.state.model), "in remarks"):
            remarks = self.state.model.remarks(reading.means)
        if self.held_out is not None:
            remarks = [*remarks, *self.held_out.remarks()]
        self.display.show(self.course.step, progress, reading.losses, speed, left, remarks)
        self._logged, self._logged_waiting, self._measured = replace(self.course), self.batches.waited, {}

    def _rate(self) -> float:
        """The highest learning rate among the players."""
        return max(self.state.optimisers.rate(name, self._middle) for name in self.state.optimisers.players)

    def _refuse(self, reading: Reading) -> None:
        if reading.bad is not None:
            player, step = reading.bad
            raise TrainingError(f"the loss of {player!r} was not finite at step {step}; {self._advice()}")
        reason = self.state.model.divergence(reading.means)
        if reason is not None:
            raise TrainingError(f"at step {self.course.step} {reason}; {self._advice()}")

    def save(self, progress: float = 0.0) -> None:
        """Write a checkpoint, unless it exists already.

        Raises:
            TrainingError: if a loss or weight is not finite, or the file cannot be written; names the last
                good checkpoint.
        """
        self.log(progress)
        player = self.state.optimisers.not_finite()
        if player is not None:
            raise TrainingError(
                f"the weights of {player!r} were not finite at step {self.course.step}; {self._advice()}"
            )
        began = time.monotonic()
        if self.fabric.is_global_zero:
            try:
                if self._saved != self.course.step:
                    save_checkpoint(self.run / CHECKPOINT, self.state)
                if self.course.step:
                    self.save_weights()
            except UsageError as problem:
                raise TrainingError(f"{problem}; {self._last_good()}") from None
        self._saved = self.course.step
        (writing,) = self._sum(time.monotonic() - began if self.fabric.is_global_zero else 0.0)
        self._writing = max(self._writing, writing)
        self._checked = self.course.seconds

    def _agree(self, requests: StopRequests) -> str | None:
        """Synchronise the time of the first process, and a request to stop in any process."""
        seconds = time.monotonic() - self._began if self.fabric.is_global_zero else 0.0
        self.course.seconds, asked = self._sum(seconds, float(requests.signal is not None))
        return (requests.signal.name if requests.signal else "a signal") if asked else None

    def _sum(self, *numbers: float) -> list[float]:
        """The sum over processes of each number."""
        if self.fabric.world_size == 1:
            return list(numbers)
        mine = torch.tensor(numbers, dtype=torch.float64, device=self.fabric.device)
        return cast(Tensor, self.fabric.all_reduce(mine, reduce_op="sum")).tolist()

    def _progress(self, reserve: float) -> float:
        return self.length.progress(self.course.step, self.course.seconds, reserve)

    def _reserve(self) -> float:
        """Estimated seconds for the last step, the last checkpoint, and what completes the model."""
        done = self.course.step - self._start.step
        if not done:
            return 2 * self._writing
        seconds = self.course.seconds - self._start.seconds
        completion = self.completion()
        cost = 0.0 if completion is None else completion.cost / self.shard.batch_size
        return 2 * self._writing + seconds / done + cost * seconds / (self.course.batches - self._start.batches)

    def _between_checkpoints(self) -> float:
        if self.settings.checkpoint_every is not None:
            return self.settings.checkpoint_every
        return max(60.0, 50 * self._writing)

    def _advice(self) -> str:
        return (
            f"{self._last_good()}; start again with a learning_rate below {self.settings.learning_rate:g} or with a"
            " gradient_clip"
        )

    def _last_good(self) -> str:
        if self._saved is None:
            return "no checkpoint was written yet"
        return f"the last good checkpoint is that of step {self._saved}, {self.run / CHECKPOINT}"

    def _seed(self, seed: int) -> None:
        """Seed the global generator for dropout; all other random numbers come from the batch.

        `torch.manual_seed` would format a stack trace per absent kind of device, at every step.
        """
        torch.default_generator.manual_seed(seed)
        if self.fabric.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _cuda(self) -> list[int]:
        return [self.fabric.device.index or 0] if self.fabric.device.type == "cuda" else []
