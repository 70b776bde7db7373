"""Evaluation data: generated samples, the test members that they should resemble, other real members for the floor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import numpy as np
import torch

from pushforward.conditions import Condition, refined
from pushforward.spaces import Space
from pushforward.validation.floor import Floor

if TYPE_CHECKING:
    from pushforward.ensembles import Ensemble, Parameter

__all__ = ["EvaluationData"]

_ALONG = {"field": "channel ", "series": "observation ", "particles": "particle "}
"""Words for the places along the first axis of a sample; coordinates of a vector are x1, x2, ..."""

T = TypeVar("T")
S = TypeVar("S", bound=Space)


@dataclass(frozen=True)
class EvaluationData(Generic[S]):
    """Data available to a statistic, in the user's units.

    Attributes:
        space: space of a sample.
        parameters: parameters in the columns of ``conditions``.
        generated: samples, shape (n, *space.shape).
        real: real members, shape (n + m, *space.shape); the first n are the test members.
        conditions: conditions of the real members, shape (n + m, P); the generated samples have the first n.
        floor: repetitions of real against real.
        groups: groups of the real members, shape (n + m,).
        train: all training members; None if unavailable.
        training_members: number of all training members.
        milliseconds: wall-clock time to generate one sample.
        units: units of the values, of each coordinate or channel, or one for all; empty if unknown.
        unit: unit of the box's sides, if known.
        levels: possible values of cells in ascending order, if real ones have only a few (digits, labels, counts).
        notes: notes for the reader on the selection of the sets.
        given: condition fields of the real members, shape (n + m, channels, *grid), on their own grid; the generated
            samples have the first n. None without condition fields.
        repeats: further samples at the first of the test members' condition fields, shape (2, q, *space.shape).
        classes: names of the classes of the data, if the samples were not asked for a class.
        of_class: class of each real member, from 0; None without such classes.
    """

    space: S
    parameters: tuple[Parameter, ...]
    generated: np.ndarray
    real: np.ndarray
    conditions: np.ndarray | None
    floor: Floor
    groups: np.ndarray
    train: Ensemble | None
    milliseconds: float
    name: str
    exact: Any = None
    units: tuple[str, ...] = ()
    unit: str = ""
    levels: np.ndarray | None = None
    notes: tuple[str, ...] = field(default=())
    given: np.ndarray | None = None
    repeats: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    of_class: np.ndarray | None = None
    memo: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def derived(self, function: Callable[[EvaluationData], T]) -> T:
        """Result of a function of the evaluation data, computed once."""
        if function not in self.memo:
            self.memo[function] = function(self)
        return cast(T, self.memo[function])

    @property
    def training_members(self) -> int:
        return 0 if self.train is None else len(self.train)

    @property
    def own_groups(self) -> np.ndarray | None:
        """Groups of the test members, shared by the samples at their conditions; None if all are independent."""
        groups = self.groups[: self.count]
        names = len(np.unique(groups))
        return groups if 2 <= names < self.count and self.conditioned else None

    @property
    def conditioned(self) -> bool:
        """Whether each sample belongs to a test member."""
        return self.conditions is not None or self.given is not None

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the coordinates or channels along the first axis of a sample."""
        names = tuple(getattr(self.space, "names", ())) if self.space.kind == "vector" else ()
        count = self.real.shape[1]
        if names or (self.space.kind == "field" and count == 1):
            return names or ("value",)
        word = _ALONG.get(self.space.kind, "x")
        return tuple(f"{word}{i + 1}" for i in range(count))

    @property
    def count(self) -> int:
        return len(self.generated)

    @property
    def test(self) -> np.ndarray:
        return self.real[: self.count]

    @property
    def rounded(self) -> np.ndarray:
        """Generated samples; for discrete fields, with each value replaced by the nearest value of real cells.

        Otherwise every statistic of cell values would reject all samples: if a third of the real cells are zero, none
        of them has the value 0.1.
        """
        if self.levels is None:
            return self.generated
        return self.levels[np.searchsorted((self.levels[1:] + self.levels[:-1]) / 2, self.generated)]

    @property
    def refined(self) -> np.ndarray | None:
        """``given`` on the grid of the members."""
        if self.given is None:
            return None
        return refined(torch.from_numpy(self.given), self.real.shape[2:]).numpy()

    def given_to(self, rows: np.ndarray) -> Condition | None:
        """Conditions of some real members, in the form that an emulator accepts; None without conditions."""
        if self.conditions is None and self.given is None:
            return None
        parts = (self.conditions, self.given)
        return Condition(*(None if part is None else torch.from_numpy(part[rows]) for part in parts))

    @property
    def labels(self) -> tuple[int, ...]:
        """Columns of ``conditions`` that hold a class."""
        return tuple(column for column, parameter in enumerate(self.parameters) if parameter.classes)
