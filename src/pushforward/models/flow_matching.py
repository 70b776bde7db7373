r"""Flow matching: the velocity of a straight line from data to noise, averaged over all lines through a point.

    z_t = (1 - t) x + t eps,      loss = E_{x, eps, t} || u_theta(z_t, t) - (eps - x) ||^2.

The minimum u(z, t) = E[eps - x | z_t = z] carries the noise at t = 1 to the data at t = 0. Time runs from data to noise
here, as for every path of the package.

With a ``teacher``, x is where the teacher's flow takes eps: reflow. The lines between such pairs cross less, so the
flow through them is straighter and needs fewer steps. Its samples are no better than the teacher's.

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

from pushforward.errors import UsageError
from pushforward.models.denoising import Denoising, DenoisingSettings
from pushforward.models.model import Batch, Coupling, Model, Pairs
from pushforward.randomness import Draws
from pushforward.spaces import Space
from pushforward.transport import Normal, Straight, optimal_transport

__all__ = ["FlowMatching"]


class FlowMatchingSettings(DenoisingSettings):
    """
    Attributes:
        time_sampling: distribution of the training times, ``uniform`` or ``logit-normal``, t = sigmoid(mean + std g)
            with g standard normal.
        time_mean, time_std: of the logit-normal times; a negative mean favours small noise.
        teacher: run directory of a model of motion from Gaussian noise, whose noise and samples are trained on in place
            of the data. The network is then the teacher's unless it is set, and samples are drawn by ``ddim``, which is
            Euler's method along straight lines, unless another method is.
        teacher_steps: of the teacher's sampler, a network call each.
        coupling: which noise belongs to which sample of a batch: ``independent``, or ``optimal-transport``, the exact
            plan of least squared distance within the batch (of each process), which makes the paths straighter.
    """

    time_sampling: Literal["uniform", "logit-normal"] = "uniform"
    time_mean: float = 0.0
    time_std: float = Setting(default=1.0, gt=0)
    teacher: str | None = None
    teacher_steps: int = Setting(default=20, ge=1)
    coupling: Literal["independent", "optimal-transport"] = "independent"


class FlowMatching(Denoising):
    """Regression of the velocity on the straight line."""

    Settings = FlowMatchingSettings
    settings: FlowMatchingSettings

    def __init__(self, space: Space, condition_dim: int = 0, settings: BaseModel | None = None) -> None:
        super().__init__(space, condition_dim, settings, path=Straight(), prediction="velocity")
        self._teacher: tuple[Denoising, ...] = ()

    @classmethod
    def taught_by(cls, settings: BaseModel, family: str, teacher: Model) -> BaseModel:
        """The settings of a model on the pairs of ``teacher``, a model of a ``family``: as far as not set, its own.

        Raises:
            UsageError: if that model does not start from Gaussian noise, or the pairs would be torn apart.
        """
        assert isinstance(settings, FlowMatchingSettings)
        if not isinstance(teacher, Denoising) or not isinstance(teacher.prior, Normal):
            raise UsageError(
                f"{family} does not move Gaussian noise to the data, so it has no pairs for reflow; a teacher is a"
                " run of flow-matching, ot-flow-matching, edm or ddpm"
            )
        if settings.coupling != "independent":
            raise UsageError(
                f"coupling={settings.coupling} would tear the teacher's pairs apart; use flow-matching without coupling"
            )
        theirs = teacher.settings.model_dump(include=set(DenoisingSettings.model_fields))
        return cls.Settings(**{**theirs, **settings.model_dump(include=settings.model_fields_set)})

    def learn_from(self, teacher: Model) -> None:
        """Be trained on the pairs of ``teacher``, and start from its weights if the networks are alike."""
        assert isinstance(teacher, Denoising)
        self._teacher = (teacher.eval().requires_grad_(False),)
        self.start_from(teacher)

    def sample(self, draws: Draws, condition: Tensor | None = None, sampling: BaseModel | None = None) -> Tensor:
        options = self.Sampling() if sampling is None else sampling
        if self.settings.teacher is not None and "method" not in options.model_fields_set:
            options = options.model_copy(update={"method": "ddim"})
        return super().sample(draws, condition, options)

    @property
    def pairs(self) -> Pairs | None:
        return self._pairs if self._teacher else None

    def _pairs(self, draws: Draws, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        (teacher,) = self._teacher
        noise = self.prior.draw(draws, self.space.shape)
        return teacher.from_noise(noise, condition, self.settings.teacher_steps), noise

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
