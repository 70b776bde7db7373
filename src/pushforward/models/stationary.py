"""Generator of statistically homogeneous fields from white noise.

A generator that starts from one vector must learn every position of a map separately. If the statistics of a field do
not depend on position, a convolutional network of a map of independent noise has that symmetry built in and learns from
every cell. The noise is first given the power spectrum of the data (see `GaussianDenoiser`): before training, samples
are Gaussian fields with the correct spectrum, and the network learns only the non-Gaussian part, as a simulation turns
initial conditions into a cosmic web.
"""

from __future__ import annotations

from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.models.wavelet_bands import WaveletBands
from pushforward.networks import UNet
from pushforward.spaces import Field, Space
from pushforward.transport import GaussianDenoiser
from pushforward.transport.path import Moment

__all__ = ["StationaryGenerator", "is_stationary"]

# the end of the path at the data
_DATA: Moment[float] = Moment(time=0.0, alpha=1.0, sigma=0.0, alpha_dot=0.0, sigma_dot=0.0)


def is_stationary(space: Space) -> bool:
    """Whether a field is statistically homogeneous: it is periodic or isotropic."""
    field = cast(Field, space)
    return bool(space.grid) and (field.periodic or field.isotropic)


class StationaryGenerator(nn.Module):
    """Generator of wavelet coefficients (see `WaveletBands`) from white noise, one number per value, and a condition.

    Arguments:
        space: of the fields.
        bands: from fields to the coefficients that the `UNet` works on.
        condition: space of the conditions.
        width: channels of the `UNet` on the coefficients' grid.

    >>> import torch
    >>> space = Field(1, (32, 32), periodic=True)
    >>> generator = StationaryGenerator(space, WaveletBands(space, 1), width=8)
    >>> generator(torch.zeros(3, 1024)).shape
    torch.Size([3, 4, 16, 16])
    """

    def __init__(
        self, space: Field, bands: WaveletBands, condition: ConditionSpace = ConditionSpace(), width: int = 32
    ) -> None:
        super().__init__()
        self.bands = bands
        self.gaussian = GaussianDenoiser(space, condition)
        self.network = UNet(cast(Field, bands.space), condition, width)

    def initialise(self, x: Float[Tensor, "batch channels *grid"]) -> None:
        """Set the power spectrum of the noise to that of these fields."""
        self.gaussian.initialise(x)

    def forward(
        self, z: Float[Tensor, "batch latent"], condition: Condition | None = None
    ) -> Float[Tensor, "batch channels *grid"]:
        field = self.gaussian.colour(z.view(len(z), *self.gaussian.index.shape), _DATA, condition)
        coefficients = self.bands(field)
        return coefficients + self.network(coefficients, z.new_zeros(len(z)), condition).float()
