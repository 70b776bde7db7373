"""Declarations of statistics: their input, the distance of two sets, and their interpretation.

`measure` turns a declaration into a value, an error, a floor, a p-value and the smallest noticeable defect. Your own
statistic is declared in one line:

>>> import torch
>>> mass = Statistic("mass", "Total mass", of=lambda x: x.sum((1, 2, 3)), unit="Msun", kind="score")
>>> mass.two_sets(torch.tensor([[3.0], [5.0]]).numpy(), torch.tensor([[1.0], [3.0]]).numpy())
2.0
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pushforward.errors import UsageError
from pushforward.validation.verdict import Kind

if TYPE_CHECKING:
    from pushforward.spaces import Space
    from pushforward.validation.evaluation_data import EvaluationData
    from pushforward.validation.floor import Floor

__all__ = ["Rows", "SingleTest", "Statistic", "TestResult", "mean_of_rows", "rows_of"]

Rows = tuple[np.ndarray, np.ndarray]
"""One row per sample: of the generated samples (n, ...), and of the real members (n + m, ...), test members first."""
Distance = Callable[[np.ndarray, np.ndarray], float | Mapping[str, float]]


@dataclass(frozen=True)
class Statistic:
    """A comparison of two sets of samples.

    Attributes:
        name: stable key, such as ``power_spectrum``. label: name for a reader.
        quantity: definition of the value, in words.
        of: the statistic of single samples, from a batch ``(n, *space.shape)`` (tensor) to rows ``(n, ...)``; None
            takes ``rows``.
        rows: the rows of both sets from the evaluation data, for statistics that need more than the samples.
        distance: D(a, b) of two sets of rows, the generated one first; None for the difference of the mean rows. It may
            return several numbers by name, of which ``part`` picks one: they are computed once for all statistics that
            share rows and distance.
        unit: of the value.
        kind: ``discrepancy`` (0 is perfect, positive by construction), ``score`` (the floor's value is perfect, either
            direction is worse), ``lack`` (a score of which less is worse), ``excess`` (more is worse).
        level: of a score that belongs to one set: its value for the test members, to which the difference is added.
        tolerance: largest negligible difference, in the same unit; None for the floor.
        spaces: kinds of sample that it is defined for; empty for all.
        set_distance: whether points and their neighbours are compared: then errors come from half samples.
        most: largest number of points per set; larger sets are thinned.
        floor: its own repetitions, instead of those shared by all statistics.
    """

    name: str
    label: str
    quantity: str = ""
    of: Callable[[torch.Tensor], Any] | None = None
    rows: Callable[[EvaluationData], Rows] | None = None
    distance: Distance | None = None
    part: str | None = None
    unit: str = ""
    kind: Kind = "discrepancy"
    level: Callable[[np.ndarray], float] | None = None
    tolerance: float | None = None
    spaces: tuple[type[Space], ...] = ()
    set_distance: bool = False
    most: int | None = None
    group: str = "statistics"
    headline: bool = False
    note: str = ""
    floor: Callable[[EvaluationData], Floor] | None = None

    def __post_init__(self) -> None:
        if (self.of is None) == (self.rows is None):
            raise UsageError(
                f"the statistic {self.name!r} needs either of= (of samples) or rows= (of the evaluation data)"
            )

    def applies(self, space: Space) -> bool:
        """Whether it is defined for samples of this kind."""
        return not self.spaces or type(space) in self.spaces

    def measured_rows(self, data: EvaluationData) -> Rows:
        """The rows of both sets."""
        if self.rows is not None:
            return data.derived(self.rows)
        assert self.of is not None
        return rows_of(self.of, data.generated), rows_of(self.of, data.real)

    def two_sets(self, a: np.ndarray, b: np.ndarray) -> Any:
        """D(a, b)."""
        if self.distance is not None:
            return self.distance(a, b)
        return mean_of_rows(a, b, absolute=self.kind == "discrepancy")


@dataclass(frozen=True)
class TestResult:
    """Result of a test with its own p-value.

    Attributes:
        value, error: in the test's unit.
        p_value: p-value of the null hypothesis; NaN if it cannot be computed.
        floor, low, high: values for real data.
        smallest_noticeable: smallest defect that would be noticed in 95 of 100 cases.
        note: interpretation for a reader.
        tolerance: largest negligible difference, if it follows from the floor; None for the usual one.
    """

    value: float
    error: float
    p_value: float
    floor: float
    low: float
    high: float
    smallest_noticeable: float = float("nan")
    note: str = ""
    tolerance: float | None = None


@dataclass(frozen=True)
class SingleTest:
    """Test with its own p-value: counts of modes, copies of training members, a classifier.

    Attributes:
        run: from the evaluation data to a result; None where there is nothing to test.
        (the others: see `Statistic`)
    """

    name: str
    label: str
    quantity: str
    run: Callable[[EvaluationData], TestResult | None]
    unit: str = ""
    kind: Kind = "excess"
    tolerance: float | None = None
    group: str = "sets"
    headline: bool = False


def rows_of(function: Callable[[torch.Tensor], Any], x: np.ndarray) -> np.ndarray:
    """A statistic of every sample, one row each.

    Raises:
        UsageError: if there are not as many rows as samples.
    """
    found = function(torch.from_numpy(np.ascontiguousarray(x)))
    rows = np.asarray(found.detach().cpu() if isinstance(found, torch.Tensor) else found, dtype=float)
    if rows.ndim == 0 or len(rows) != len(x):
        raise UsageError(f"a statistic of {len(x)} samples must have as many rows; it has shape {rows.shape}")
    return rows.reshape(len(rows), -1)


def mean_of_rows(a: np.ndarray, b: np.ndarray, *, absolute: bool = False) -> float:
    """Difference of the means, averaged over the columns (of its magnitude where ``absolute``)."""
    difference = a.mean(axis=0) - b.mean(axis=0)
    return float(np.mean(np.abs(difference) if absolute else difference))
