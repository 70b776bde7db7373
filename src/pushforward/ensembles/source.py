"""Training sources and their interface to the training loop.

An ensemble, a pair of ensembles, an energy, a trained model: each is a source that provides batches, the preprocessing
that defines their units, and the record that identifies it in a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pushforward.conditions import ConditionSpace
from pushforward.ensembles.batching import BatchSource, Shard, batches_of
from pushforward.ensembles.ensemble import Ensemble, Parameter
from pushforward.ensembles.preprocessing import Preprocessing
from pushforward.errors import DataError
from pushforward.spaces import Space

__all__ = ["EnsembleSource", "OfEnsemble", "Source", "checked_training_members", "record_of", "source_of"]

FEWEST_MEMBERS = 8
FEWEST_TO_JUDGE = 8
"""Smallest number of test members for a report."""
_MOST_ROWS = 65536


class Source(Protocol):
    """Source of training batches.

    Attributes:
        kind: ``"ensemble"``, ``"pair"``, ``"energy"``, ``"teacher"`` or ``"trajectories"``.
        name: name in messages and run directories.
        space: space of a sample; for a pair, of ensemble a.
        parameters: conditions of the samples.
        condition_space: space of the conditions, in the user's units.
        notes: recognised properties, one line each.
    """

    @property
    def kind(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def space(self) -> Space: ...

    @property
    def parameters(self) -> tuple[Parameter, ...]: ...

    @property
    def condition_space(self) -> ConditionSpace: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def check(self) -> None:
        """Check the source before training.

        Raises:
            DataError: if a model cannot be trained on it.
        """
        ...

    def preprocessing(self, options: Mapping[str, Any]) -> nn.Module:
        """Fitted map to network units.

        Arguments:
            options: fields of `TrainingSettings`: ``transform``, ``scale_by_condition``, ``discrete``; of a pair also
                ``equal_smoothness``.
        """
        ...

    def batches(
        self, preprocessing: Any, shard: Shard, seed: int, *, augmented: bool, device: torch.device
    ) -> tuple[BatchSource, bool]:
        """Function from batch numbers to batches, and whether they are made on the device.

        Arguments:
            preprocessing: map to network units, on the CPU.
            shard: share of the joined batch.
            seed: seed of the run.
            augmented: whether random symmetries of the space are applied to members.
            device: device of the model.
        """
        ...

    def condition_rows(self) -> NDArray[np.float32] | None:
        """Conditions for sampling, shape (rows, parameters), in the user's units; None without conditions."""
        ...

    def describe(self) -> list[str]:
        """Description of the training data, one line per part."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Record in a run's configuration: plain values with ``name``, ``kind``, ``spec`` and ``fingerprint``."""
        ...

    def portable(self) -> Self:
        """Copy of the source that can be sent to another process."""
        ...


@dataclass
class OfEnsemble:
    """Description of a source by that of its ensemble."""

    ensemble: Ensemble

    @property
    def train(self) -> Ensemble:
        """The members that models learn from."""
        return self.ensemble.train

    @property
    def name(self) -> str:
        return self.ensemble.name

    @property
    def space(self) -> Space:
        return self.ensemble.space

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self.ensemble.parameters

    @property
    def condition_space(self) -> ConditionSpace:
        return self.ensemble.condition_space

    @property
    def notes(self) -> tuple[str, ...]:
        return self.ensemble.notes


@dataclass
class EnsembleSource(OfEnsemble):
    """The training split of an ensemble."""

    kind: ClassVar[str] = "ensemble"

    def check(self) -> None:
        self.ensemble.check()
        checked_training_members(self.ensemble)

    def preprocessing(self, options: Mapping[str, Any]) -> Preprocessing:
        return Preprocessing.fit(
            self.train,
            options["transform"],
            scale_by_condition=options["scale_by_condition"],
            discrete=options["discrete"],
        )

    def batches(
        self, preprocessing: Preprocessing, shard: Shard, seed: int, *, augmented: bool, device: torch.device
    ) -> tuple[BatchSource, bool]:
        made = batches_of(self.train, preprocessing, shard, seed, augmented=augmented, device=device)
        return made, made.ready

    def condition_rows(self) -> NDArray[np.float32] | None:
        """Conditions of all training members, or of an evenly spread selection of very many."""
        members = self.train
        if members.conditions is None:
            return None
        some = np.linspace(0, len(members) - 1, min(len(members), _MOST_ROWS)).astype(np.int64)
        return np.ascontiguousarray(members.conditions[some], dtype=np.float32)

    def describe(self) -> list[str]:
        members = self.ensemble
        lines = [f"{members.name}: {len(members)} members, {members.space}; {len(self.train)} to train on"]
        held = len(members.test)
        if held < FEWEST_TO_JUDGE:
            lines.append(
                f"only {held} member{'s are' if held != 1 else ' is'} held out for the test: validate needs "
                f"{FEWEST_TO_JUDGE}, or other data to judge by (pushforward validate RUN DATA)"
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        return record_of(self.kind, self.ensemble, self.ensemble.train)

    def portable(self) -> EnsembleSource:
        # Exact properties of an ensemble are functions, which cannot be sent and are not used in training.
        return EnsembleSource(self.ensemble.replaced(exact=None))


@singledispatch
def source_of(space: Space, ensemble: Ensemble) -> Source:
    """Default source of an ensemble, by the kind of its samples."""
    return EnsembleSource(ensemble)


def record_of(kind: str, ensemble: Ensemble, train: Ensemble) -> dict[str, Any]:
    """Record of an ensemble in a run's configuration.

    Arguments:
        kind: kind of the source.
        ensemble: all members.
        train: training members.
    """
    return {
        "kind": kind,
        "name": ensemble.name,
        "spec": ensemble.spec,
        "fingerprint": ensemble.fingerprint,
        "members": len(ensemble),
        "training_members": len(train),
        "parameters": _ranges(train),
        "ranges": _ranges_of_samples(train),
        "notes": list(ensemble.notes),
        "units": list(ensemble.units),
        **({"missing": ensemble.missing} if ensemble.missing else {}),
        **({"box_unit": ensemble.box_unit} if ensemble.box_unit else {}),
    }


def checked_training_members(ensemble: Ensemble) -> Ensemble:
    """Training split.

    Raises:
        DataError: if it is too small to train on.
    """
    members = ensemble.train
    if len(members) < FEWEST_MEMBERS:
        raise DataError(
            f"{ensemble.name} has {len(members)} members to train on after a tenth each is held out for validation and"
            f" test; give at least {FEWEST_MEMBERS}"
        )
    return members


def _ranges(members: Ensemble) -> Sequence[dict[str, Any]]:
    """Names and classes of the parameters, and their ranges in training."""
    if members.conditions is None:
        return []
    low, high = members.conditions.min(0).tolist(), members.conditions.max(0).tolist()
    return [
        {"name": parameter.name, "classes": list(parameter.classes), "minimum": low[i], "maximum": high[i]}
        for i, parameter in enumerate(members.parameters)
    ]


def _ranges_of_samples(members: Ensemble) -> list[list[float]]:
    """Smallest and largest value in training of each number of a vector; empty for samples of other kinds."""
    if members.space.kind != "vector":
        return []
    some = np.linspace(0, len(members) - 1, min(len(members), _MOST_ROWS)).astype(np.int64)
    x, _ = members.take_given(some)
    return np.stack([np.nanmin(x, 0), np.nanmax(x, 0)], 1).astype(np.float64).tolist()
