"""What a run needs to go on as if it had never stopped, in one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from pushforward.models import Model
from pushforward.training.averaging import PowerAverage
from pushforward.training.files import load_tensors, save_tensors
from pushforward.training.players import Players

__all__ = ["Course", "State", "joined", "load_checkpoint", "part_of", "save_checkpoint"]

KIND = "checkpoint"


@dataclass
class Course:
    """How far a run has come: steps done, and seconds spent training."""

    step: int = 0
    seconds: float = 0.0


@dataclass
class State:
    """What changes while a run goes on, and the preprocessing that it rests on."""

    model: Model
    players: Players
    average: PowerAverage
    preprocessing: nn.Module
    course: Course = field(default_factory=Course)

    def averaged(self) -> dict[str, Tensor]:
        """The model's state with averaged weights in the place of the latest ones. Buffers are the latest."""
        values = dict(zip((id(p) for p in self.model.parameters()), self.average.values, strict=True))
        names = {name: values[id(p)] for name, p in self.model.named_parameters(remove_duplicate=False)}
        return {name: names.get(name, tensor) for name, tensor in self.model.state_dict().items()}


def save_checkpoint(path: Path, state: State) -> None:
    """Write a checkpoint in the place of the one before.

    Raises:
        UsageError: if it cannot be written; the one before is still there.
    """
    tensors = joined(
        model=state.model.state_dict(),
        average={str(index): value for index, value in enumerate(state.average.values)},
        optimiser=state.players.state(),
        preprocessing=state.preprocessing.state_dict(),
    )
    save_tensors(path, tensors, {"kind": KIND, "step": state.course.step, "seconds": state.course.seconds})


def load_checkpoint(path: Path, state: State) -> None:
    """Put everything back where `save_checkpoint` found it.

    Raises:
        UsageError: if the file is missing, damaged, or something else.
    """
    tensors, about = load_tensors(path, KIND)
    state.model.load_state_dict(part_of(tensors, "model"))
    state.preprocessing.load_state_dict(part_of(tensors, "preprocessing"))
    state.players.load_state(part_of(tensors, "optimiser"))
    values = part_of(tensors, "average")
    state.average.load([values[str(index)] for index in range(len(values))])
    state.course = Course(int(about["step"]), float(about["seconds"]))


def joined(**parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Named tensors of several parts under one roof: ``part/name``."""
    return {f"{part}/{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}


def part_of(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors of one part, under the names they have there."""
    return {name.removeprefix(f"{part}/"): t for name, t in tensors.items() if name.startswith(f"{part}/")}
