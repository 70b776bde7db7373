"""Increasing maps of vectors that have features on the line and on the circle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from pushforward.transforms.monotone import Monotone

__all__ = ["LineAndCircle"]


class LineAndCircle(Monotone):
    """One map for features on the line, another for features on the circle.

    The number of parameters is the larger of the two; a map with fewer ignores the last ones.

    Arguments:
        line, circle: the two maps; that of the circle takes angles in radians.
        circular: for each feature of the last axis, whether it is on the circle.

    >>> from pushforward.transforms import Affine, CircularSpline
    >>> maps = LineAndCircle(Affine(), CircularSpline(), [False, True])
    >>> torch.allclose(maps.forward(torch.ones(4, 2), torch.zeros(25, 4, 2))[0], torch.ones(4, 2))
    True
    """

    def __init__(self, line: Monotone, circle: Monotone, circular: Sequence[bool]) -> None:
        self.line, self.circle, self.circular = line, circle, tuple(circular)
        self.parameters = max(line.parameters, circle.parameters)
        on_line, on_circle = (
            [feature for feature, each in enumerate(self.circular) if each is kind] for kind in (False, True)
        )
        self._features = [(line, on_line), (circle, on_circle)]
        self._original_order = torch.tensor([*on_line, *on_circle]).argsort()

    def of(self, features: int | slice) -> LineAndCircle:
        chosen = self.circular[features]
        return LineAndCircle(self.line, self.circle, (chosen,) if isinstance(chosen, bool) else chosen)

    def permuted(self, order: Sequence[int]) -> LineAndCircle:
        """The map of reordered features, ``x[..., order]``."""
        return LineAndCircle(self.line, self.circle, [self.circular[feature] for feature in order])

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return self._each("forward", x, parameters)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return self._each("inverse", z, parameters)

    def seen(self, x: Tensor) -> Tensor:
        if self._only is not None:
            return self._only.seen(x)
        parts = [kind.seen(x[..., features]) for kind, features in self._features]
        return torch.cat(parts, -1)[..., self._original_order]

    @property
    def _only(self) -> Monotone | None:
        """The map of all features, if they are of one kind."""
        if len(set(self.circular)) == 2:
            return None
        return self.circle if self.circular[:1] == (True,) else self.line

    def _each(self, direction: Literal["forward", "inverse"], x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        if self._only is not None:
            return getattr(self._only, direction)(x, parameters[: self._only.parameters])
        found = [
            getattr(kind, direction)(x[..., features], parameters[: kind.parameters, ..., features])
            for kind, features in self._features
        ]
        values, log_derivatives = (
            torch.cat(parts, -1)[..., self._original_order] for parts in zip(*found, strict=True)
        )
        return values, log_derivatives
