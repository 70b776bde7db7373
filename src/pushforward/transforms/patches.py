"""A vector or a field as a sequence of tokens, for autoregressive transforms of tokens."""

from __future__ import annotations

from math import prod

from jaxtyping import Float
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.transforms.transform import Transform, check_shape

__all__ = ["Patches"]


class Patches(Transform):
    """``(batch, *shape)`` to ``(batch, tokens, features)``: pieces of a vector, or patches of a field row by row.

    The features of a token are the numbers of its piece; of a field, channel by channel, each row by row. Numbers are
    only reordered, so the determinant is one.

    Arguments:
        shape: of one sample, ``(dim,)`` or ``(channels, *grid)``.
        patch: numbers per piece, or cells along each side of a patch.

    Raises:
        UsageError: if the patch does not divide the vector or the grid.

    >>> import torch
    >>> Patches((1, 4, 4), 2)(torch.arange(16.0).view(1, 1, 4, 4))[0][0, 1]
    tensor([2., 3., 6., 7.])
    """

    def __init__(self, shape: tuple[int, ...], patch: int) -> None:
        super().__init__()
        grid = shape[1:] or shape
        if patch < 1 or any(cells % patch for cells in grid):
            sides = " x ".join(map(str, grid))
            raise UsageError(f"a patch of {patch} does not divide {sides}; give a divisor of every side")
        self.channels = shape[0] if len(shape) > 1 else 1
        self.shape, self.patch = shape, patch
        self.counts = tuple(cells // patch for cells in grid)
        self.tokens, self.features = prod(self.counts), self.channels * patch ** len(grid)

    def forward(
        self, x: Tensor, condition: Tensor | None = None
    ) -> tuple[Float[Tensor, "batch tokens features"], Tensor]:
        check_shape(x, self.shape)
        axes = len(self.counts)
        z = x.reshape(len(x), self.channels, *(side for count in self.counts for side in (count, self.patch)))
        z = z.permute(0, *range(2, 2 + 2 * axes, 2), 1, *range(3, 3 + 2 * axes, 2))
        return z.reshape(len(x), self.tokens, self.features), x.new_zeros(len(x))

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        axes = len(self.counts)
        x = z.reshape(len(z), *self.counts, self.channels, *[self.patch] * axes)
        x = x.permute(0, 1 + axes, *(place for axis in range(axes) for place in (1 + axis, 2 + axes + axis)))
        return x.reshape(len(z), *self.shape), z.new_zeros(len(z))
