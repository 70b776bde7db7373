r"""Base of the models that learn a flow from noise to data.

At a sample z = alpha x + sigma eps of a path from data to noise, and its time, a network predicts a combination
p = a x + b eps (see `pushforward.transport.prediction`). It is trained by regression,

    loss = E_{x, eps, t} w_t || p_theta(z_t, t) - p ||^2,      w_t = (D'_t / D_t)^2,

where w optionally expresses the error in the units of another prediction. A family is a path, a prediction, the units
of its error, and a distribution of times; everything else is here, so that networks of all families share samplers,
codes and densities.

The network is added to the denoiser of a Gaussian field with the data's power spectrum (`GaussianDenoiser`), so it
learns only the non-Gaussian part. It is independent of the path: its input is z / sqrt(alpha^2 + sigma^2), of unit
variance for data of unit variance, and its clock is sigma / (alpha + sigma), the time of equal signal-to-noise ratio on
the straight line. For fields it also sees z with every wave at unit variance, so that small scales are no faint detail
of large ones, and its output is damped in waves that z shows already (`GaussianDenoiser.undecided`). Sampling, codes
and densities all use the straight line, where no coefficient is infinite.

What a network that is not trained to the end leaves wrong in P(k) and in the values of homogeneous fields, an
invertible map corrects after training (see `matched_flow`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from pydantic import BaseModel
from torch import Tensor, nn

from pushforward import transport
from pushforward.conditions import Condition, ConditionSpace
from pushforward.dynamics import trace_probes
from pushforward.errors import UsageError
from pushforward.models.custom_networks import with_own_network
from pushforward.models.denoising_networks import (
    denoising_defaults,
    network_options,
    samples_per_time,
    times_to_noise,
)
from pushforward.models.denoising_settings import DenoisingSampling, DenoisingSettings
from pushforward.models.freezing import frozen
from pushforward.models.matched_flow import MatchedFlow, Unmatched
from pushforward.models.model import Batch, Completion, Model, Turn, Watch, unwatched
from pushforward.models.stationary import is_stationary
from pushforward.networks import ResidualMLP, time_network
from pushforward.randomness import Draws
from pushforward.spaces import Field, Space
from pushforward.tensors.subspace import centre
from pushforward.transport import (
    Integrator,
    Moment,
    Noise,
    Path,
    Prediction,
    Predictor,
    Straight,
    VelocityField,
)
from pushforward.transport.path import Number
from pushforward.transport.prediction import PREDICTIONS

__all__ = ["Denoising"]


class Denoising(Model):
    """A network trained on noisy samples of a path, with samples, densities and codes.

    Arguments:
        space, condition, settings: see `Model`.
        path: of the training samples.
        prediction: the network's output.
        measured_in: prediction in whose units the squared error is measured; None: that of the output.
        prior: noise distribution of the path; None is normal noise.

    Raises:
        UsageError: if the space is neither a vector nor a field, or a setting does not belong to it.
    """

    Settings = DenoisingSettings
    Sampling = DenoisingSampling
    settings: DenoisingSettings
    takes_field = True

    # Whether z = alpha x + sigma eps with the same eps at all times, so that estimates of x and eps suffice.
    has_denoiser: ClassVar[bool] = True

    # Whether the network is told the time of the path, and no noise level that it reads off the sample.
    tells_time: ClassVar[bool] = True

    def __init__(
        self,
        space: Space,
        condition: ConditionSpace = ConditionSpace(),
        settings: BaseModel | None = None,
        *,
        path: Path,
        prediction: Prediction,
        measured_in: Prediction | None = None,
        prior: Noise | None = None,
    ) -> None:
        super().__init__(space, condition, settings)
        self.path = path
        self.prediction: Prediction = prediction
        self.measured_in: Prediction = measured_in or prediction
        self.prior = prior or transport.normal_of(space)
        self.gaussian = transport.GaussianDenoiser(space, condition)
        options = network_options(space, self.settings)
        self.sees_whitened = "in_channels" in options
        self.network = time_network(space, condition, **options)
        self.match = Unmatched()
        if is_stationary(space) and condition.field is None:
            # A training step computes the network and its gradients, which takes about three times as long.
            cost = self.Sampling().steps / 3
            self.match = MatchedFlow(cast(Field, space), condition, len(self.gaussian.raw_log_power), cost)

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        return denoising_defaults(space)

    @classmethod
    def settled(cls, settings: BaseModel, source: Any) -> BaseModel:
        """The settings, unchanged; a custom network may be in the current folder."""
        return with_own_network(settings)

    def prepare(self, batch: Batch) -> None:
        self.gaussian.initialise(batch.x)

    def completion(self, seen: int, members: int) -> Completion | None:
        return self.match.completion(seen, members)

    def complete(self, batch: Batch, seen: int, watch: Watch = unwatched) -> None:
        self.match.complete(self.sample, batch, seen, self.gaussian, watch)

    def times(self, draws: Draws) -> Float[Tensor, " batch"]:
        """Times of the training samples on the path, in [0, 1]; stratified, which lowers the variance of the loss."""
        return draws.stratified()

    def noise(self, batch: Batch) -> Float[Tensor, "batch *shape"]:
        """The noise of the training samples."""
        return self.prior.draw(batch.draws, self.space.shape)

    def effective_moment(self, z: Float[Tensor, "batch *shape"], moment: Moment) -> tuple[Moment, Number]:
        """Moment with the effective noise level passed to the network at ``z``, and its ratio to that of ``moment``."""
        return moment, 1.0

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        alike = samples_per_time(self.network, batch) if self.tells_time else 1
        t = self.times(batch.draws.shared(alike)).repeat_interleave(alike)
        moment = self.path.at(t.reshape(-1, *[1] * len(self.space.shape)))
        noise = self.noise(batch)
        z = moment.mix(batch.x, noise)
        moment, ratio = self.effective_moment(z, moment)
        noise = noise / ratio
        value = self._output(z, moment, self.withheld(batch), alike)
        error = (value - transport.target(self.prediction, batch.x, noise, moment)).square()
        if self.measured_in != self.prediction:
            error = error * transport.loss_weight(self.prediction, self.measured_in, moment)
        yield Turn("model", error.mean(), {})

    def predictor(self, condition: Condition | None = None, path: Path | None = None) -> Predictor:
        """The learnt E[x | z] and E[eps | z], for the functions of `pushforward.transport`.

        Arguments:
            condition: one row per sample, network units; None for the unconditional distribution.
            path: of the samples z, not necessarily the path of training; None: that path.

        Raises:
            UsageError: if there is no condition and the model was trained only with conditions.
        """
        self._check_told(condition)

        def predict(z: Tensor, moment: Moment) -> transport.Estimate:
            own, z = moment, centre(self.space, z)
            if path is not None and path != self.path:
                own, scale = self.path.matching(moment)
                z = scale * z
            own, ratio = self.effective_moment(z, own)
            data, noise = transport.estimate(self._output(z, own, condition), z, own, self.prediction)
            return transport.Estimate(data, noise if isinstance(ratio, float) else ratio * noise)

        return predict

    @torch.no_grad()
    def sample(self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None) -> Tensor:
        options = sampling if isinstance(sampling, DenoisingSampling) else self.Sampling()
        assert isinstance(options, DenoisingSampling)
        x = self._drawn(draws, condition, options)
        return self.match(x, self.gaussian) if options.matched else x

    def _drawn(self, draws: Draws, condition: Condition | None, options: DenoisingSampling) -> Tensor:
        """Samples of the flow alone."""
        own = options.of_the_method()
        spacing = options.spacing or ("karras" if options.method == "edm" else "uniform")
        times = transport.time_grid(Straight(), options.steps, spacing, start=self.last_time())
        if options.guidance != 1 and condition is None:
            raise UsageError(f"guidance={options.guidance:g} exaggerates a condition, but no condition was given")
        if options.method in transport.INTEGRATORS:
            w = self.prior.draw(draws, self.space.shape)
            integrator = partial(transport.INTEGRATORS[options.method], **own)
            return self._follow(times, w, condition, integrator, options.guidance)
        predict = self.predictor(condition, Straight())
        if options.guidance != 1:
            predict = transport.guided(predict, self.predictor(None, Straight()), options.guidance)
        x = transport.sample(
            predict, Straight(), times, draws, self.space.shape, method=options.method, noise=self.prior, **own
        )
        # Fresh noise need not be centred, and the estimates do not see its centre of mass.
        return centre(self.space, x)

    @torch.no_grad()
    def encode(
        self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None
    ) -> Float[Tensor, "batch *shape"]:
        """The noise from which ``x`` is sampled; distributed as the prior under the learnt distribution."""
        return self._follow(self._times_to_noise(), self.match.inverse(x, self.gaussian), condition)

    @torch.no_grad()
    def decode(
        self, z: Float[Tensor, "batch *shape"], condition: Condition | None = None
    ) -> Float[Tensor, "batch *shape"]:
        """Sample of the noise ``z``; the inverse of `encode` up to the solver's error."""
        return self.match(self._follow(self._times_to_noise()[::-1], z, condition), self.gaussian)

    @torch.no_grad()
    def log_prob(self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> Float[Tensor, " batch"]:
        """Log-density in nats, by the change of variables along the probability flow.

        The trace of the Jacobian is exact for vectors and particles of up to 64 dimensions. Otherwise the network's
        part of it is estimated with fixed vectors of random signs: unbiased over the choice of the vectors, and
        comparable between samples. Centred particles are moved to the origin first.
        """
        times = self._times_to_noise()
        (first,) = Straight().moments(times[:1])
        w = self.gaussian.whiten(self.match.inverse(x, self.gaussian), first, condition)
        w, volume = self._carried(times, w, condition)
        volume = volume + self.gaussian.log_volume(first, condition) + self.match.log_volume(x, self.gaussian)
        return self.prior.log_prob(w) + volume

    @torch.no_grad()
    def sample_and_log_prob(
        self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, " batch"]]:
        """Samples and their log-density in nats, by `decode` together with the volume.

        Raises:
            UsageError: if a sampling setting was given: steps, method and trace are those of `log_prob`.
        """
        if sampling is not None and sampling.model_fields_set:
            given = min(sampling.model_fields_set)
            raise UsageError(
                f"{given} cannot be set for samples with densities, which use the steps of log_prob; leave it out"
            )
        times = self._times_to_noise()[::-1]
        (last,) = Straight().moments(times[-1:])
        noise = self.prior.draw(draws, self.space.shape)
        w, volume = self._carried(times, noise, condition)
        x = self.match(self.gaussian.colour(w, last, condition), self.gaussian)
        volume = self.gaussian.log_volume(last, condition) + self.match.log_volume(x, self.gaussian) - volume
        return x, self.prior.log_prob(noise) + volume

    def excess(self, z: Tensor, moment: Moment, condition: Condition | None = None) -> Float[Tensor, "batch *shape"]:
        """Excess of the learnt velocity over that of the Gaussian field, at ``z`` on the straight line."""
        # The network adds s to a prediction with determinant D, hence -sigma s / D to the data, alpha s / D to
        # the noise.
        own = self.path.matching(moment)[0] if self.path != Straight() else moment
        scale = (moment.sigma_dot * own.alpha - moment.alpha_dot * own.sigma) / transport.determinant(
            self.prediction, own
        )
        return scale * self._network_at(z, moment, condition)

    def whitened_motion(self, condition: Condition | None, guidance: float = 1.0) -> VelocityField:
        """dw/dt from the learnt excess velocity; for the Gaussian field w is constant."""
        motion = self._motion_of_modes(condition, guidance)
        return lambda w, moment: self.gaussian.field(motion(self.gaussian.modes(w), moment))

    @torch.no_grad()
    def from_noise(
        self, noise: Float[Tensor, "batch *shape"], condition: Condition | None = None, steps: int = 20
    ) -> Float[Tensor, "batch *shape"]:
        """Samples of the flow alone from given noise, with one network call per step."""
        times = transport.time_grid(Straight(), steps, start=self.last_time())
        return self._follow(times, noise, condition, transport.INTEGRATORS["adams"])

    @torch.no_grad()
    def carried(
        self, z: Float[Tensor, "batch *shape"], times: list[float], condition: Condition | None = None
    ) -> Float[Tensor, "batch *shape"]:
        """Carry ``z`` between times of the straight line, from the first to the last, along the learnt flow."""
        first, last = Straight().moments([times[0], times[-1]])
        modes = self.gaussian.white_modes(z, first, condition)
        modes = transport.INTEGRATORS["rk4"](self._motion_of_modes(condition), Straight(), times, modes)
        return self.gaussian.coloured(modes, last, condition)

    def pairs_from_noise(
        self, draws: Draws, condition: Condition | None = None, steps: int = 20
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, "batch *shape"]]:
        """Samples, and the noise of each."""
        noise = self.prior.draw(draws, self.space.shape)
        return self.match(self.from_noise(noise, condition, steps), self.gaussian), noise

    def start_from(self, teacher: nn.Module) -> None:
        """Copy the weights of a trained model, if shapes and prediction are the same."""
        assert isinstance(teacher, Denoising)
        theirs, mine = teacher.state_dict(), self.state_dict()
        alike = teacher.prediction == self.prediction and theirs.keys() == mine.keys()
        if alike and all(theirs[name].shape == mine[name].shape for name in mine):
            self.load_state_dict(theirs)
            self.match.reset()

    def withheld(self, batch: Batch) -> Condition | None:
        """The conditions of a batch, with some rows withheld."""
        if batch.condition is None or not self.settings.condition_dropout:
            return batch.condition
        return batch.condition.withheld(batch.draws.uniform() < self.settings.condition_dropout)

    def last_time(self) -> float:
        """Time of the straight line at which the path ends and sampling starts."""
        return transport.equal_times([1.0], self.path, Straight())[0]

    def _follow(
        self,
        times: list[float],
        state: Tensor,
        condition: Condition | None,
        integrator: Integrator = transport.INTEGRATORS["rk4"],
        guidance: float = 1.0,
    ) -> Tensor:
        """Integrate from data to whitened noise or back, in the direction of the times."""
        first, last = Straight().moments([times[0], times[-1]])
        to_noise = times[0] < times[-1]
        modes = self.gaussian.white_modes(state, first, condition) if to_noise else self.gaussian.modes(state)
        modes = integrator(self._motion_of_modes(condition, guidance), Straight(), times, modes)
        return self.gaussian.field(modes) if to_noise else self.gaussian.coloured(modes, last, condition)

    def _motion_of_modes(self, condition: Condition | None, guidance: float = 1.0) -> VelocityField:
        """`whitened_motion` in modes of w."""
        self._check_told(condition)

        def known(z: Tensor, moment: Moment, condition: Condition | None) -> Tensor:
            return self.gaussian.combination(z, moment, (moment.alpha_dot, moment.sigma_dot), condition)

        def motion(modes: Tensor, moment: Moment) -> Tensor:
            z = self.gaussian.coloured(modes, moment, condition)
            more = self.excess(z, moment, condition)
            if guidance != 1:
                untold = self.excess(z, moment, None) + known(z, moment, None)
                more = more + (1 - guidance) * (untold - more - known(z, moment, condition))
            return self.gaussian.white_modes(more, moment, condition)

        return motion

    def _output(self, z: Tensor, moment: Moment, condition: Condition | None, alike: int = 1) -> Tensor:
        known = self.gaussian.combination(z, moment, PREDICTIONS[self.prediction](moment), condition)
        return known + self._network_at(z, moment, condition, alike)

    def _network_at(self, z: Tensor, moment: Moment, condition: Condition | None, alike: int = 1) -> Tensor:
        """The network's part of the prediction; ``alike`` consecutive samples are at the same time."""
        clock = moment.sigma / (moment.alpha + moment.sigma)
        if isinstance(clock, Tensor):
            t = clock.flatten()[::alike]
        else:
            t = z.new_full((1 if isinstance(self.network, ResidualMLP) else len(z),), clock)
        x = z / moment.norm
        if self.sees_whitened:
            x = torch.cat([x, self.gaussian.whiten(z, moment, condition)], 1)
        # Under autocast the network's output may be bfloat16, too coarse for a sum over many steps.
        found = self.network(x, t, condition).to(z.dtype)
        return self.gaussian.undecided(found, moment, condition) if self.space.grid else found

    def _check_told(self, condition: Condition | None) -> None:
        if condition is None and self.condition and not self.settings.condition_dropout:
            raise UsageError(
                f"every training sample had {self.condition}, so this model needs a condition; give one, or train "
                "with condition_dropout above 0"
            )

    def _carried(self, times: list[float], w: Tensor, condition: Condition | None) -> tuple[Tensor, Tensor]:
        """The whitened state at the last time, and the log-volume."""
        probes = trace_probes(self.space.shape, 0 if self.space.grid else 64, count=max(1, 512 // self.space.size))
        with frozen(self):
            return transport.carry(self.whitened_motion(condition), Straight(), times, w, probes.to(w))

    def _times_to_noise(self) -> list[float]:
        return times_to_noise(self.space, self.last_time())
