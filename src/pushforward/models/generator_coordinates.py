"""Coordinates in which a generator and its critic work: standardised wavelet coefficients of samples.

Statistically homogeneous fields that are generated from a map of noise are whitened first: at every wavenumber and
condition, coefficients then have mean zero and unit variance (see `GaussianField`), and white noise stands for Gaussian
fields with the spectrum of the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.models.model import Batch, Player, Turn
from pushforward.models.stationary import GaussianField
from pushforward.models.wavelet_bands import WaveletBands
from pushforward.spaces import Field, Space

__all__ = ["GeneratorCoordinates"]


class GeneratorCoordinates(nn.Module):
    """Samples to coefficients and back.

    Arguments:
        space: of the samples.
        halvings: of a field's grid (see `WaveletBands`).
        condition: space of the conditions.
        whitened: whiten fields by a `GaussianField`, which is trained together with the generator.

    Attributes:
        space: of the coefficients.
    """

    # Maximum likelihood has far less gradient noise than an adversarial loss.
    rate, betas = 4.0, (0.9, 0.99)

    def __init__(
        self, space: Space, halvings: int, condition: ConditionSpace = ConditionSpace(), *, whitened: bool = False
    ) -> None:
        super().__init__()
        self.bands = WaveletBands(space, halvings)
        self.gaussian = GaussianField(cast(Field, space), condition) if whitened else None
        self.space = self.bands.space

    def forward(
        self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None
    ) -> Float[Tensor, "batch *coefficients"]:
        """Coefficients of samples."""
        return self.bands(x if self.gaussian is None else self.gaussian.whiten(x, condition))

    def inverse(
        self, coefficients: Float[Tensor, "batch *coefficients"], condition: Condition | None = None
    ) -> Float[Tensor, "batch *shape"]:
        """Samples from coefficients."""
        x = self.bands.inverse(coefficients)
        return x if self.gaussian is None else self.gaussian.colour(x, condition)

    def initialise(self, x: Float[Tensor, "batch *shape"]) -> None:
        """Set means, scales and spectrum from a batch of samples."""
        if self.gaussian is None:
            self.bands.initialise(x)
        else:
            self.gaussian.initialise(x)

    def players(self) -> dict[str, Player]:
        """The player ``spectrum`` if fields are whitened."""
        if self.gaussian is None:
            return {}
        return {"spectrum": Player(list(self.gaussian.parameters()), rate=self.rate, betas=self.betas)}

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        """The turn of ``spectrum``: the negative log-likelihood per value."""
        if self.gaussian is not None:
            batch = next(batches)
            log_prob = self.gaussian.log_prob(batch.x, batch.condition).mean()
            yield Turn("spectrum", -log_prob / batch.x[0].numel(), {})
