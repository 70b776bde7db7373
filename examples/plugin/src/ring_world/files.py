"""Reader of ``.ring`` files: a line per point, its radius and its angle in degrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pushforward.ensembles.formats import Contents
from pushforward.ensembles.stores import InMemory


def open_ring(path: Path, field: str | None = None) -> Contents:
    r, degrees = np.loadtxt(path, ndmin=2).T
    angle = np.radians(degrees)
    return Contents(InMemory(np.stack([r * np.cos(angle), r * np.sin(angle)], 1), path.name), names=("x", "y"))
