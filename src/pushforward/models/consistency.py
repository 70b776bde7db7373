r"""Consistency models: the end of the flow in one or two calls.

On the straight line, and for the whitened state w that is constant for a Gaussian field (see `GaussianDenoiser`), the
end of the flow from time t is

    f(z, t) = colour_0(w - t whiten_t(s(z, t))),      w = whiten_t(z),

where s is the mean velocity from t to the end, in excess of the Gaussian field's. At t = 0 this is z for any s: the
boundary condition of Song et al. holds exactly, by a skip connection that is the end of the flow for Gaussian data; for
white data it is their preconditioning with c_skip = 1 / sqrt((1 - t)^2 + t^2). Taken for s, the velocity at t itself,
as learnt by flow matching, gives one step of Euler's method, exact to first order in t. So training starts from such a
network and turns its velocity into a mean velocity, by regression on

    s* = colour_t(w_t - w_0) / t,      w_0 = whiten_0(stopgrad f(z_u, u)),      u < t.

With a ``teacher``, the teacher's flow carries z_t to z_u: distillation. Without, the first part of a run trains the
network as its family does, and the rest distils the learnt flow; or, with ``tuning=data``, compares z_t and z_u of the
same data and noise at levels that move closer together: consistency training, which needs no flow, but many more steps,
because each comparison is as noisy as a single pair.

References:
    Song et al. 2023, https://arxiv.org/abs/2303.01469; Song & Dhariwal 2023, https://arxiv.org/abs/2310.14189 Geng et
    al. 2024, https://arxiv.org/abs/2406.14548; Geng et al. 2025, https://arxiv.org/abs/2505.13447 (mean velocity)
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ValidationError, ValidationInfo, field_validator
from pydantic import Field as Setting
from torch import Tensor, nn

from pushforward import transport
from pushforward.conditions import Condition, ConditionSpace
from pushforward.dynamics import shared_step
from pushforward.dynamics.tableau import HEUN
from pushforward.ensembles.batch import TeacherBatch
from pushforward.errors import UsageError
from pushforward.models.denoising import Denoising
from pushforward.models.denoising_settings import DenoisingSettings
from pushforward.models.model import Batch, Collate, Model, Settings, Turn
from pushforward.models.registry import model_class
from pushforward.randomness import Draws
from pushforward.spaces import Space
from pushforward.transport import Moment, Straight

__all__ = ["Consistency"]


class ConsistencySettings(DenoisingSettings):
    """
    Attributes:
        distilled: distil a teacher's flow (``--set teacher=RUN`` sets it). Family and network are then the teacher's
            unless set.
        family: gives the network, path and noise, and the loss of the first part.
        family_settings: further settings of that family, by name.
        pretraining: fraction of a run without a teacher that trains the family's loss.
        tuning: training in the rest of the run: ``flow`` distils the flow learnt in the first part, with averaged
            weights; ``data`` is consistency training.
        levels: number of noise levels, of which neighbours are compared; with ``tuning=data``, at the end of training.
            None is 8 along a flow and 64 without.
        softness: of the loss, in units of the velocity: smaller errors enter quadratically.
        solver_steps: of Heun's method along the teacher's flow, from one level to the next.
    """

    distilled: bool = False
    family: str = "flow-matching"
    family_settings: dict[str, Any] = Setting(default_factory=dict, validate_default=True)
    pretraining: float = Setting(default=0.5, ge=0, lt=1)
    tuning: Literal["flow", "data"] = "flow"
    levels: int | None = Setting(default=None, ge=2)
    softness: float = Setting(default=1.0, ge=0)
    solver_steps: int = Setting(default=1, ge=1)

    @field_validator("family")
    @classmethod
    def _known(cls, family: str) -> str:
        if not _has_denoiser(model_class(family)):
            raise ValueError(f"{family} has no denoiser; edm, ddpm, flow-matching, pfgm++ have")
        return family

    @field_validator("family_settings")
    @classmethod
    def _of_the_family(cls, values: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "family" in info.data:
            known = model_class(info.data["family"]).Settings
            try:
                known(**values)
            except ValidationError as problem:
                error = problem.errors()[0]
                raise ValueError(f"{'.'.join(map(str, error['loc']))}: {error['msg']}") from None
        return values


class ConsistencySampling(Settings):
    """
    Attributes:
        steps: network calls; each after the first adds fresh noise to the samples and removes it again.
    """

    steps: int = Setting(default=2, ge=1)


class Consistency(Model):
    """A network for the end of the flow of another family.

    Arguments:
        space, condition, settings: see `Model`.

    Raises:
        UsageError: as the family.
    """

    Settings = ConsistencySettings
    Sampling = ConsistencySampling
    settings: ConsistencySettings
    takes_field = True

    # Power of the average of the weights, as for a width of 0.1 in `training.averaging`.
    forgetting = 7.9
    learnt: Tensor
    steps: Tensor

    # Below this time of the straight line, data and noisy data are equal in single precision.
    first_time = 1e-3

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings)
        options = self.settings
        kind = model_class(options.family)
        own = {name: getattr(options, name) for name in DenoisingSettings.model_fields}
        body = kind(space, condition, kind.Settings(**{**own, **options.family_settings}))
        assert isinstance(body, Denoising)
        self.body = body
        # in a tuple, so that it is not registered as a submodule
        self._learnt: tuple[Denoising, ...] = ()
        if not options.distilled and options.tuning == "flow":
            self.register_buffer("learnt", _joined(body))
            self.register_buffer("steps", torch.zeros(()))

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        return Denoising.training_defaults_for(space)

    @classmethod
    def settled(cls, settings: BaseModel, source: Any) -> BaseModel:
        """Settings completed by those of the teacher, if the source is one.

        Raises:
            UsageError: if the teacher has no denoiser.
        """
        settings = Denoising.settled(settings, source)
        assert isinstance(settings, ConsistencySettings)
        if source.kind != "teacher":
            return settings
        teacher, family = source.model, source.family
        if not isinstance(teacher, Denoising) or not teacher.has_denoiser:
            raise UsageError(
                f"{family} has no denoiser to distil; a teacher is a run of flow-matching, edm, ddpm, pfgm++ or another"
                " model that learns to remove noise"
            )
        if getattr(teacher.settings, "reflow", False):
            raise UsageError(f"this {family} was trained on the pairs of another model; distil that one")
        given = settings.model_dump(include=settings.model_fields_set)
        if given.get("family", family) != family:
            raise UsageError(f"the teacher is {family}, so family={given['family']} cannot be used; leave it out")
        theirs = teacher.settings.model_dump(exclude={"reflow", "teacher_steps"})
        shared = {name: theirs.pop(name) for name in DenoisingSettings.model_fields}
        # At pure noise, where a student starts, its network does not determine the data.
        theirs |= {"prediction": "v"} if theirs.get("prediction") == "noise" else {}
        return cls.Settings(**{"family": family, "family_settings": theirs, **shared, **given, "distilled": True})

    @property
    def collate(self) -> Collate | None:
        return self.body.collate

    def prepare(self, batch: Batch) -> None:
        self.body.prepare(batch)
        if isinstance(batch, TeacherBatch):
            self.body.start_from(batch.teacher)

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        options = self.settings
        start = 0.0 if options.distilled else options.pretraining
        if batch.progress < start:
            yield from self.body.turns(iter((batch,)))
            if options.tuning == "flow":
                self._remember()
            return
        yield Turn("model", self._loss(batch, (batch.progress - start) / (1 - start)), {})

    def _followed(self, batch: Batch) -> Denoising | None:
        """The model whose flow is distilled: the teacher, or the network of the first part of the run."""
        if isinstance(batch, TeacherBatch):
            assert isinstance(batch.teacher, Denoising)
            return batch.teacher
        if self.settings.tuning == "data":
            return None
        if not self._learnt:
            self._learnt = (self._remembered(),)
        return self._learnt[0]

    @torch.no_grad()
    def _remember(self) -> None:
        """Average the weights over about the last tenth of the training so far."""
        self.steps += 1
        kept = (1 - 1 / self.steps) ** self.forgetting
        self.learnt.lerp_(_joined(self.body), 1 - kept)

    @torch.no_grad()
    def _remembered(self) -> Denoising:
        known = deepcopy(self.body)
        if self.steps > 0:
            parts = self.learnt.split([p.numel() for p in known.parameters()])
            for parameter, part in zip(known.parameters(), parts, strict=True):
                parameter.copy_(part.view(parameter.shape))
        return known.eval().requires_grad_(False)

    def _loss(self, batch: Batch, progress: float) -> Tensor:
        options = self.settings
        uniform = batch.draws.stratified().reshape(-1, *[1] * len(self.space.shape))
        t = self.first_time + (self.body.last_time() - self.first_time) * uniform
        noise, condition = self.body.noise(batch), self.body.withheld(batch)
        followed = self._followed(batch)
        levels = options.levels or (8 if followed else 64)
        # The widest steps would undo the initial velocity of the flow.
        levels = levels if followed else min(8, levels) * (levels / min(8, levels)) ** progress
        now, then = Straight().at(t), Straight().at(transport.earlier(t, levels))
        z = now.mix(batch.x, noise)
        with torch.no_grad():
            if followed is not None:
                before = self._carried(followed, z, now, then, condition)
            else:
                before = then.mix(batch.x, noise)
            gaussian = self.body.gaussian
            moved = gaussian.whiten(z, now, condition) - self._code(before, then, condition)
            target = gaussian.colour(moved, now, condition) / t
        error = self.body.excess(z, now, condition) - target
        # A narrower step shows a smaller part of the error; this weight makes its correction equally large.
        weight = (t / (t - then.time)).flatten()
        return (weight * transport.pseudo_huber(error, options.softness)).mean()

    def _carried(self, teacher: Denoising, z: Tensor, now: Moment, then: Moment, condition: Condition | None) -> Tensor:
        """Carry ``z`` along the teacher's flow, by Heun's method in its whitened state."""
        motion = teacher.whitened_motion(condition)
        w, steps = teacher.gaussian.whiten(z, now, condition), self.settings.solver_steps
        step = (then.time - now.time) / steps
        for number in range(steps):
            moments = [Straight().at(now.time + (number + c) * step) for c in HEUN.c]
            w, _ = shared_step(HEUN, motion, w, step, moments)
        return teacher.gaussian.colour(w, then, condition)

    def end(
        self,
        z: Float[Tensor, "batch *shape"],
        moment: Moment,
        condition: Condition | None = None,
    ) -> Float[Tensor, "batch *shape"]:
        """f(z, t), the data at the end of the flow through ``z`` at a moment of the straight line."""
        return self.body.gaussian.colour(self._code(z, moment, condition), _DATA, condition)

    def _code(self, z: Tensor, moment: Moment, condition: Condition | None) -> Tensor:
        """The whitened data at the end of the flow."""
        gaussian = self.body.gaussian
        mean = self.body.excess(z, moment, condition)
        return gaussian.whiten(z, moment, condition) - moment.time * gaussian.whiten(mean, moment, condition)

    @torch.no_grad()
    def sample(self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None) -> Tensor:
        options = sampling if isinstance(sampling, ConsistencySampling) else self.Sampling()
        assert isinstance(options, ConsistencySampling)
        # equal steps of t^2: a call with little fresh noise would correct little
        times = [self.body.last_time() * (1 - i / options.steps) ** 0.5 for i in range(options.steps)]
        return transport.multistep(
            lambda z, moment: self.end(z, moment, condition),
            Straight(),
            times,
            draws,
            self.space.shape,
            noise=self.body.prior,
        )


(_DATA,) = Straight().moments([0.0])


def _joined(module: nn.Module) -> Tensor:
    """All weights of a module in one vector; memory formats of convolutions may differ."""
    return torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()])


def _has_denoiser(kind: type[Model]) -> bool:
    return issubclass(kind, Denoising) and kind.has_denoiser
