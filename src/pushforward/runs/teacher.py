"""A trained model as the source of distillation and reflow."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pushforward.conditions import ConditionSpace
from pushforward.ensembles import Parameter
from pushforward.ensembles.batch import Batch, TeacherBatch
from pushforward.ensembles.batching import BatchSource, Shard
from pushforward.ensembles.source import EnsembleSource
from pushforward.errors import UsageError
from pushforward.runs.devices import laid_out
from pushforward.runs.teacher_pairs import PairPool
from pushforward.runs.weights import Trained, read_trained
from pushforward.spaces import Space

__all__ = ["Teacher"]


@dataclass
class Teacher:
    """An ensemble, and a model trained on data of the same kind: its samples, noise, and network units.

    Arguments:
        data: gives the conditions, or members, to train on.
        run: directory of the teacher.
        trained: the trained model in it.
        watch: called with the name of a long computation and its completed fraction.
    """

    data: EnsembleSource
    run: Path
    trained: Trained
    watch: Callable[[str, float], None] = lambda what, part: None
    kind: ClassVar[str] = "teacher"

    @classmethod
    def read(cls, data: EnsembleSource, run: str | Path) -> Teacher:
        """Read the teacher in a run directory.

        Raises:
            UsageError: if it is missing, or was trained on another space or other conditions.
        """
        try:
            trained = read_trained(Path(run))
        except UsageError as problem:
            raise UsageError(f"teacher={run} cannot be used: {problem}") from None
        _check_alike(run, "space", trained.model.space, data.space)
        _check_alike(run, "conditions", trained.preprocessing.parameters_, data.parameters)
        _check_alike(run, "condition field", trained.preprocessing.condition_space.field, data.condition_space.field)
        return cls(data, Path(run), trained)

    @property
    def model(self) -> nn.Module:
        return self.trained.model

    @property
    def family(self) -> str:
        return str(self.trained.config["model"])

    @property
    def name(self) -> str:
        return self.data.name

    @property
    def space(self) -> Space:
        return self.data.space

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self.data.parameters

    @property
    def condition_space(self) -> ConditionSpace:
        return self.data.condition_space

    @property
    def notes(self) -> tuple[str, ...]:
        return self.data.notes

    def check(self) -> None:
        self.data.check()

    def preprocessing(self, options: Mapping[str, Any]) -> nn.Module:
        """The preprocessing of the teacher: a student works in its units."""
        return self.trained.preprocessing

    def batches(
        self, preprocessing: Any, shard: Shard, seed: int, *, augmented: bool, device: torch.device
    ) -> tuple[BatchSource, bool]:
        source, ready = self.data.batches(preprocessing, shard, seed, augmented=augmented, device=device)
        teacher = self.trained.model.to(device).eval().requires_grad_(False)
        laid_out(teacher, self.space)
        pool = PairPool(source, teacher, shard, seed, device=device, watch=self.watch)

        def made(number: int) -> TeacherBatch:
            batch = source(number)
            own = {each.name: getattr(batch, each.name) for each in fields(Batch)}
            return TeacherBatch(**own, teacher=teacher, pairs=lambda steps: replace(pool(number, steps)))

        return made, ready

    def condition_rows(self) -> NDArray[np.float32] | None:
        return self.data.condition_rows()

    def describe(self) -> list[str]:
        return [*self.data.describe(), f"taught by the {self.family} in {self.run}"]

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.data.to_dict(),
            "kind": self.kind,
            "teacher": {"run": str(self.run), "model": self.family, "weights": _digest(self.trained)},
        }

    def portable(self) -> Teacher:
        return Teacher(self.data.portable(), self.run, self.trained)


def _digest(trained: Trained) -> str:
    """Digest of weights and preprocessing, independent of the file."""
    digest = hashlib.sha256()
    for module in (trained.model, trained.preprocessing):
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _check_alike(
    run: str | Path,
    what: str,
    theirs: Space | tuple[Parameter, ...] | None,
    ours: Space | tuple[Parameter, ...] | None,
) -> None:
    if theirs != ours:
        raise UsageError(
            f"teacher={run} cannot be used: it was trained on the {what} {_described(theirs)}, but these data have"
            f" {_described(ours)}"
        )


def _described(what: Space | tuple[Parameter, ...] | None) -> str:
    if not isinstance(what, tuple):
        return str(what)
    names = [f"{each.name} ({', '.join(each.classes)})" if each.classes else each.name for each in what]
    return ", ".join(names) or "none"
