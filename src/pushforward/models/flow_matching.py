r"""Flow matching: the velocity of a straight line from data to noise, averaged over all lines through a point.

    z_t = (1 - t) x + t eps,      loss = E_{x, eps, t} || u_theta(z_t, t) - (eps - x) ||^2.

The minimum u(z, t) = E[eps - x | z_t = z] carries the noise at t = 1 to the data at t = 0. Time runs from data to noise
here, as for every path of the package.

With a ``teacher``, x is the teacher's sample for the noise eps: reflow. The lines between such pairs cross less, so
their flow is straighter and needs fewer steps. Its samples are no better than the teacher's.

References:
    Lipman et al. 2022, https://arxiv.org/abs/2210.02747; Liu et al. 2022, https://arxiv.org/abs/2209.03003;
    Albergo & Vanden-Eijnden 2022, https://arxiv.org/abs/2209.15571
    Tong et al. 2024, https://arxiv.org/abs/2302.00482 (optimal-transport coupling)
    Esser et al. 2024, https://arxiv.org/abs/2403.03206, section 3.1 (logit-normal times)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import torch
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor

from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles.batch import TeacherBatch
from pushforward.errors import UsageError
from pushforward.models.denoising import Denoising
from pushforward.models.denoising_settings import DenoisingSettings
from pushforward.models.model import Batch, Collate, Turn
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
        reflow: train on noise and samples of a teacher in place of the data (``--set teacher=RUN`` sets it). The
            network is then the teacher's unless set, and samples are drawn by ``ddim``, Euler's method along straight
            lines, unless another method is set.
        teacher_steps: of the teacher's sampler, one network call each.
        coupling: pairing of noise and data within a batch: ``independent``, or ``optimal-transport``, the exact plan of
            least squared distance within the batch (of each process), which makes the paths straighter.
    """

    time_sampling: Literal["uniform", "logit-normal"] = "uniform"
    time_mean: float = 0.0
    time_std: float = Setting(default=1.0, gt=0)
    reflow: bool = False
    teacher_steps: int = Setting(default=20, ge=1)
    coupling: Literal["independent", "optimal-transport"] = "independent"


class FlowMatching(Denoising):
    """Regression of the velocity on the straight line."""

    Settings = FlowMatchingSettings
    settings: FlowMatchingSettings

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings, path=Straight(), prediction="velocity")

    @classmethod
    def settled(cls, settings: BaseModel, source: Any) -> BaseModel:
        """Settings completed by those of the teacher, if the source is one.

        Raises:
            UsageError: if the teacher does not start from Gaussian noise, or the coupling would break its pairs.
        """
        settings = super().settled(settings, source)
        assert isinstance(settings, FlowMatchingSettings)
        if source.kind != "teacher":
            return settings
        if not isinstance(source.model, Denoising) or not isinstance(source.model.prior, Normal):
            raise UsageError(
                f"{source.family} does not move Gaussian noise to the data, so it has no pairs for reflow; use a run of"
                " flow-matching, ot-flow-matching, edm or ddpm as the teacher"
            )
        if settings.coupling != "independent":
            raise UsageError(
                f"coupling={settings.coupling} would break the teacher's pairs; use flow-matching without coupling"
            )
        theirs = source.model.settings.model_dump(include=set(DenoisingSettings.model_fields))
        return cls.Settings(**{**theirs, **settings.model_dump(include=settings.model_fields_set), "reflow": True})

    def prepare(self, batch: Batch) -> None:
        super().prepare(batch)
        if isinstance(batch, TeacherBatch):
            self.start_from(batch.teacher)

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        return super().turns(self._pairs(batches) if self.settings.reflow else batches)

    def _pairs(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Batches of the teacher's samples and their noise, in place of the data."""
        for batch in batches:
            assert isinstance(batch, TeacherBatch)
            pair = batch.pairs(self.settings.teacher_steps)
            yield replace(batch, x=pair.x, condition=pair.condition, noise=pair.noise)

    def sample(self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None) -> Tensor:
        options = self.Sampling() if sampling is None else sampling
        if self.settings.reflow and "method" not in options.model_fields_set:
            options = options.model_copy(update={"method": "ddim"})
        return super().sample(draws, condition, options)

    def times(self, draws: Draws) -> Tensor:
        uniform = draws.stratified()
        if self.settings.time_sampling == "uniform":
            return uniform
        # The open interval: the normal quantile of 0 is infinite.
        normal = torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))
        return torch.sigmoid(self.settings.time_mean + self.settings.time_std * normal)

    @property
    def collate(self) -> Collate | None:
        return self._coupled if self.settings.coupling == "optimal-transport" else None

    def _coupled(self, batch: Batch) -> Batch:
        noise = self.prior.draw(batch.draws, self.space.shape).to(batch.x)
        given = None if batch.condition is None else batch.condition.flat()
        return replace(batch, noise=optimal_transport(batch.x, noise, given))

    def noise(self, batch: Batch) -> Tensor:
        if batch.noise is None and self.collate is not None:
            batch = self.collate(batch)
        return super().noise(batch) if batch.noise is None else batch.noise
