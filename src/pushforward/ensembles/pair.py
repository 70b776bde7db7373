"""Two unpaired ensembles, called a and b: the training source of a translator.

Each has its own reading options, crops, split, preprocessing and fingerprint. A batch holds equally many members of
both, in independent random orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles.batch import PairBatch
from pushforward.ensembles.batching import BatchSource, Shard, batches_of
from pushforward.ensembles.delegation import Delegating
from pushforward.ensembles.ensemble import Ensemble, Parameter
from pushforward.ensembles.preprocessing import Preprocessing
from pushforward.ensembles.smoothing import SmoothedPreprocessing, smoothing_between
from pushforward.ensembles.source import EnsembleSource, checked_training_members
from pushforward.errors import UsageError
from pushforward.randomness import Purpose, seed_for
from pushforward.spaces import Space

__all__ = ["EnsemblePair", "PairPreprocessing"]


OneSided = Preprocessing | SmoothedPreprocessing
"""Preprocessing of one ensemble of a pair."""
_KINDS: dict[str, type[OneSided]] = {"pointwise": Preprocessing, "smoothed": SmoothedPreprocessing}


class PairPreprocessing(Delegating):
    """Preprocessings of ensembles a and b. A call applies that of a, and other attributes are those of a."""

    delegate = "a"
    a: OneSided
    b: OneSided

    def __init__(self, a: OneSided, b: OneSided) -> None:
        super().__init__()
        self.a, self.b = a, b

    def forward(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        z: Tensor = self.a(x, condition)
        return z

    def towards(self, to: str) -> tuple[OneSided, OneSided]:
        """Preprocessings of the input and of the output of a translation.

        Raises:
            UsageError: if ``to`` is neither a nor b.
        """
        if to not in ("a", "b"):
            raise UsageError(f"samples are translated to 'a' or 'b', not to {to!r}")
        return (self.a, self.b) if to == "b" else (self.b, self.a)

    def describe(self) -> list[str]:
        """One line per choice, for the terminal and the report."""
        return [f"{side}: {line}" for side, each in (("a", self.a), ("b", self.b)) for line in each.describe()]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `from_dict`; tensors are in the `state_dict`."""
        return {"kind": "pair", "a": self.a.to_dict(), "b": self.b.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Module described by `to_dict`; load its tensors with ``load_state_dict``."""
        a, b = (_KINDS[values[side]["kind"]].from_dict(values[side]) for side in ("a", "b"))
        return cls(a, b)


@dataclass
class EnsemblePair:
    """Ensembles a and b.

    >>> a, b = (Ensemble.from_array(np.zeros((count, 2)), name=name) for count, name in ((80, "cold"), (120, "hot")))
    >>> for line in EnsemblePair(a, b).describe():
    ...     print(line)
    a: cold: 80 members, Vector(dim=2, names=()); 64 to train on
    b: hot: 120 members, Vector(dim=2, names=()); 96 to train on

    Arguments:
        a, b: the ensembles, in the user's units.

    Raises:
        UsageError: if either has conditions: translation is between whole ensembles; or if they have columns in common,
            but not all of them in one order: translation keeps the order.
    """

    a: Ensemble
    b: Ensemble
    kind: ClassVar[str] = "pair"

    def __post_init__(self) -> None:
        for each in (self.a, self.b):
            if each.condition_space:
                raise UsageError(
                    f"translation is between whole ensembles, but {each.name} has conditions; leave them "
                    "out (condition=False, --condition none)"
                )
        ours, theirs = (getattr(each.space, "names", ()) for each in (self.a, self.b))
        if ours != theirs and set(ours) & set(theirs):
            raise UsageError(
                f"{self.a.name} has the columns {', '.join(ours)}, but {self.b.name} has {', '.join(theirs)}; read "
                "both with columns=... in one order (--columns)"
            )

    def require_equal_shapes(self, reason: str) -> None:
        """Raise a `UsageError` with the reason if members of a and b differ in shape."""
        if self.a.space.shape != self.b.space.shape:
            raise UsageError(
                f"{reason}, so both ensembles need one shape, but members of {self.a.name} have the shape "
                f"{self.a.space.shape}, those of {self.b.name} {self.b.space.shape}"
            )

    @property
    def name(self) -> str:
        return f"{self.a.name}-{self.b.name}"

    @property
    def space(self) -> Space:
        return self.a.space

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return ()

    @property
    def condition_space(self) -> ConditionSpace:
        return ConditionSpace()

    @property
    def notes(self) -> tuple[str, ...]:
        notes = tuple(f"{side}: {note}" for side, each in self._sides().items() for note in each.notes)
        same = self.a.fingerprint == self.b.fingerprint
        return (*notes, *(("a and b are the same members: there is nothing to translate",) if same else ()))

    @property
    def fingerprint(self) -> str:
        """Of both ensembles, in their order."""
        return "-".join(str(each.fingerprint) for each in (self.a, self.b))

    def _sides(self) -> dict[str, EnsembleSource]:
        return {"a": EnsembleSource(self.a), "b": EnsembleSource(self.b)}

    def check(self) -> None:
        for side in self._sides().values():
            side.check()

    def preprocessing(self, options: Mapping[str, Any]) -> PairPreprocessing:
        """Fitted preprocessings of both ensembles.

        The rougher of two ensembles of periodic fields is smoothed before its values are mapped to normal scores (see
        `ensembles.smoothing`).
        """
        found: dict[str, OneSided] = {name: side.preprocessing(options) for name, side in self._sides().items()}
        scored = options["transform"] == "gaussianise" and options.get("equal_smoothness", True)
        # Smoothing would destroy values with a meaning of their own: whole numbers, zeros, angles.
        if scored and not any(each.levels or each.supports.reshapes for each in found.values()):
            smoothed = smoothing_between(self.a.train, self.b.train)
            if smoothed is not None:
                side, smoothing = smoothed
                found[side] = SmoothedPreprocessing.fit(smoothing, getattr(self, side).train, options["transform"])
        return PairPreprocessing(**found)

    def batches(
        self, preprocessing: PairPreprocessing, shard: Shard, seed: int, *, augmented: bool, device: torch.device
    ) -> tuple[BatchSource, bool]:
        a = batches_of(
            checked_training_members(self.a), preprocessing.a, shard, seed, augmented=augmented, device=device
        )
        other = seed_for(seed, 0, Purpose.SIDE_B)
        b = batches_of(
            checked_training_members(self.b), preprocessing.b, shard, other, augmented=augmented, device=device
        )

        def made(number: int) -> PairBatch:
            first = a(number)
            own = {each.name: getattr(first, each.name) for each in fields(first)}
            return PairBatch(**own, b=b(number).x)

        return made, a.ready and b.ready

    def condition_rows(self) -> NDArray[np.float32] | None:
        return None

    def describe(self) -> list[str]:
        return [f"{side}: {line}" for side, each in self._sides().items() for line in each.describe()]

    def to_dict(self) -> dict[str, Any]:
        sides = {side: each.to_dict() for side, each in self._sides().items()}
        specs = [each["spec"] for each in sides.values()]
        return {
            **sides["a"],
            "kind": self.kind,
            "name": self.name,
            "spec": None if None in specs else {"a": specs[0], "b": specs[1]},
            "fingerprint": self.fingerprint,
            "notes": list(self.notes),
            **sides,
        }

    def portable(self) -> EnsemblePair:
        return EnsemblePair(self.a.replaced(exact=None), self.b.replaced(exact=None))
