"""Handwritten digits, scanned: real data that every installation has."""

from __future__ import annotations

import numpy as np

from pushforward.errors import UsageError
from pushforward.simulate.simulated import Simulated
from pushforward.spaces import Field

__all__ = ["digits"]


def digits(count: int = 1797, seed: int = 0) -> Simulated:
    """The 1797 digits of 43 writers that scikit-learn carries: 8 x 8 grey values from 0 to 16, with the digit as label.

    ``seed`` shuffles them, and ``count`` takes the first so many. Source: Alpaydin & Kaynak, Optical Recognition of
    Handwritten Digits, UCI Machine Learning Repository (1998), CC BY 4.0.

    Raises:
        UsageError: if more are asked for than there are.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    total = len(bunch.images)
    if count > total:
        raise UsageError(f"there are {total} digits, {count} were asked for: real scans cannot be made up")
    order = np.random.default_rng(seed).permutation(total)[:count]
    images = bunch.images[order, None].astype(np.float32)
    labels = bunch.target[order, None].astype(np.float32)
    classes = {"digit": tuple(str(i) for i in range(10))}
    return Simulated(images, Field(1, (8, 8)), labels, ("digit",), classes)
