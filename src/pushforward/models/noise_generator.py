"""Generator of adversarial models and of `drifting`, with its noise.

A statistically homogeneous field is generated from a map of white noise (`StationaryGenerator`, or for maps with
scattering spectra `ColouredGenerator`), any other sample from one vector of normal numbers and random signs.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Protocol, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models.coloured_generator import ColouredGenerator
from pushforward.models.generator_coordinates import GeneratorCoordinates
from pushforward.models.settings import Settings
from pushforward.models.stationary import StationaryGenerator, is_stationary
from pushforward.networks import Generator
from pushforward.networks.one_shot import NetworkName
from pushforward.randomness import Draws
from pushforward.spaces import Field, Space, Vector

__all__ = ["MatchedSampling", "NoiseGenerator", "coordinates_for", "width_for"]

_COLOURED_WIDTH = 24
_CALLED = 32
"""Draws that are made at once."""


class MatchedSampling(Settings):
    """
    Attributes:
        matched: match samples of whitened fields to P(k) and the values of members (see `models.field_matching`).
    """

    matched: bool = True


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


def coordinates_for(
    space: Space, halvings: int, condition: ConditionSpace, settings: NoiseGeneratorSettings
) -> GeneratorCoordinates:
    """Coordinates of a generator for the settings of a family: whitened fields if it starts from a map of noise."""
    whitened = is_stationary(space) and settings.latent_dim is None and settings.network == "default"
    return GeneratorCoordinates(space, halvings, condition, whitened=whitened)


class NoiseGenerator(nn.Module):
    """Codes and conditions to coefficients of samples.

    Arguments:
        coordinates: of the coefficients (see `coordinates_for`).
        condition: space of the condition.
        settings: normal numbers per code, ``latent_dim``, on whitened fields one per value; random signs per code that
            is one vector, ``latent_bits``; ``width``, ``depth`` and ``network`` (see `Generator`), of which a generator
            of whitened fields uses the width alone.
        coloured: generate whitened fields by a `ColouredGenerator`.

    Attributes:
        latent: length of a code.
    """

    def __init__(
        self,
        coordinates: GeneratorCoordinates,
        condition: ConditionSpace,
        settings: NoiseGeneratorSettings,
        *,
        coloured: bool = False,
    ) -> None:
        super().__init__()
        space, width = coordinates.space, settings.width or width_for(coordinates.space)
        chosen = _dimensions(space)
        self.network: StationaryGenerator | ColouredGenerator | Generator
        if coloured:
            self.normals, self.bits = space.size, 0
            field, width = cast(Field, coordinates.samples), settings.width or _COLOURED_WIDTH
            self.network = ColouredGenerator(field, coordinates.bands.halvings, condition, width)
        elif coordinates.gaussian is not None:
            self.normals, self.bits = space.size, 0
            self.network = StationaryGenerator(cast(Field, space), condition, width)
        else:
            self.normals, self.bits = settings.latent_dim or chosen, settings.latent_bits
            latent = self.normals + self.bits
            self.network = Generator(space, latent, condition, width, settings.depth, settings.network)
        self.latent = self.normals + self.bits

    def noise(self, draws: Draws) -> Float[Tensor, "batch latent"]:
        """Fresh codes."""
        normals = draws.normal(self.normals)
        return torch.cat([normals, 2.0 * draws.integers(2, self.bits) - 1], 1) if self.bits else normals

    def drawn(self, condition: Condition | None, count: int) -> Float[Tensor, "count *coefficients"]:
        """Coefficients of so many draws at conditions, always the same for the same weights."""
        codes = self.noise(Draws(0, count, device=next(self.parameters()).device))
        parts = [slice(start, start + _CALLED) for start in range(0, count, _CALLED)]
        return torch.cat([self(codes[part], None if condition is None else condition[part]).float() for part in parts])

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
