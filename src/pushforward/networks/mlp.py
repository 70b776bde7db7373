"""Perceptrons: plain, and residual with time and condition for velocities and denoisers of vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.networks.condition_fields import refuse_field
from pushforward.networks.embeddings import Context
from pushforward.networks.linear import Linear
from pushforward.spaces import Vector

__all__ = ["MLP", "ResidualMLP", "activation_named"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "silu": nn.SiLU,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "softplus": nn.Softplus,
    "leaky-relu": nn.LeakyReLU,
}


def activation_named(name: str) -> nn.Module:
    """Activation of a name.

    Raises:
        UsageError: if the name is unknown.
    """
    if name not in _ACTIVATIONS:
        raise UsageError(f"there is no activation called {name!r}; known ones are {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]()


class MLP(nn.Sequential):
    """Multilayer perceptron, (batch, inputs) to (batch, outputs).

    Arguments:
        inputs, outputs: lengths of the vectors.
        hidden: widths of the hidden layers.
        activation: silu, relu, gelu, tanh, elu, selu, softplus or leaky-relu. A density that is differentiated needs a
            smooth one.
        zero_output: start as the zero function.

    Raises:
        UsageError: if the activation is unknown.

    >>> MLP(2, 3, hidden=(8, 8))(torch.zeros(5, 2)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: Sequence[int] = (64, 64, 64),
        activation: str = "silu",
        *,
        zero_output: bool = False,
    ) -> None:
        layers: list[nn.Module] = []
        width = inputs
        for next_width in hidden:
            layers += [Linear(width, next_width), activation_named(activation)]
            width = next_width
        output = Linear(width, outputs)
        if zero_output:
            nn.init.zeros_(output.weight)
            nn.init.zeros_(output.bias)
        super().__init__(*layers, output)


class ResidualMLP(nn.Module):
    r"""Velocity or denoising network for vectors: residual blocks scaled and shifted by time and condition.

    .. math:: h \leftarrow h + W_2\, \sigma\big(W_1\, [(1 + s_l) \odot \mathrm{norm}(h) + b_l]\big),
              \qquad (s_l, b_l) = A_l\, e(t, c)

    The last layer and every :math:`W_2` start at zero. Scales and shifts take more than half of the operations; without
    a condition, consecutive samples may share a time, whose scales and shifts are then computed once.

    Arguments:
        space: a `Vector`.
        condition: space of the conditions, without a field.
        width: of the hidden state.
        depth: residual blocks.
        in_channels: numbers in an input vector; None means ``space.dim``.
        out_channels: numbers in an output vector; None means ``space.dim``.

    References:
        Perez et al. 2018 (feature-wise linear modulation), https://arxiv.org/abs/1709.07871

    >>> net = ResidualMLP(Vector(2), ConditionSpace(1))
    >>> net(torch.randn(5, 2), torch.rand(5), Condition(torch.randn(5, 1))).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        space: Vector,
        condition: ConditionSpace = ConditionSpace(),
        width: int = 256,
        depth: int = 4,
        *,
        in_channels: int | None = None,
        out_channels: int | None = None,
    ) -> None:
        super().__init__()
        refuse_field(self, condition)
        inputs = space.dim if in_channels is None else in_channels
        outputs = space.dim if out_channels is None else out_channels
        self.context = Context(width // 2 * 2, condition)
        self.modulation = Linear(self.context.dim, 2 * width * depth)
        self.input = Linear(inputs, width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(depth))
        self.output = Linear(width, outputs)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(
        self,
        x: Float[Tensor, "batch dim"],
        t: Float[Tensor, " times"],
        condition: Condition | None = None,
    ) -> Float[Tensor, "batch dim"]:
        times = len(t) if condition is None else len(x)
        modulation = self.modulation(self.context(t, condition, times))[:, None]
        h = self.input(x).unflatten(0, (times, len(x) // times))
        scales, shifts = modulation.chunk(2, dim=2)
        depth = len(self.blocks)
        for block, scale, shift in zip(
            self.blocks, scales.chunk(depth, dim=2), shifts.chunk(depth, dim=2), strict=True
        ):
            h = block(h, scale, shift)
        return self.output(nn.functional.silu(h)).flatten(0, 1)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.expand = Linear(width, width)
        self.project = Linear(width, width)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, h: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        modulated = torch.addcmul(shift, self.norm(h), 1 + scale)
        return h + self.project(nn.functional.silu(self.expand(modulated)))
