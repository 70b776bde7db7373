"""Angles as networks see them: by cosine and sine, so that outputs are continuous around the circle."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["Unrolled"]


class Unrolled(nn.Module):
    """Features with the cosine of each angle in its place, and the sines of the angles behind all features.

    Arguments:
        features: length of a vector.
        angles: indices of the features that are angles, in radians.

    >>> Unrolled(3, angles=[1])(torch.zeros(1, 3))
    tensor([[0., 1., 0., 0.]])
    """

    is_angle: Tensor
    places: Tensor

    def __init__(self, features: int, angles: Sequence[int] = ()) -> None:
        super().__init__()
        self.angles = tuple(angles)
        self.register_buffer("places", torch.tensor(self.angles, dtype=torch.int64), persistent=False)
        self.register_buffer(
            "is_angle", torch.tensor([place in self.angles for place in range(features)]), persistent=False
        )

    def forward(self, x: Float[Tensor, "batch features"]) -> Float[Tensor, "batch unrolled"]:
        if not self.angles:
            return x
        return torch.cat([torch.where(self.is_angle, x.cos(), x), x.index_select(1, self.places).sin()], 1)
