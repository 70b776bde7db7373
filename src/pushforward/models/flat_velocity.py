r"""Time network as the velocity of flat states for `CNF`, with Jacobians by forward-mode derivatives.

The network is added to the velocity that carries normal data to normal noise along straight paths,

.. math:: \frac{dz}{du} = \frac{dt}{du} \Big( \frac{2 t - 1}{s^2}\, z + f(z / s, t) \Big), \qquad
          s^2 = (1 - t)^2 + t^2, \quad t = u^{3/2},

so that its input has about unit variance at every time of the clock u, and near the noise, where the first term
dominates, it must learn little.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition
from pushforward.dynamics import exact_divergence

__all__ = ["WARP", "FlatField", "FlatVelocity"]

# Flow matching draws its times as t = u^1.5, and u is the clock of the flow: it runs slower near the data, where the
# velocity of straight paths changes fastest.
WARP = 1.5


class FlatVelocity(nn.Module):
    """A network called as ``net(x, t, condition)`` on samples of any shape, for states (batch, size).

    Arguments:
        network: excess over the velocity of normal data.
        shape: of a sample.
    """

    def __init__(self, network: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.network, self.shape = network, shape

    def forward(
        self, y: Float[Tensor, "batch size"], t: Float[Tensor, " batch"], condition: Condition | None = None
    ) -> Float[Tensor, "batch size"]:
        clock = t.expand(len(y)).clamp(min=0.0)
        time = clock**WARP
        spread = ((1 - time) ** 2 + time**2).sqrt()[:, None]
        added = self.network((y / spread).unflatten(1, self.shape), time, condition).flatten(1)
        return WARP * clock[:, None] ** (WARP - 1) * (((2 * time - 1)[:, None] / spread**2) * y + added)

    def given(self, condition: Condition | None) -> FlatField:
        """The field at fixed conditions."""
        return FlatField(lambda t, y: self(y, t, condition), list(self.parameters()), condition is None)


class FlatField:
    """A velocity ``field(t, y) -> dy/dt`` at fixed conditions.

    Arguments:
        field: function of t (batch,) or (1,) and y (batch, size).
        tensors: tensors that it depends on.
        rowwise: whether it is the same for every sample, so that samples may leave the batch.
    """

    def __init__(self, field: Callable[[Tensor, Tensor], Tensor], tensors: list[Tensor], rowwise: bool) -> None:
        self.field, self.tensors, self.rowwise = field, tensors, rowwise

    def __call__(self, t: Tensor, y: Float[Tensor, "batch size"]) -> Float[Tensor, "batch size"]:
        return self.field(t, y)

    def with_divergence(
        self, t: Tensor, y: Float[Tensor, "batch size"]
    ) -> tuple[Float[Tensor, "batch size"], Float[Tensor, " batch"]]:
        """The field and its exact divergence: one derivative per number of a state."""
        return exact_divergence(self.field, t, y)

    def with_changes(
        self, t: Tensor, y: Float[Tensor, "batch size"], directions: Float[Tensor, "n batch size"]
    ) -> tuple[Float[Tensor, "batch size"], Float[Tensor, "n batch size"]]:
        """The field, and its derivatives along ``n`` directions at each sample."""
        changes = []
        for direction in directions:
            value, change = torch.func.jvp(lambda state: self.field(t, state), (y,), (direction,))  # type: ignore[misc]
            changes.append(change)
        return value, torch.stack(changes)
