"""The second ensemble of a model that is trained between two."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor

from pushforward.ensembles import Ensemble, Preprocessing, read
from pushforward.ensembles.symmetries import augment
from pushforward.errors import DataError, UsageError
from pushforward.randomness import Draws
from pushforward.spaces import Field

__all__ = ["Meets", "introduce", "second_ensemble"]


@runtime_checkable
class Meets(Protocol):
    """A model that is trained between the data and a second ensemble."""

    def meet(self, draw: Any, members: Tensor) -> None: ...


def second_ensemble(settings: BaseModel, first: Ensemble) -> Ensemble | None:
    """The ensemble that the setting ``second`` names; None for a model without that setting.

    Raises:
        UsageError: if none is named, or the data have conditions.
        DataError: if it cannot be read, or is of another space than the first.
    """
    if "second" not in type(settings).model_fields:
        return None
    named = getattr(settings, "second", None)
    if named is None:
        raise UsageError("this model joins two ensembles: name the other one with --set second=FILE")
    if first.parameters:
        raise UsageError(
            f"two ensembles are carried to one another as wholes, and {first.name} has conditions: leave them out "
            "(condition=False, --condition none)"
        )
    second = read(named, condition=False)
    if second.space.shape != first.space.shape:
        raise DataError(
            f"second={named} has members of shape {second.space.shape}, and those of {first.name} have the shape "
            f"{first.space.shape}; both ensembles must be of one space"
        )
    second.space = first.space if isinstance(first.space, Field) else second.space
    second.check()
    return second


def introduce(model: Meets, second: Ensemble, preprocessing: Preprocessing, *, augmented: bool) -> None:
    """Let a model draw members of the second ensemble's training part, in network units.

    Arguments:
        preprocessing: of the second ensemble; on the CPU.
        augmented: whether fields are moved, rotated and reflected at random, as far as their space allows.
    """
    members = second.train

    @torch.no_grad()
    def draw(draws: Draws) -> Tensor:
        rows = draws.integers(len(members)).cpu()
        x = torch.from_numpy(members.take(rows.numpy()))
        if augmented:
            x = augment(x, members.space, np.random.default_rng(int(draws.integers(2**31 - 1)[0])))
        return preprocessing(x)

    some = np.unique(np.linspace(0, len(members) - 1, 512).astype(np.int64))
    with torch.no_grad():
        model.meet(draw, preprocessing(torch.from_numpy(members.take(some))))
