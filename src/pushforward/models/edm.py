r"""EDM: preconditioning that keeps the network's inputs and targets of order one at every noise level.

    z = x + sigma eps,      x_theta(z, sigma) = c_skip z + c_out F(c_in z, sigma),

    loss = E_{x, eps, sigma} || x_theta - x ||^2 / c_out^2,      log(sigma) ~ N(P_mean, P_std^2).

For data of unit variance c_skip = 1 / (1 + sigma^2) and c_in = c_out / sigma = 1 / sqrt(1 + sigma^2), so that the loss
is the squared error of F itself (the prediction ``edm`` of `pushforward.transport.prediction`). Here c_skip z is the
denoiser of a Gaussian field with the data's power spectrum, which for white data is the paper's.

The paper's sampler is ``method=edm`` with 18 steps. The default solves the Gaussian part of the flow exactly, and is
closer to the data with fewer network calls (see `docs/transport.md`).

References:
    Karras et al. 2022, https://arxiv.org/abs/2206.00364, table 1 and algorithm 2
"""

from __future__ import annotations

import torch
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor

from pushforward.conditions import ConditionSpace
from pushforward.models.denoising import Denoising
from pushforward.models.denoising_settings import DenoisingSettings
from pushforward.randomness import Draws
from pushforward.spaces import Space
from pushforward.transport import Noise, VarianceExploding

__all__ = ["EDM", "EDMSettings"]


class EDMSettings(DenoisingSettings):
    """
    Attributes:
        P_mean, P_std: mean and standard deviation of log(sigma) in training, with sigma in units of the standard
            deviation of the data. The paper's -1.2 assumes a standard deviation of 0.5.
        sigma_max: noise level at which sampling starts, in the same units.
    """

    P_mean: float = -0.5
    P_std: float = Setting(default=1.2, gt=0)
    sigma_max: float = Setting(default=80.0, gt=1)


class EDM(Denoising):
    """Regression of the preconditioned output on the variance-exploding path.

    Arguments:
        space, condition, settings: see `Model`.
        prior: noise distribution of the path.
    """

    Settings = EDMSettings
    settings: EDMSettings

    def __init__(
        self,
        space: Space,
        condition: ConditionSpace = ConditionSpace(),
        settings: BaseModel | None = None,
        *,
        prior: Noise | None = None,
    ) -> None:
        options = settings if isinstance(settings, EDMSettings) else self.Settings()
        assert isinstance(options, EDMSettings)
        path = VarianceExploding(sigma_max=options.sigma_max)
        super().__init__(space, condition, options, path=path, prediction="edm", prior=prior)

    def times(self, draws: Draws) -> Tensor:
        # The open interval: the normal quantile of 0 is infinite.
        normal = torch.special.ndtri(draws.stratified().clamp(1e-6, 1 - 1e-6))
        log_sigma = self.settings.P_mean + self.settings.P_std * normal
        return self.path.time(-2 * log_sigma)
