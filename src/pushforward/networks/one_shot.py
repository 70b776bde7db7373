"""Generator and encoder by space.

| space    | network                                       |
|----------|-----------------------------------------------|
| `Vector` | multilayer perceptron                         |
| `Field`  | convolutional, periodic where the field is so |
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.networks.condition_fields import refuse_field
from pushforward.networks.convolutional import ConvolutionalEncoder, ConvolutionalGenerator
from pushforward.networks.dcgan import DCGANCritic, DCGANGenerator
from pushforward.networks.embeddings import ConditionEmbedding
from pushforward.networks.mlp import MLP
from pushforward.spaces import Field, Space, Vector

__all__ = ["Encoder", "Generator", "NetworkName"]

NetworkName = Literal["default", "dcgan"]
"""Kind of network for fields: residual blocks with nearest-neighbour refinement, or the layers of `networks.dcgan`."""


class Generator(nn.Module):
    """Map a code and a condition to a sample: the generator of a GAN, the decoder of an autoencoder.

    Arguments:
        space: a `Vector` or a `Field`.
        latent_dim: length of a code.
        condition: space of the conditions, without a field.
        width: hidden width of the perceptron (None: 256), or channels at the field's full resolution (None: 32).
        depth: hidden layers of the perceptron; for a field the depth follows from the grid.
        network: of a field (see `NetworkName`).

    Raises:
        UsageError: if the space has no such network.

    >>> Generator(Field(1, (8, 8)), latent_dim=16, width=8)(torch.randn(3, 16)).shape
    torch.Size([3, 1, 8, 8])
    """

    def __init__(
        self,
        space: Space,
        latent_dim: int,
        condition: ConditionSpace = ConditionSpace(),
        width: int | None = None,
        depth: int = 3,
        network: NetworkName = "default",
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.network = _generator(space, latent_dim, condition, _Layers(width, depth, network))

    def forward(
        self, z: Float[Tensor, "batch latent"], condition: Condition | None = None
    ) -> Float[Tensor, "batch *shape"]:
        return self.network(z, condition)


class Encoder(nn.Module):
    """Map a sample and a condition to a vector: the encoder of an autoencoder.

    Without batch normalisation, and twice differentiable. Arguments as for `Generator`, with ``outputs`` the length of
    the vector, and ``pooled`` to treat all positions of a field alike (see `ConvolutionalEncoder`).

    >>> Encoder(Vector(2), outputs=5)(torch.randn(3, 2)).shape
    torch.Size([3, 5])
    """

    def __init__(
        self,
        space: Space,
        outputs: int,
        condition: ConditionSpace = ConditionSpace(),
        width: int | None = None,
        depth: int = 3,
        network: NetworkName = "default",
        *,
        pooled: bool = False,
    ) -> None:
        super().__init__()
        self.network = _encoder(space, outputs, condition, _Layers(width, depth, network, pooled))

    def forward(
        self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None
    ) -> Float[Tensor, "batch outputs"]:
        return self.network(x, condition)


class _ConditionalMLP(nn.Module):
    """Perceptron of the input and the embedded condition."""

    def __init__(self, inputs: int, outputs: int, condition: ConditionSpace, width: int, depth: int) -> None:
        super().__init__()
        refuse_field(self, condition)
        self.condition = condition
        self.numbers = ConditionEmbedding(condition.numbers, width // 4) if condition else None
        self.mlp = MLP(inputs + (width // 4 if condition else 0), outputs, (width,) * depth, "leaky-relu")

    def forward(self, x: Tensor, condition: Condition | None) -> Tensor:
        numbers = self.condition.numbers_of(condition)
        if self.numbers is not None:
            x = torch.cat([x, self.numbers(numbers, len(x))], dim=1)
        return self.mlp(x)


@dataclass(frozen=True)
class _Layers:
    """Sizes and kind of a network, as `Generator` and `Encoder` are given them."""

    width: int | None
    depth: int
    network: NetworkName
    pooled: bool = False


@singledispatch
def _generator(space: Space, latent: int, condition: ConditionSpace, layers: _Layers) -> nn.Module:
    raise _unknown(space)


@_generator.register
def _(space: Field, latent: int, condition: ConditionSpace, layers: _Layers) -> nn.Module:
    kind = DCGANGenerator if layers.network == "dcgan" else ConvolutionalGenerator
    return kind(space, latent, condition, layers.width or 32)


@_generator.register
def _(space: Vector, latent: int, condition: ConditionSpace, layers: _Layers) -> nn.Module:
    _refuse_convolutions(layers.network)
    return _ConditionalMLP(latent, space.dim, condition, layers.width or 256, layers.depth)


@singledispatch
def _encoder(space: Space, outputs: int, condition: ConditionSpace, layers: _Layers) -> nn.Module:
    raise _unknown(space)


@_encoder.register
def _(space: Field, outputs: int, condition: ConditionSpace, layers: _Layers) -> nn.Module:
    if layers.network == "dcgan":
        return DCGANCritic(space, outputs, condition, layers.width or 32)
    return ConvolutionalEncoder(space, outputs, condition, layers.width or 32, pooled=layers.pooled)


@_encoder.register
def _(space: Vector, outputs: int, condition: ConditionSpace, layers: _Layers) -> nn.Module:
    _refuse_convolutions(layers.network)
    return _ConditionalMLP(space.dim, outputs, condition, layers.width or 256, layers.depth)


def _refuse_convolutions(network: NetworkName) -> None:
    if network != "default":
        raise UsageError(f"network={network} is convolutional, for fields; vectors have the default network alone")


def _unknown(space: Space) -> UsageError:
    return UsageError(f"there is no one-shot network for {space.kind} data, only for vectors and fields")
