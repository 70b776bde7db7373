"""Features on the line and on the circle in one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from pushforward.transforms.monotone import Monotone

__all__ = ["Columns"]


class Columns(Monotone):
    """One map for features on the line, another for features on the circle.

    The number of parameters is the larger of the two; a map with fewer ignores the last ones.

    Arguments:
        line, circle: the two maps.
        circular: for each feature, along the last axis, whether it is on the circle.

    >>> from pushforward.transforms import Affine, CircularSpline
    >>> columns = Columns(Affine(), CircularSpline(), [False, True])
    >>> columns.forward(torch.ones(4, 2), torch.zeros(25, 4, 2))[0][0]
    tensor([1., 1.])
    """

    def __init__(self, line: Monotone, circle: Monotone, circular: Sequence[bool]) -> None:
        self.line, self.circle, self.circular = line, circle, tuple(circular)
        self.parameters = max(line.parameters, circle.parameters)
        on_line, on_circle = (
            [place for place, each in enumerate(self.circular) if each is kind] for kind in (False, True)
        )
        self._places = [(line, on_line), (circle, on_circle)]
        self._back = torch.tensor([*on_line, *on_circle]).argsort()

    def of(self, features: int | slice) -> Columns:
        chosen = self.circular[features]
        return Columns(self.line, self.circle, (chosen,) if isinstance(chosen, bool) else chosen)

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return self._each("forward", x, parameters)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return self._each("inverse", z, parameters)

    def seen(self, x: Tensor) -> Tensor:
        if self._alone is not None:
            return self._alone.seen(x)
        return torch.cat([kind.seen(x[..., places]) for kind, places in self._places], -1)[..., self._back]

    @property
    def _alone(self) -> Monotone | None:
        """The map of all features, if they are of one kind."""
        if len(set(self.circular)) == 2:
            return None
        return self.circle if self.circular[:1] == (True,) else self.line

    def _each(self, direction: Literal["forward", "inverse"], x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        if self._alone is not None:
            return getattr(self._alone, direction)(x, parameters[: self._alone.parameters])
        found = [
            getattr(kind, direction)(x[..., places], parameters[: kind.parameters, ..., places])
            for kind, places in self._places
        ]
        values, log_derivatives = (torch.cat(parts, -1)[..., self._back] for parts in zip(*found, strict=True))
        return values, log_derivatives
