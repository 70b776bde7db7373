"""Small ensembles and small models for the training tests."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pushforward.ensembles import Ensemble

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True, scope="module")
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
    from worker import small_maps

    return small_maps()
