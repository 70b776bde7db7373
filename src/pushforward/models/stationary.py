r"""Statistically homogeneous fields: their Gaussian part in closed form, and a generator that starts from it.

A generator that starts from one vector must learn every position of a map separately. If the statistics of a field do
not depend on position, a convolutional network of a map of independent noise has that symmetry built in and learns from
every cell. Mean m and power spectrum S of such a field, at every condition c, have the likelihood

    log N(x | c) = -1/2 sum_k [ |x_k - m_k(c)|^2 / S(k | c) + log 2 pi S(k | c) ].

They are fitted before training, by regression on the conditions (see `condition_regression`), and an adversarial game
is played between whitened fields, w_k = (x_k - m_k) / sqrt(S(k)). White noise then stands for Gaussian fields with the
correct spectrum: before training these are the samples, and the networks learn only the non-Gaussian part, as a
simulation turns initial conditions into a cosmic web.
"""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.models.condition_regression import regress_log_means, regress_means
from pushforward.networks import MLP, UNet
from pushforward.spaces import Field, Space
from pushforward.tensors import normal_log_prob
from pushforward.transport import GaussianDenoiser
from pushforward.transport.path import Moment

__all__ = ["GaussianField", "StationaryGenerator", "is_stationary"]

# the end of the path at the data
_DATA: Moment[float] = Moment(time=0.0, alpha=1.0, sigma=0.0, alpha_dot=0.0, sigma_dot=0.0)
_ROWS = 64
"""Fields whose modes are in memory at once."""


def is_stationary(space: Space) -> bool:
    """Whether a field is statistically homogeneous: it is periodic or isotropic."""
    field = cast(Field, space)
    return bool(space.grid) and (field.periodic or field.isotropic)


class GaussianField(nn.Module):
    """Gaussian fields with a learnt mean of each channel and a learnt power spectrum, which may depend on conditions.

    Arguments:
        space: of the fields.
        condition: space of the conditions.
        hidden: hidden features of the MLPs of a condition.
    """

    def __init__(self, space: Field, condition: ConditionSpace = ConditionSpace(), hidden: int = 64) -> None:
        super().__init__()
        self.spectrum = GaussianDenoiser(space, condition, hidden)
        self.mean = nn.Parameter(torch.zeros(space.channels, *[1] * len(space.grid)))
        numbers = condition.numbers
        self.change = MLP(numbers, space.channels, (hidden,), zero_output=True) if numbers else None

    def whiten(self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> Tensor:
        """Whitened fields w, of the shape of ``x``."""
        return self.spectrum.whiten(x - self._mean(condition), _DATA, condition)

    def colour(self, w: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> Tensor:
        """The inverse of `whiten`."""
        return self.spectrum.colour(w, _DATA, condition) + self._mean(condition)

    def log_prob(self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> Tensor:
        """Log-density in nats, ``(batch,)``."""
        return normal_log_prob(self.whiten(x, condition)) + self.spectrum.log_volume(_DATA, condition)

    @torch.no_grad()
    def fit(self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> None:
        """Set mean and spectrum, at every condition, to those of these fields (see `condition_regression`)."""
        numbers = None if condition is None else condition.numbers
        self.mean.copy_(regress_means(self.change, numbers, x.flatten(2).mean(2)).view_as(self.mean))
        spectrum = self.spectrum
        rows = range(0, len(x), _ROWS)
        parts = ((x[i : i + _ROWS], None if condition is None else condition[i : i + _ROWS]) for i in rows)
        powers = torch.cat([spectrum.powers_of_each(part - self._mean(given)) for part, given in parts])
        powers = powers.clamp(min=spectrum.smallest)
        spectrum.raw_log_power.copy_(regress_log_means(spectrum.change, numbers, powers) / spectrum.speed)

    def _mean(self, condition: Condition | None) -> Tensor:
        if self.change is None or condition is None or condition.numbers is None:
            return self.mean
        change = self.change(torch.nan_to_num(condition.numbers)).float()
        return self.mean + change.view(len(change), *self.mean.shape)


class StationaryGenerator(nn.Module):
    """White noise, one number per value, and a condition to whitened fields; the identity before training.

    Arguments:
        space: of the whitened fields, on the grid that the network works on: an orthonormal transform of white noise is
            white noise.
        condition: space of the conditions.
        width: channels of the `UNet`.

    >>> generator = StationaryGenerator(Field(4, (16, 16), periodic=True), width=8)
    >>> generator(torch.zeros(3, 1024)).shape
    torch.Size([3, 4, 16, 16])
    """

    def __init__(self, space: Field, condition: ConditionSpace = ConditionSpace(), width: int = 32) -> None:
        super().__init__()
        self.shape = space.shape
        self.network = UNet(space, condition, width)

    def forward(
        self, z: Float[Tensor, "batch latent"], condition: Condition | None = None
    ) -> Float[Tensor, "batch channels *grid"]:
        noise = z.view(len(z), *self.shape)
        return noise + self.network(noise, z.new_zeros(len(z)), condition).float()
