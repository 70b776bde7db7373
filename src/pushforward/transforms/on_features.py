"""Transform of some features of a sample; the others are neither used nor changed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.transforms.transform import Transform

__all__ = ["OnFeatures"]


class OnFeatures(Transform):
    """Apply a transform to some features of axis 1 and pass the others through.

    Arguments:
        transform: the transform of the chosen features; it keeps their number.
        features: their indices along axis 1.

    Raises:
        UsageError: if an index is given twice, or is negative.
    """

    features: Tensor

    def __init__(self, transform: Transform, features: Sequence[int]) -> None:
        super().__init__()
        if len(set(features)) != len(features) or any(feature < 0 for feature in features):
            raise UsageError(f"features are {list(features)}; give each index from 0 once")
        self.transform = transform
        self.register_buffer("features", torch.as_tensor(list(features)), persistent=False)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        image, log_abs_det = self.transform(x.index_select(1, self.features), condition)
        return x.index_copy(1, self.features, image), log_abs_det

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        image, log_abs_det = self.transform.inverse(z.index_select(1, self.features), condition)
        return z.index_copy(1, self.features, image), log_abs_det

    @torch.no_grad()
    def initialise(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        image = self.transform.initialise(x.index_select(1, self.features), condition)
        return x.index_copy(1, self.features, image)
