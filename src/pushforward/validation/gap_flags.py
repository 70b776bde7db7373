"""Vectors with gaps as statistics see them: a fixed number in the place of a missing one, and a flag beside.

A sample and a member that lack a number then agree in both, so that no statistic takes the number for a value; the
flags are coordinates like others, whose shares and correlations are judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.conditions import Condition
from pushforward.ensembles import Ensemble
from pushforward.spaces import Vector

if TYPE_CHECKING:
    from pushforward.emulator import Emulator
    from pushforward.ensembles.members import Generators, Subset

__all__ = ["FlaggedEmulator", "GapFlags"]


class GapFlags:
    """Map of vectors with gaps to vectors without, and back.

    Arguments:
        space: of the vectors.
        fill: number in the place of a missing one, of every coordinate, shape ``(dim,)``.
    """

    def __init__(self, space: Vector, fill: Sequence[float] | NDArray[np.floating]) -> None:
        self.given, self.gaps = space, list(space.gaps)
        self.fill = np.asarray(fill, dtype=np.float64)
        names = space.names or tuple(f"x{number + 1}" for number in range(space.dim))
        flags = tuple(f"{names[number]} missing" for number in self.gaps)
        self.space = Vector(space.dim + len(flags), (*names, *flags))

    def __call__(self, x: NDArray[np.floating]) -> NDArray[np.floating]:
        """Vectors with flags, shape ``(n, dim + gaps)``; numbers missing in other coordinates stay NaN."""
        missing = np.isnan(x[:, self.gaps])
        whole = x.copy()
        whole[:, self.gaps] = np.where(missing, self.fill[self.gaps], x[:, self.gaps])
        return np.concatenate([whole, missing.astype(x.dtype)], 1)

    def inverse(self, x: Tensor) -> Tensor:
        """Vectors with gaps where flags are set."""
        numbers = x[:, : self.given.dim].clone()
        among, flags = numbers[:, self.gaps], x[:, self.given.dim :] > 0.5
        numbers[:, self.gaps] = torch.where(flags, torch.nan, among)
        return numbers

    def of_ensemble(self, ensemble: Ensemble) -> Ensemble:
        """The ensemble with flags."""
        units = ensemble.units
        if len(units) == self.given.dim:
            units = (*units, *("" for _ in self.gaps))
        return ensemble.replaced(members=_Flagged(ensemble.members, self), space=self.space, units=units)


class _Flagged:
    """Members with flags."""

    def __init__(self, members: Any, flags: GapFlags) -> None:
        self.members, self.flags, self.source = members, flags, members.source

    def __len__(self) -> int:
        return len(self.members)

    def read(self, index: NDArray[np.int64], rng: Generators = None) -> NDArray[np.floating]:
        return self.flags(self.members.read(index, rng))

    def subset(self, index: NDArray[np.int64]) -> _Flagged:
        return _Flagged(self.members.subset(index), self.flags)

    def split(self) -> tuple[Subset, Subset, Subset] | None:
        return None

    def where(self, index: int) -> str:
        return self.members.where(index)


class FlaggedEmulator:
    """An emulator whose samples have flags; what is not defined here is the emulator's own.

    Arguments:
        emulator: of vectors with gaps.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        space = cast(Vector, emulator.space)
        dim, preprocessing = space.dim, emulator.preprocessing
        with torch.no_grad():
            middle = preprocessing.inverse(torch.zeros(1, dim, device=emulator.device))[0].cpu().numpy()
        self.flags = GapFlags(space, np.nan_to_num(middle))
        self.space = self.flags.space

    def __getattr__(self, name: str) -> Any:
        return getattr(self._emulator, name)

    def sample(self, n: int, **options: Any) -> Tensor:
        return torch.from_numpy(self.flags(self._emulator.sample(n, **options).numpy()))

    def sample_at(self, condition: Any, **options: Any) -> Tensor:
        return torch.from_numpy(self.flags(self._emulator.sample_at(condition, **options).numpy()))

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self._emulator.log_prob(self.flags.inverse(torch.as_tensor(x)), condition)
