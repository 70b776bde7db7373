"""What a simulator returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from pushforward.spaces import Space

__all__ = ["Exact", "Simulated"]


@dataclass(frozen=True)
class Exact:
    """What is known in closed form, or to quadrature, of the distribution that a set is drawn from.

    Attributes:
        log_prob: natural log of the density at points (N, dim), in the units of the data; shape ``(N,)``, nats.
        entropy: differential entropy in nats: no model has a smaller mean negative log-density.
        power_spectrum: P(k) at wavenumbers (K,), in the units of `pushforward.statistics.power_spectrum`.
    """

    log_prob: Callable[[np.ndarray], np.ndarray] | None = None
    entropy: float | None = None
    power_spectrum: Callable[[np.ndarray], np.ndarray] | None = None


@dataclass(frozen=True)
class Simulated:
    """Samples with all that is known about them.

    Attributes:
        x: float32, shape ``(N, *space.shape)``.
        conditions: shape ``(N, P)`` float32, with one name a column; None where there are none.
        classes: for a column that is a label, the names of its classes; the column holds their indices.
        groups: simulation of each member, shape ``(N,)``.
        exact: what is known of the distribution.
        notes: one line each, for the terminal and the report.
    """

    x: np.ndarray
    space: Space
    conditions: np.ndarray | None = None
    names: tuple[str, ...] = ()
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    groups: np.ndarray | None = None
    exact: Exact | None = None
    notes: tuple[str, ...] = ()
