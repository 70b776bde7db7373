"""Generator of homogeneous maps that works on coloured fields.

`StationaryGenerator` sees white noise, of which the long waves that shape structures are a small part, cell by cell.
Here the network sees the Gaussian field of normal scores that this noise stands for beside the noise itself, and
changes the field, in standardised wavelet coefficients of a grid that is halved once,

    v = C w,        v' = B^-1 (B v + n(B v, H w, c)),        w' = C^-1 v',

with w white noise, C the colouring by the spectrum at the condition c, B the standardised wavelet coefficients, H the
same without standardisation, and n a U-Net that is 0 at first.
"""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.models.stationary import GaussianField
from pushforward.models.wavelet_bands import WaveletBands, halvings_for
from pushforward.networks import UNet
from pushforward.spaces import Field

__all__ = ["ColouredGenerator"]


class ColouredGenerator(nn.Module):
    """White noise, one number per value, and a condition to whitened fields; the identity before training.

    Arguments:
        space: of the fields.
        halvings: of the grid on which noise and whitened fields are given.
        condition: space of the conditions.
        width: channels of the `UNet`.

    Attributes:
        bands: standardised coefficients of normal scores.
    """

    def __init__(
        self, space: Field, halvings: int, condition: ConditionSpace = ConditionSpace(), width: int = 24
    ) -> None:
        super().__init__()
        self.white = WaveletBands(space, halvings)
        self.bands = WaveletBands(space, halvings_for(space, most=1))
        self.gaussian = GaussianField(space, condition).requires_grad_(False)
        coefficients = cast(Field, self.bands.space)
        self.network = UNet(coefficients, condition, width, in_channels=2 * coefficients.channels)

    def forward(
        self, z: Float[Tensor, "batch latent"], condition: Condition | None = None
    ) -> Float[Tensor, "batch channels *grid"]:
        """Whitened fields from white noise."""
        noise = z.view(len(z), *self.white.space.shape)
        start = self.coloured(noise, condition)
        both = torch.cat([start, self.bands.split(self.white.merge(noise))], 1)
        made = start + self.network(both, z.new_zeros(len(z)), condition).float()
        return self.white.split(self.gaussian.whiten(self.bands.inverse(made), condition))

    def scores(self, coefficients: Float[Tensor, "batch channels *grid"], condition: Condition | None = None) -> Tensor:
        """Normal scores of whitened fields."""
        return self.gaussian.colour(self.white.merge(coefficients), condition)

    def coloured(
        self, coefficients: Float[Tensor, "batch channels *grid"], condition: Condition | None = None
    ) -> Tensor:
        """Standardised coefficients of the normal scores of whitened fields."""
        return self.bands(self.scores(coefficients, condition))

    @torch.no_grad()
    def initialise(self, gaussian: GaussianField, scores: Float[Tensor, "batch *shape"]) -> None:
        """Set the spectrum, and the scales of coefficients from members."""
        self.gaussian.load_state_dict(gaussian.state_dict())
        self.bands.initialise(scores)
