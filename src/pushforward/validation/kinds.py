"""Registry of the judgement of each kind of sample, the only place that depends on the kind.

A new kind of sample registers its entry by

    @kind_of.register
    def _(space: MyKind) -> KindOfSample: return MY_KIND
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from pushforward.validation.curves import Curve
from pushforward.validation.statistic import Rows, SingleTest, Statistic

if TYPE_CHECKING:
    from pushforward.spaces import Space
    from pushforward.statistics import NearestMembers
    from pushforward.validation.evaluation_data import EvaluationData
    from pushforward.validation.report import Report

__all__ = ["KindOfSample", "Profile", "kind_of"]

MOST_POINTS = 2000
"""Number of members whose points a comparison draws."""


@dataclass(frozen=True)
class Profile:
    """Numbers of every sample, compared over the range of a condition.

    Attributes:
        label: such as ``P(k)``. names: of the columns. unit: ``%`` where means are compared by their ratio, else ``σ``.
        generated, real: rows, shapes (n, F) and (n + m, F).
    """

    label: str
    names: tuple[str, ...]
    generated: np.ndarray
    real: np.ndarray
    unit: str


@dataclass(frozen=True)
class KindOfSample:
    """The judgement of one kind of sample.

    Attributes:
        statistics: declared comparisons, from the evaluation data.
        tests: those with p-values of their own.
        features: of generated and of real samples, in which distances between samples mean something.
        classified: the features that classifiers see, and their names.
        clustered: the features in which clusters are counted; None takes ``features``.
        nearest: the nearest member to each sample, ``(samples, members, data)``.
        curves: statistics bin by bin. matrices: correlation matrices by name.
        profiles: what is compared in each bin of a condition, and what its slope is followed in.
        pictures: sections of samples beside data, from the report.
        shown: rows of the test members that a comparison shows, and a text for each (none where points are drawn).
        headline: statistics on the cards at the head of the page.
        card_names: names of cards that differ from those of their statistics.
        facts: facts on the samples for the head of the page.
        unseen: properties that are not tested, one line each.
        samples: generated at most, unless asked otherwise. chunk: of them at a time; None for all.
        levels: values of discrete samples, from the real ones; None where they are continuous.
        broken: samples that hold values which are not finite, a mask ``(n,)``.
    """

    statistics: Callable[[EvaluationData], Sequence[Statistic]]
    features: Callable[[EvaluationData], Rows]
    classified: Callable[[EvaluationData], tuple[Rows, tuple[str, ...]]]
    nearest: Callable[[np.ndarray, np.ndarray, EvaluationData], NearestMembers]
    profiles: Callable[[EvaluationData], tuple[Profile, Profile]]
    pictures: Callable[[Report], list[Any]]
    headline: tuple[str, ...]
    unseen: tuple[str, ...] = ()
    tests: tuple[SingleTest, ...] = ()
    clustered: Callable[[EvaluationData], Rows] | None = None
    curves: Callable[[EvaluationData], list[Curve]] = field(default=lambda _: [])
    matrices: Callable[[EvaluationData], dict[str, np.ndarray]] = field(default=lambda _: {})
    shown: Callable[[EvaluationData], tuple[np.ndarray, tuple[str, ...]]] = field(
        default=lambda data: (np.arange(min(MOST_POINTS, data.count)), ())
    )
    card_names: Callable[[EvaluationData], dict[str, str]] = field(default=lambda _: {})
    facts: Callable[[EvaluationData], list[tuple[str, str]]] = field(default=lambda _: [])
    samples: int = 5000
    chunk: int | None = None
    levels: Callable[[np.ndarray], np.ndarray | None] = field(default=lambda _: None)
    broken: Callable[[np.ndarray, Any], np.ndarray] = field(
        default=lambda x, _: ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
    )


@singledispatch
def kind_of(space: Space) -> KindOfSample:
    """The judgement of samples of a space.

    Raises:
        NotImplementedError: if its kind is not registered.
    """
    raise NotImplementedError(f"samples of {space} cannot be judged")
