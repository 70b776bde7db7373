"""Likelihood p(x | z, c) of a sample given a code: a distribution around what a decoder makes of the code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from pushforward.conditions import Condition
from pushforward.models.spectral_noise import GaussianNoise
from pushforward.randomness import Draws

__all__ = ["GaussianLikelihood", "Likelihood"]


class Likelihood(Protocol):
    """Distribution of samples around decoder outputs, of the shape of samples or with several numbers for each value.

    Samples are in network units, shape ``(batch, *space.shape)``.
    """

    def initialise(self, x: Tensor) -> None:
        """Set parameters from samples before training."""
        ...

    def middle(self, x: Tensor) -> Tensor:
        """Samples with discrete values in the middle of their cells, wherever these were dequantised to."""
        ...

    def log_prob(self, x: Tensor, decoded: Tensor, condition: Condition | None = None) -> Float[Tensor, " batch"]:
        """Log-density of each sample, in nats."""
        ...

    def mean(self, decoded: Tensor) -> Tensor:
        """Mean of each number."""
        ...

    def sample(self, decoded: Tensor, draws: Draws, condition: Condition | None = None) -> Tensor:
        """One sample per decoded code."""
        ...


@dataclass(frozen=True)
class GaussianLikelihood:
    """Decoded means with Gaussian noise around them.

    Attributes:
        noise: the noise, whose amplitudes may depend on the condition.
        centre: mean of all samples, shape ``space.shape``.
    """

    noise: GaussianNoise
    centre: Tensor

    def initialise(self, x: Tensor) -> None:
        self.noise.initialise(x - self.centre)

    def middle(self, x: Tensor) -> Tensor:
        return x

    def log_prob(self, x: Tensor, decoded: Tensor, condition: Condition | None = None) -> Float[Tensor, " batch"]:
        return self.noise.log_prob(x - decoded, condition)

    def mean(self, decoded: Tensor) -> Tensor:
        return decoded

    def sample(self, decoded: Tensor, draws: Draws, condition: Condition | None = None) -> Tensor:
        return decoded + self.noise.sample(draws, condition)
