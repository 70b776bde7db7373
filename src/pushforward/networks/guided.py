"""A network of fields that is guided by another field: its condition."""

from __future__ import annotations

from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.spaces import Field, condition_shape

__all__ = ["Guided"]


class Guided(nn.Module):
    """A network called as ``net(x, t, condition)`` whose rows of conditions end in the cells of a field.

    The field joins the input as further channels. A row of NaN is a condition that is not told: its field is zero
    everywhere, the mean in network units.

    Arguments:
        network: of fields with the channels of the space and those of its condition; called with the numbers alone.
        space: with a condition.

    Raises:
        UsageError: when called, if the condition has another length.
    """

    def __init__(self, network: nn.Module, space: Field, condition_dim: int = 0) -> None:
        super().__init__()
        self.network, self.condition_dim, self.shape = network, condition_dim, condition_shape(space)

    def forward(
        self,
        x: Float[Tensor, "batch channels *grid"],
        t: Float[Tensor, " batch"],
        condition: Float[Tensor, "batch given"] | None = None,
    ) -> Float[Tensor, "batch out_channels *grid"]:
        if condition is None:
            return self.network(torch.cat([x, x.new_zeros(len(x), *self.shape)], 1), t, None)
        if condition.shape[1] != self.condition_dim + prod(self.shape):
            raise UsageError(
                f"a condition has {self.condition_dim} numbers and a field of shape {self.shape}, "
                f"{self.condition_dim + prod(self.shape)} values in all, but these have {condition.shape[1]}"
            )
        numbers, cells = condition.split([self.condition_dim, prod(self.shape)], 1)
        field = torch.nan_to_num(cells, nan=0.0).unflatten(1, self.shape).to(x.dtype)
        return self.network(torch.cat([x, field], 1), t, numbers if self.condition_dim else None)
