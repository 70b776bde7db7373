r"""First and last transform of a flow on circles: coordinates to angles, and angles to normal numbers.

    θ = π (x - centre) / half  mod 2π,     z = Φ⁻¹((θ + π) / 2π)

with Φ the normal distribution function. For standard normal z the angle θ is uniform on the circle, so a flow with
continuous maps of the circle between the two has a density that is continuous across the cut.

Source: a uniform base on the circle as in Rezende et al. 2020 (arXiv:2002.02428), section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, pi

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.tensors import single
from pushforward.transforms.transform import Transform, check_shape

__all__ = ["Angles", "Probit"]

# Below the spacing of float32 angles near the cut, over 2π: no representable angle but the cut itself is moved.
_SMALLEST_TAIL = 1e-8


class Angles(Transform):
    """Coordinates of circles to angles in [-π, π); the inverse gives ``[centre - half, centre + half)``.

    Arguments:
        centres: coordinate of the angle 0 of each feature.
        halves: half of the circumference of each feature, in units of its coordinate.

    Raises:
        UsageError: if there are more of one than of the other, or a half is not positive.
    """

    centres: Tensor
    halves: Tensor

    def __init__(self, centres: Sequence[float], halves: Sequence[float]) -> None:
        super().__init__()
        if len(centres) != len(halves) or any(not half > 0 for half in halves):
            raise UsageError(f"angles need as many centres as halves above 0; got {list(centres)} and {list(halves)}")
        self.register_buffer("centres", torch.tensor(list(centres)), persistent=False)
        self.register_buffer("halves", torch.tensor(list(halves)), persistent=False)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_shape(x, tuple(self.centres.shape))
        return _wrapped((x - self.centres) * (pi / self.halves)), self._log_abs_det(x)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        check_shape(z, tuple(self.centres.shape))
        return self.centres + _wrapped(z) * (self.halves / pi), -self._log_abs_det(z)

    def _log_abs_det(self, x: Tensor) -> Tensor:
        return (pi / self.halves).log().sum().expand(len(x))


class Probit(Transform):
    """Angles in [-π, π) to numbers that are standard normal if the angles are uniform."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        # The probability beyond the nearer end is small, and so is its rounding error.
        tail = ((pi - single(x).abs()) / (2 * pi)).clamp(min=_SMALLEST_TAIL)
        z = -torch.special.ndtri(tail).copysign(-x)
        return z.to(x.dtype), self._log_derivative(z).sum(1).to(x.dtype)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = (pi - 2 * pi * torch.special.ndtr(-single(z).abs())).copysign(z)
        return x.to(z.dtype), -self._log_derivative(single(z)).sum(1).to(z.dtype)

    @staticmethod
    def _log_derivative(z: Tensor) -> Tensor:
        return 0.5 * z.square() - 0.5 * log(2 * pi)


def _wrapped(angle: Tensor) -> Tensor:
    return torch.remainder(angle + pi, 2 * pi) - pi
