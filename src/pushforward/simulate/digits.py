"""Scanned handwritten digits, real data in every installation.

Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, https://doi.org/10.24432/C50P49 (CC BY 4.0): each
32 x 32 bitmap is reduced to 8 x 8 counts of its 4 x 4 blocks, 0 (empty) to 16 (full). scikit-learn includes 1797.
"""

from __future__ import annotations

import numpy as np

from pushforward.errors import UsageError
from pushforward.simulate.simulated import Simulated, simulator
from pushforward.spaces import Field

__all__ = ["digits"]


@simulator
def digits(count: int, seed: int = 0, *, labels: bool = True) -> Simulated:
    """Scanned digits, shape ``(count, 1, 8, 8)``, ink from 0 to 16, in an order drawn by the seed.

    Arguments:
        labels: give the digit as a condition.

    Raises:
        UsageError: if more than 1797 are requested.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    total = len(bunch.images)
    if count > total:
        raise UsageError(f"there are only {total} digits; got {count}")
    order = np.random.default_rng(seed).permutation(total)[:count]
    return Simulated(
        bunch.images[order, None].astype(np.float32),
        Field(1, (8, 8)),
        conditions=bunch.target[order, None].astype(np.float32) if labels else None,
        names=("digit",) if labels else (),
        classes={"digit": tuple("0123456789")} if labels else {},
        notes=("scanned handwritten digits: ink from 0 to 16 in each pixel",),
    )
