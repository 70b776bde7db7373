"""Conditioner networks of couplings: from the kept part of a sample and a condition to raw parameters.

All outputs are zero before training, so that every coupling starts as the identity.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pushforward.conditions import laid_out
from pushforward.networks.inputs import check_features, checked_condition
from pushforward.networks.layers import Convolution, channels_last
from pushforward.networks.linear import Linear
from pushforward.networks.mlp import MLP
from pushforward.networks.unrolled import Unrolled

__all__ = ["FieldConditioner", "VectorConditioner"]


class VectorConditioner(nn.Module):
    """Perceptron of a vector and its condition, (batch, inputs) to (batch, outputs).

    Arguments:
        inputs, outputs: lengths of the vectors; without inputs and condition it is a constant.
        condition_dim: length of a condition vector; 0 for none.
        width: width of the hidden layers.
        depth: number of hidden layers.
        residual: add each hidden layer to the one before, which suits deeper perceptrons.
        angles: indices of the inputs that are angles, in radians; the outputs are continuous around their circles.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        condition_dim: int = 0,
        width: int = 128,
        depth: int = 2,
        *,
        residual: bool = False,
        angles: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.unrolled = Unrolled(inputs, angles)
        self.inputs, self.condition_dim = inputs, condition_dim
        # without inputs, a perceptron of a constant one
        self.alone = inputs + condition_dim == 0
        inputs = max(inputs + len(angles) + condition_dim, 1)
        if residual:
            self.mlp: nn.Module = _Residual(inputs, outputs, width, depth)
        else:
            self.mlp = MLP(inputs, outputs, (width,) * depth, zero_output=True)

    def forward(
        self, x: Float[Tensor, "batch inputs"], condition: Float[Tensor, "batch condition"] | None = None
    ) -> Float[Tensor, "batch outputs"]:
        if self.alone:
            return self.mlp(x.new_ones(len(x), 1))
        check_features(x, self.inputs)
        condition = checked_condition(condition, self.condition_dim, len(x))
        x = self.unrolled(x)
        return self.mlp(x if condition is None else torch.cat([x, condition], dim=1))


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, width: int, depth: int) -> None:
        super().__init__()
        self.first = Linear(inputs, width)
        self.hidden = nn.ModuleList(Linear(width, width) for _ in range(depth - 1))
        self.last = Linear(width, outputs)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        for layer in self.hidden:
            h = h + layer(functional.silu(h))
        return self.last(functional.silu(h))


class FieldConditioner(nn.Module):
    """Residual convolutions of a field and its context, (batch, inputs, *grid) to (batch, outputs, *grid).

    Arguments:
        inputs, outputs: channels.
        context: channels of the condition, a field on the same or a finer grid, or a vector that every cell sees.
        width: channels of the hidden state.
        depth: number of residual blocks.
        dims: axes of the grid.
        periodic: whether the field is periodic.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int = 0,
        width: int = 32,
        depth: int = 2,
        *,
        dims: int = 2,
        periodic: bool = False,
    ) -> None:
        super().__init__()
        self.inputs, self.context = inputs, context
        self.first = Convolution(dims, inputs + context, width, periodic=periodic)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.SiLU(),
                Convolution(dims, width, width, periodic=periodic),
                nn.SiLU(),
                Convolution(dims, width, width, 1),
            )
            for _ in range(depth)
        )
        self.last = Convolution(dims, width, outputs, 1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, x: Float[Tensor, "batch inputs *grid"], condition: Float[Tensor, "batch ..."] | None = None
    ) -> Float[Tensor, "batch outputs *grid"]:
        check_features(x, self.inputs)
        condition = checked_condition(condition, self.context, len(x))
        if condition is not None:
            x = torch.cat([x, laid_out(condition, x.shape[2:])], dim=1)
        h = self.first(channels_last(x))
        for block in self.blocks:
            h = h + block(h)
        return self.last(functional.silu(h))
