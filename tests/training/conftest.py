"""Small ensembles and small models for the training tests."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pushforward.ensembles import Ensemble

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True, scope="session")
def _toys():
    import toys

    toys.register()
    yield
    toys.forget()


@pytest.fixture(scope="session")
def points() -> Ensemble:
    """Correlated Gaussian points in the plane."""
    rng = np.random.default_rng(0)
    return Ensemble.from_array(rng.normal(size=(200, 2)) @ np.array([[1.0, 0.4], [0.0, 0.5]]) + 3, name="points")


@pytest.fixture(scope="session")
def maps() -> Ensemble:
    """Periodic maps whose mean is their condition."""
    rng = np.random.default_rng(1)
    level = rng.uniform(1, 2, size=(60, 1)).astype(np.float32)
    return Ensemble.from_array(
        rng.normal(size=(60, 8, 8)) * 0.1 + level[:, :, None],
        conditions=level,
        names=["level"],
        periodic=True,
        isotropic=True,
        name="maps",
    )
