r"""Denoising diffusion: regression of the noise in a noisy sample.

    z_t = alpha_t x + sigma_t eps,   alpha^2 + sigma^2 = 1,      loss = E_{x, eps, t} || eps_theta(z_t, t) - eps ||^2.

The error is measured in the noise for any prediction of the network. The default prediction is v = alpha eps - sigma x,
which determines the noise and the data at every time, even where hardly any data remain; with ``prediction="noise"``
and ``schedule="linear"`` it is the model of the paper.

References:
    Ho, Jain & Abbeel 2020, https://arxiv.org/abs/2006.11239, eq. 14 and algorithm 1
    Nichol & Dhariwal 2021, https://arxiv.org/abs/2102.09672 (cosine schedule); Salimans & Ho 2022,
    https://arxiv.org/abs/2202.00512 (v)
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor

from pushforward.conditions import ConditionSpace
from pushforward.models.denoising import Denoising
from pushforward.models.denoising_settings import DenoisingSettings
from pushforward.randomness import Draws
from pushforward.spaces import Space
from pushforward.transport import Path, VPCosine, VPLinear

__all__ = ["DDPM"]


class DDPMSettings(DenoisingSettings):
    """
    Attributes:
        schedule: signal-to-noise ratio along the path, ``linear`` (in the rate) or ``cosine``.
        prediction: the network's output: ``noise`` or ``v``.
        measured_in: quantity whose squared error is minimised; ``noise`` gives the paper's loss, ``v`` emphasises
            large noise.
        levels: number of equally spaced noise levels in training, such as the paper's 1000; None: all times.
    """

    schedule: Literal["linear", "cosine"] = "cosine"
    prediction: Literal["noise", "v"] = "v"
    measured_in: Literal["noise", "v"] = "noise"
    levels: int | None = Setting(default=None, ge=1)


class DDPM(Denoising):
    """Regression of the noise on a variance-preserving path."""

    Settings = DDPMSettings
    settings: DDPMSettings

    # remnant of the data at t = 1 on the cosine path, equal to that on the linear one; see `VPCosine`
    remnant = 0.0066

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        options = settings if isinstance(settings, DDPMSettings) else DDPMSettings()
        path: Path = VPLinear() if options.schedule == "linear" else VPCosine(self.remnant)
        super().__init__(
            space, condition, options, path=path, prediction=options.prediction, measured_in=options.measured_in
        )

    def times(self, draws: Draws) -> Tensor:
        uniform = draws.stratified()
        levels = self.settings.levels
        return uniform if levels is None else (torch.floor(uniform * levels) + 1) / levels
