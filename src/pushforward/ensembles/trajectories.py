"""Trajectories: snapshots of simulations, which a model of motion learns to predict from the first snapshot.

A model with built-in physics works in the user's units and may be trained on one simulation: there is no preprocessing,
and a split only if there are enough simulations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles.batching import BatchSource, Shard, Streamed
from pushforward.ensembles.ensemble import Ensemble, Parameter
from pushforward.ensembles.source import OfEnsemble, record_of, source_of
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Space, Trajectory, space_from_dict, space_to_dict

__all__ = ["Trajectories", "Unchanged"]

FEWEST_TO_SPLIT = 3


class Unchanged(nn.Module):
    """Identity preprocessing: samples and conditions stay in the user's units.

    Arguments:
        space: space of the samples.
        names: names of the conditions.
    """

    def __init__(self, space: Space, names: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.space, self.names = space, tuple(names)

    @property
    def parameters_(self) -> tuple[Parameter, ...]:
        """The conditions."""
        return tuple(Parameter(name) for name in self.names)

    @property
    def condition_space(self) -> ConditionSpace:
        return ConditionSpace(len(self.names))

    def encode_condition(self, condition: Condition) -> Condition:
        return condition

    def forward(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return x

    def inverse(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return z

    def describe(self) -> list[str]:
        """One line for the terminal and the report."""
        return ["samples stay in the units of the data"]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `from_dict`."""
        return {"kind": "unchanged", "space": space_to_dict(self.space), "names": list(self.names)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(space_from_dict(values["space"]), tuple(values["names"]))


@dataclass
class Trajectories(OfEnsemble):
    """Simulations of moving particles, at the same times in all of them.

    Arguments:
        ensemble: ensemble of trajectories, in the user's units. Three simulations or more are split, so that at least
            one is held out; fewer are all used for training.

    Raises:
        UsageError: if the members are not trajectories.
    """

    kind: ClassVar[str] = "trajectories"

    def __post_init__(self) -> None:
        if not isinstance(self.ensemble.space, Trajectory):
            raise UsageError(f"trajectories are needed, but members of {self.ensemble.name} are {self.ensemble.space}")

    @cached_property
    def train(self) -> Ensemble:
        """Training simulations."""
        return self.ensemble.train if len(self.ensemble) >= FEWEST_TO_SPLIT else self.ensemble

    @cached_property
    def test(self) -> Ensemble | None:
        """Held-out simulations; None if there are too few."""
        return self.ensemble.test if len(self.ensemble) >= FEWEST_TO_SPLIT else None

    def check(self) -> None:
        """Check the data before training.

        Raises:
            DataError: if a value is not finite, or nothing moves.
        """
        for number in range(len(self.ensemble)):
            positions = self.ensemble.take([number])[0, :, 0]
            if (positions == positions[0]).all():
                raise DataError(
                    f"{self.ensemble.members.where(number)} does not move: its positions are those of time 0"
                )

    def preprocessing(self, options: Mapping[str, Any]) -> Unchanged:
        """Identity.

        Raises:
            UsageError: if another transform is requested.
        """
        if options.get("transform", "auto") not in ("auto", "none"):
            raise UsageError("trajectories stay in the units of the data; leave the transform out")
        return Unchanged(self.space, tuple(parameter.name for parameter in self.parameters))

    def batches(
        self, preprocessing: Unchanged, shard: Shard, seed: int, *, augmented: bool, device: torch.device
    ) -> tuple[BatchSource, bool]:
        made = Streamed(self.train, preprocessing, shard, seed, augmented=False)
        return made, made.ready

    def condition_rows(self) -> NDArray[np.float32] | None:
        return self.train.conditions

    def describe(self) -> list[str]:
        return [f"{self.name}: {len(self.ensemble)} simulations, {self.space}; {len(self.train)} to train on"]

    def to_dict(self) -> dict[str, Any]:
        return record_of(self.kind, self.ensemble, self.train)

    def portable(self) -> Trajectories:
        return Trajectories(self.ensemble.replaced(exact=None))


@source_of.register
def _(space: Trajectory, ensemble: Ensemble) -> Trajectories:
    return Trajectories(ensemble)
