"""Fields as conditions: extra channels of a network's input."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace, refined
from pushforward.errors import UsageError
from pushforward.spaces import Field

__all__ = ["JoinField", "refuse_field"]

_TAKERS = "UNet and Transformer"


class JoinField(nn.Module):
    """Concatenate a batch of fields with the field of its condition, as channels.

    The condition's field is refined to the grid of the batch by repeating its cells. An unknown field is zero, the mean
    in network units.

    Arguments:
        space: space of the batch.
        condition: space of the conditions; its field, if any, is joined.

    Raises:
        UsageError: if the grid of the batch is not a whole multiple of that of the condition's field.

    >>> join = JoinField(Field(1, (4, 4)), ConditionSpace(field=Field(2, (2, 2))))
    >>> join(torch.ones(3, 1, 4, 4), Condition(field=torch.ones(3, 2, 2, 2))).shape
    torch.Size([3, 3, 4, 4])
    """

    def __init__(self, space: Field, condition: ConditionSpace) -> None:
        super().__init__()
        self.grid, self.channels = space.grid, 0 if condition.field is None else condition.field.channels
        if condition.field is None:
            return
        coarse = condition.field.grid
        if len(coarse) != len(self.grid) or any(fine % cells for cells, fine in zip(coarse, self.grid, strict=True)):
            raise UsageError(
                f"a condition's field of {coarse} cells cannot be refined to a grid of {self.grid}; give one on the "
                "same grid, or on a grid coarser by a whole factor along each axis"
            )

    def forward(
        self, x: Float[Tensor, "batch channels *grid"], condition: Condition | None
    ) -> Float[Tensor, "batch joined *grid"]:
        if not self.channels:
            return x
        if condition is None or condition.field is None:
            return torch.cat([x, x.new_zeros(len(x), self.channels, *self.grid)], 1)
        field = torch.nan_to_num(refined(condition.field, self.grid), nan=0.0)
        return torch.cat([x, field.to(x.dtype)], 1)


def refuse_field(network: nn.Module, condition: ConditionSpace) -> None:
    """Reject a field as the condition of a network that takes only numbers, with a `UsageError`."""
    if condition.field is not None:
        raise UsageError(f"{type(network).__name__} takes no field as its condition; networks that can are {_TAKERS}")
