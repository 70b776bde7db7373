"""Coordinates in which a generator and its critic work: standardised wavelet coefficients of samples.

Statistically homogeneous fields that are generated from a map of noise are mapped to normal scores and whitened first:
at every wavenumber and condition, coefficients then have mean zero and unit variance (see `ConditionalScores` and
`GaussianField`), and white noise stands for Gaussian fields with the spectrum and the values of the data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.models.conditional_scores import ConditionalScores
from pushforward.models.power_normalisation import PowerNormalisation, fitted_to
from pushforward.models.stationary import GaussianField
from pushforward.models.wavelet_bands import WaveletBands
from pushforward.spaces import Field, Space

__all__ = ["GeneratorCoordinates"]

_ROWS = 64
"""Members that are mapped at once."""


class GeneratorCoordinates(nn.Module):
    """Samples to coefficients and back.

    Arguments:
        space: of the samples.
        halvings: of a field's grid (see `WaveletBands`).
        condition: space of the conditions.
        whitened: whiten fields by a `GaussianField`, which is fitted before training.

    Attributes:
        space: of the coefficients.
    """

    most_values = 2**24
    """Values of all members that a `GaussianField` is fitted to, if these are not too few."""

    def __init__(
        self, space: Space, halvings: int, condition: ConditionSpace = ConditionSpace(), *, whitened: bool = False
    ) -> None:
        super().__init__()
        self.bands = WaveletBands(space, halvings)
        self.scores: ConditionalScores | None = None
        self.gaussian: GaussianField | None = None
        self.normalisation: PowerNormalisation | None = None
        if whitened:
            # Fitted once, before the game, to more members than a batch has.
            self.scores = ConditionalScores(cast(Field, space), condition)
            self.gaussian = GaussianField(cast(Field, space), condition).requires_grad_(False)
            self.normalisation = PowerNormalisation(self.gaussian.spectrum)
        self.samples, self.condition = space, condition
        self.space = self.bands.space

    def forward(
        self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None
    ) -> Float[Tensor, "batch *coefficients"]:
        """Coefficients of samples."""
        if self.gaussian is not None and self.scores is not None:
            x = self.gaussian.whiten(self.scores(x, condition), condition)
        return self.bands(x)

    def inverse(
        self, coefficients: Float[Tensor, "batch *coefficients"], condition: Condition | None = None
    ) -> Float[Tensor, "batch *shape"]:
        """Samples from coefficients."""
        x = self.bands.inverse(coefficients)
        if self.gaussian is not None and self.scores is not None:
            x = self.scores.inverse(self.gaussian.colour(x, condition), condition)
        return x

    @property
    def fitted_to(self) -> int:
        """Number of members to initialise from; 0 for those of one batch."""
        return 0 if self.gaussian is None else min(1024, max(64, self.most_values // self.space.size))

    @property
    def drawn(self) -> int:
        """Number of draws of a trained generator by which its samples are whitened."""
        return min(512, max(64, self.most_values // self.space.size))

    def initialise(self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> None:
        """Set means, scales and spectrum from members."""
        if self.gaussian is not None and self.scores is not None:
            self.scores.fit(x, condition)
            parts = [slice(start, start + _ROWS) for start in range(0, len(x), _ROWS)]
            scores = [self.scores(x[part], None if condition is None else condition[part]) for part in parts]
            self.gaussian.fit(torch.cat(scores), condition)
        else:
            self.bands.initialise(x)

    def normalised(
        self, coefficients: Float[Tensor, "batch *coefficients"], *, update: bool = False
    ) -> Float[Tensor, "batch *coefficients"]:
        """Generated coefficients of whitened fields with unit power (see `power_normalisation`)."""
        if self.gaussian is None or self.normalisation is None:
            return coefficients
        fields = self.bands.inverse(coefficients)
        return self.bands(self.normalisation(fields, self.gaussian.spectrum, update=update))

    def whitener_of(self, draw: Callable[[], Tensor], condition: Condition | None) -> GaussianField:
        """`GaussianField` of generated coefficients ``draw()`` with these conditions."""
        space = cast(Field, self.samples)
        return fitted_to(lambda: self.bands.inverse(draw()), space, self.condition, condition)

    def whitened_by(
        self, whitener: GaussianField, coefficients: Float[Tensor, "batch *coefficients"], condition: Condition | None
    ) -> Float[Tensor, "batch *coefficients"]:
        """Generated coefficients, whitened at their condition."""
        return self.bands(whitener.whiten(self.bands.inverse(coefficients), condition))
