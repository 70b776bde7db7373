"""Checkpoints: the state of a run in one file, from which it resumes exactly."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.models import Model
from pushforward.runs.directory import CONFIG
from pushforward.runs.files import joined, load_tensors, part_of, save_tensors
from pushforward.training.averaging import PowerAverage
from pushforward.training.optimisers import Optimisers

__all__ = ["Best", "Course", "State", "load_checkpoint", "save_checkpoint"]

KIND = "checkpoint"


@dataclass
class Course:
    """Extent of a run so far: steps, batches, and seconds of training."""

    step: int = 0
    seconds: float = 0.0
    batches: int = 0


@dataclass
class Best:
    """The averaged weights with the smallest loss of held-out members so far.

    Attributes:
        loss: of held-out members, with these weights.
        step: steps of the run before it was measured.
        weights: state of the model.
    """

    loss: float
    step: int
    weights: dict[str, Tensor]


@dataclass
class State:
    """The changing state of a run, and its preprocessing; ``best`` if held-out members choose the weights."""

    model: Model
    optimisers: Optimisers
    average: PowerAverage
    preprocessing: nn.Module
    course: Course = field(default_factory=Course)
    best: Best | None = None

    def kept(self) -> dict[str, Tensor]:
        """The weights for use outside training: the best, if held-out members choose, or else the averaged ones."""
        return self.averaged() if self.best is None else self.best.weights

    def averaged(self) -> dict[str, Tensor]:
        """The model's state with averaged weights in place of the latest ones, and the latest buffers."""
        values = dict(zip((id(p) for p in self.model.parameters()), self.average.values, strict=True))
        names = {name: values[id(p)] for name, p in self.model.named_parameters(remove_duplicate=False)}
        return {name: names.get(name, tensor) for name, tensor in self.model.state_dict().items()}


def save_checkpoint(path: Path, state: State) -> None:
    """Write a checkpoint in place of the previous one.

    Raises:
        UsageError: if it cannot be written; the previous one remains.
    """
    tensors = joined(
        model=state.model.state_dict(),
        average={str(index): value for index, value in enumerate(state.average.values)},
        optimiser=state.optimisers.state(),
        preprocessing=state.preprocessing.state_dict(),
        best=state.best.weights if state.best else {},
    )
    chosen = {"best_loss": state.best.loss, "best_step": state.best.step} if state.best else {}
    save_tensors(path, tensors, {"kind": KIND, **asdict(state.course), **chosen})


def load_checkpoint(path: Path, state: State) -> None:
    """Restore the state that `save_checkpoint` wrote.

    Raises:
        UsageError: if the file is missing, damaged, or of another model.
    """
    tensors, about = load_tensors(path, KIND)
    try:
        state.model.load_state_dict(part_of(tensors, "model"))
        state.preprocessing.load_state_dict(part_of(tensors, "preprocessing"))
        state.optimisers.load_state(part_of(tensors, "optimiser"))
        values = part_of(tensors, "average")
        state.average.load([values[str(index)] for index in range(len(values))])
        state.course = Course(int(about["step"]), float(about["seconds"]), int(about["batches"]))
        if "best_step" in about:
            state.best = Best(float(about["best_loss"]), int(about["best_step"]), part_of(tensors, "best"))
    except (RuntimeError, KeyError, ValueError, TypeError):
        raise UsageError(
            f"{path} is not of the model that {path.with_name(CONFIG)} describes; restore the file of this run, or "
            "train in another directory"
        ) from None
