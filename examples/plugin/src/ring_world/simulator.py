"""Points on a ring of radius one with Gaussian noise in the radius."""

from __future__ import annotations

import numpy as np

from pushforward.simulate import Simulated, Simulator
from pushforward.spaces import Vector


def noisy_ring(count: int, seed: int = 0, width: float = 0.1) -> Simulated:
    rng = np.random.default_rng(seed)
    r, angle = 1 + width * rng.normal(size=count), 2 * np.pi * rng.random(count)
    points = np.stack([r * np.cos(angle), r * np.sin(angle)], 1).astype(np.float32)
    return Simulated(points, Vector(2, ("x", "y")))


SIMULATOR = Simulator("ring_world.simulator:noisy_ring", "points on a noisy ring", 2000)
