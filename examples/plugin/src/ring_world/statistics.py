"""Distance of points from the origin, as a statistic."""

from __future__ import annotations

from pushforward import Statistic
from pushforward.spaces import Vector

RADIUS = Statistic(
    "radius",
    "Radius",
    "difference of the mean distances from the origin",
    of=lambda x: x.norm(dim=1),
    spaces=(Vector,),
)
