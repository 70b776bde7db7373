"""Generator of adversarial models and of `drifting`, with its noise.

A statistically homogeneous field is generated from a map of noise with the data's power spectrum
(`StationaryGenerator`), any other sample from one vector of normal numbers and random signs.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Protocol, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models.stationary import StationaryGenerator, is_stationary
from pushforward.models.wavelet_bands import WaveletBands
from pushforward.networks import Generator
from pushforward.networks.one_shot import NetworkName
from pushforward.randomness import Draws
from pushforward.spaces import Field, Space, Vector

__all__ = ["NoiseGenerator", "width_for"]


class NoiseGeneratorSettings(Protocol):
    """Settings of a family that determine its generator; see `NoiseGenerator`."""

    @property
    def latent_dim(self) -> int | None: ...

    @property
    def latent_bits(self) -> int: ...

    @property
    def width(self) -> int | None: ...

    @property
    def depth(self) -> int: ...

    @property
    def network(self) -> NetworkName: ...


class NoiseGenerator(nn.Module):
    """Codes and conditions to coefficients of samples (see `WaveletBands`).

    Arguments:
        space: of the samples.
        bands: from samples to coefficients.
        condition: space of the condition.
        latent_dim: normal numbers per code; None follows from the space: on a stationary field, one per value.
        latent_bits: random signs, +1 or -1, per code that is one vector.
        width, depth, network: of the network (see `Generator`); a stationary field uses the width alone.

    Attributes:
        latent: length of a code.
    """

    def __init__(
        self,
        space: Space,
        bands: WaveletBands,
        condition: ConditionSpace = ConditionSpace(),
        *,
        latent_dim: int | None = None,
        latent_bits: int = 0,
        width: int | None = None,
        depth: int = 3,
        network: NetworkName = "default",
    ) -> None:
        super().__init__()
        chosen, width = _dimensions(space), width or width_for(space)
        self.network: StationaryGenerator | Generator
        if is_stationary(space) and latent_dim is None and network == "default":
            self.normals, self.bits = space.size, 0
            self.network = StationaryGenerator(cast(Field, space), bands, condition, width)
        else:
            self.normals, self.bits = latent_dim or chosen, latent_bits
            self.network = Generator(bands.space, self.normals + self.bits, condition, width, depth, network)
        self.latent = self.normals + self.bits

    @classmethod
    def of(
        cls, space: Space, bands: WaveletBands, condition: ConditionSpace, settings: NoiseGeneratorSettings
    ) -> NoiseGenerator:
        """Generator for the settings of a family."""
        return cls(
            space,
            bands,
            condition,
            latent_dim=settings.latent_dim,
            latent_bits=settings.latent_bits,
            width=settings.width,
            depth=settings.depth,
            network=settings.network,
        )

    def initialise(self, x: Float[Tensor, "batch *shape"]) -> None:
        """Initialise data-dependent constants of the network from a batch of samples."""
        if isinstance(self.network, StationaryGenerator):
            self.network.initialise(x)

    def noise(self, draws: Draws) -> Float[Tensor, "batch latent"]:
        """Fresh codes."""
        normals = draws.normal(self.normals)
        return torch.cat([normals, 2.0 * draws.integers(2, self.bits) - 1], 1) if self.bits else normals

    def forward(
        self, z: Float[Tensor, "batch latent"], condition: Condition | None = None
    ) -> Float[Tensor, "batch *coefficients"]:
        return self.network(z, condition)


@singledispatch
def _dimensions(space: Space) -> int:
    """Number of noise values."""
    raise UsageError(f"a GAN learns vectors and fields, not {type(space).__name__.lower()}")


@_dimensions.register
def _(space: Vector) -> int:
    # With more noise numbers than the vector has, the spread across a thin structure has its own noise.
    return max(8, space.dim)


@_dimensions.register
def _(space: Field) -> int:
    return 64


def width_for(space: Space) -> int:
    """Width of one-shot networks."""
    return 32 if space.grid else 128
