r"""Flow matching: the velocity of a straight line from data to noise, averaged over all lines through a point.

    z_t = (1 - t) x + t eps,      loss = E_{x, eps, t} || u_theta(z_t, t) - (eps - x) ||^2.

The minimum u(z, t) = E[eps - x | z_t = z] carries the noise at t = 1 to the data at t = 0. Time runs from data to noise
here, as for every path of the package.

References:
    Lipman et al. 2022, https://arxiv.org/abs/2210.02747; Liu et al. 2022, https://arxiv.org/abs/2209.03003;
    Albergo & Vanden-Eijnden 2022, https://arxiv.org/abs/2209.15571
    Tong et al. 2024, https://arxiv.org/abs/2302.00482 (optimal-transport coupling)
    Esser et al. 2024, https://arxiv.org/abs/2403.03206, section 3.1 (logit-normal times)
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor

from pushforward.models.denoising import Denoising, DenoisingSettings
from pushforward.models.model import Batch, Coupling
from pushforward.randomness import Draws
from pushforward.spaces import Space
from pushforward.transport import Straight, optimal_transport

__all__ = ["FlowMatching"]


class FlowMatchingSettings(DenoisingSettings):
    """
    Attributes:
        time_sampling: distribution of the training times, ``uniform`` or ``logit-normal``, t = sigmoid(mean + std g)
            with g standard normal.
        time_mean, time_std: of the logit-normal times; a negative mean favours small noise.
        coupling: which noise belongs to which sample of a batch: ``independent``, or ``optimal-transport``, the exact
            plan of least squared distance within the batch (of each process), which makes the paths straighter.
    """

    time_sampling: Literal["uniform", "logit-normal"] = "uniform"
    time_mean: float = 0.0
    time_std: float = Setting(default=1.0, gt=0)
    coupling: Literal["independent", "optimal-transport"] = "independent"


class FlowMatching(Denoising):
    """Regression of the velocity on the straight line."""

    Settings = FlowMatchingSettings
    settings: FlowMatchingSettings

    def __init__(self, space: Space, condition_dim: int = 0, settings: BaseModel | None = None) -> None:
        super().__init__(space, condition_dim, settings, path=Straight(), prediction="velocity")

    def times(self, draws: Draws) -> Tensor:
        uniform = draws.stratified()
        if self.settings.time_sampling == "uniform":
            return uniform
        # The open interval: the normal quantile of 0 is infinite.
        normal = torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))
        return torch.sigmoid(self.settings.time_mean + self.settings.time_std * normal)

    @property
    def coupling(self) -> Coupling | None:
        return self._optimal if self.settings.coupling == "optimal-transport" else None

    def noise(self, batch: Batch) -> Tensor:
        if batch.noise is not None:
            return batch.noise
        return super().noise(batch) if self.coupling is None else self.coupling(batch.x, batch.condition, batch.draws)

    def _optimal(self, x: Tensor, condition: Tensor | None, draws: Draws) -> Tensor:
        return optimal_transport(x, self.prior.draw(draws, self.space.shape), condition)
