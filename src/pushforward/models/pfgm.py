r"""Poisson flows: EDM with Student-t noise.

Put the data as charges on the plane r = 0 of a space with D more dimensions, of which by symmetry only the radius r
matters. Along a field line dx/dr = E_x / E_r = (x - E[y | x, r]) / r, which with r = sigma sqrt(D) is the probability
flow of EDM; only the noise differs, which has D degrees of freedom in place of infinitely many (see
`pushforward.transport.noise`). So a denoiser is trained as for EDM, and sampled by the same equation from the field's
own distribution at sigma_max:

    z = x + sigma eps,      eps ~ t_D,      loss = E || F_theta - F ||^2.

The strength of the noise varies between samples, the more so the smaller D. The network is told the strength that a
sample shows (`NoiseLevel`) in place of sigma, which leaves no tail to clip. D = 1 is PFGM.

References:
    Xu et al. 2022, https://arxiv.org/abs/2209.11178; Xu et al. 2023, https://arxiv.org/abs/2302.04265
"""

from __future__ import annotations

from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models.denoising_settings import DenoisingSampling
from pushforward.models.edm import EDM, EDMSettings
from pushforward.randomness import Draws
from pushforward.spaces import Space
from pushforward.transport import Moment, NoiseLevel, Straight, StudentT

__all__ = ["PFGM", "PFGMPlusPlus"]


class PFGMPlusPlusSettings(EDMSettings):
    """
    Attributes:
        D: degrees of freedom of the noise, the dimensions that the field's space has beyond those of the data; any
            number above 0. Small is robust against errors of the network and large steps, large is EDM.
    """

    D: float = Setting(default=128.0, gt=0, allow_inf_nan=False)


class PFGMSettings(PFGMPlusPlusSettings):
    """As for PFGM++, of which this is D = 1."""

    D: float = Setting(default=1.0, ge=1, le=1)


class PFGMPlusPlus(EDM):
    """Regression of the preconditioned output where the noise is Student-t."""

    Settings = PFGMPlusPlusSettings
    settings: PFGMPlusPlusSettings

    # D from which equal steps of the straight line's time follow the noise as well as they do Gaussian noise.
    nearly_gaussian = 8.0

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        options = settings if isinstance(settings, PFGMPlusPlusSettings) else self.Settings()
        super().__init__(space, condition, options, prior=StudentT(options.D))
        self.level = NoiseLevel(space.size, options.D)

    def told(self, z: Tensor, moment: Moment) -> tuple[Moment, Tensor]:
        return self.level(z, moment)

    def sample(self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None) -> Tensor:
        if isinstance(sampling, DenoisingSampling) and sampling.is_random():
            raise UsageError(
                f"method={sampling.method} adds Gaussian noise on the way, but this model's noise is Student-t with "
                f"D={self.settings.D:g}; choose a deterministic method, such as edm without churn"
            )
        return super().sample(draws, condition, sampling)

    def excess(self, z: Tensor, moment: Moment, condition: Condition | None = None) -> Tensor:
        known, found = self.gaussian(z, moment, condition), self.predictor(condition, Straight())(z, moment)
        return moment.velocity(found.data - known.data, found.noise - known.noise)

    def _times_to_noise(self) -> list[float]:
        times = super()._times_to_noise()
        if self.nearly_gaussian <= self.settings.D:
            return times
        # A heavy tail reaches the data late, at a sigma as small as its noise is strong. On two clusters and at D = 1
        # this leaves an error of 0.01 nats in the mean log-density, and of up to 1 nat where data are rare.
        steps = 3 * (len(times) - 1) // 2
        return [times[-1] * (i / steps) ** 3 for i in range(steps + 1)]


class PFGM(PFGMPlusPlus):
    """PFGM++ with one dimension more than the data has."""

    Settings = PFGMSettings
