"""Random choices of members: halves that keep groups together, and some of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pushforward.ensembles.source import FEWEST_TO_JUDGE

if TYPE_CHECKING:
    from pushforward.ensembles import Ensemble

__all__ = ["halves", "some"]


def halves(ensemble: Ensemble, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two halves of an ensemble; groups stay together where there are enough."""
    names, member = np.unique(ensemble.groups, return_inverse=True)
    if len(names) < FEWEST_TO_JUDGE:
        first = rng.permutation(len(ensemble)) < len(ensemble) // 2
    else:
        first = (rng.permutation(len(names)) < len(names) // 2)[member]
    return np.flatnonzero(first), np.flatnonzero(~first)


def some(total: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most so many rows of all, in order."""
    return np.arange(total) if total <= most else np.sort(rng.choice(total, most, replace=False))
