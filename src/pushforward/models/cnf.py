r"""Continuous normalizing flow: a learnt velocity field transports the data to a standard normal distribution.

Time runs from the data at t = 0 to the noise at t = 1. Along dz/dt = f(t, z | c) with z(0) = x the log-density changes
by the trace of the Jacobian (the instantaneous change of variables), so that

    log q(x | c) = log N(z(1); 0, 1) + ∫₀¹ tr ∂f/∂z dt,

and training maximises its mean over the data. Many velocities give the same density; the loss, per dimension,

    L = -log q(x) + λ_K ∫ ‖f‖² dt + λ_J ∫ ‖∂f/∂z‖²_F dt,

prefers those that are easy to integrate. The run starts with flow matching, which needs one evaluation instead of one
per stage of the solver and brings the velocity close to the straight paths from data to noise.

Sources: Chen et al. 2018 (arXiv:1806.07366), theorem 1; Grathwohl et al. 2019 (arXiv:1810.01367), equations 4 and 8;
Finlay et al. 2020 (arXiv:2002.02798), equations 11 and 12, for the penalties; Lipman et al. 2022 (arXiv:2210.02747).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import singledispatch
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, field_validator, model_validator
from pydantic import Field as Setting
from torch import Tensor

from pushforward.conditions import Condition, ConditionSpace
from pushforward.dynamics import METHODS, IntegrationError, Solution, odeint, probe
from pushforward.errors import TrainingError, UsageError
from pushforward.models.custom_networks import with_own_network
from pushforward.models.flat_velocity import WARP, FlatField, FlatVelocity
from pushforward.models.model import Batch, Model, Settings, Turn
from pushforward.models.path_integrals import PathIntegrals
from pushforward.networks import PreparedField, VectorField, time_network
from pushforward.randomness import Draws
from pushforward.spaces import Particles, Space, Vector
from pushforward.tensors.subspace import centre
from pushforward.transport import normal_of

__all__ = ["CNF"]


def _known(solver: str | None) -> str | None:
    if solver is not None and solver not in METHODS:
        raise ValueError(f"there is no solver called {solver!r}; known solvers are {', '.join(METHODS)}")
    return solver


def _adaptive(solver: str) -> bool:
    return bool(getattr(METHODS[solver], "adaptive", True))


class CNFSettings(Settings):
    """
    Attributes:
        network: ``module`` or ``module:Class`` of your own (see `networks.custom`), which receives ``width`` and
            ``depth`` if set and is added to the velocity that is right for normal data. Its exact trace costs one
            derivative per number of a sample.
        width: hidden features of the velocity's network; None follows from the space.
        depth: its hidden layers, for particles the layers of messages; None is two for vectors, four for particles.
            With one or two hidden layers the exact trace costs no more than the velocity in any dimension; with more it
            costs one evaluation of the velocity per dimension.
        waves: cosines of time in each of its modulations.
        matching: fraction of the run for flow matching before the likelihood is maximised; None is 0.6 for vectors,
            0.9 for particles. A long second part at a high learning rate can learn the errors of a fixed-step solver
            instead of the data: the logged ``kinetic`` energy then jumps and ``nll_per_dim`` falls below the
            validation value.
        trace: of the Jacobian in training: ``exact``, or Hutchinson's estimate from one random vector per solve
            (``hutchinson``); None is exact for vectors, the estimate for particles. Densities after training always use
            the exact trace.
        probe: random vectors of the estimates, ``rademacher`` signs or ``gaussian``.
        kinetic, jacobian: weights λ_K and λ_J of the penalties, which shorten and smooth the paths.
        solver, steps, tolerance: of training: ``steps`` equal steps for a fixed-step solver, else the relative and
            absolute ``tolerance``, in network units.
        gradient: through the solver's steps (``direct``), the same with few of them kept in memory (``checkpointed``),
            or by the adjoint equation (``adjoint``); the latter two for adaptive solvers.
        test_solver, test_steps, test_tolerance: the same for densities, codes and samples.
    """

    network: str | None = None
    width: int | None = Setting(default=None, ge=1)
    depth: int | None = Setting(default=None, ge=1)
    waves: int = Setting(default=8, ge=1)
    matching: float | None = Setting(default=None, ge=0, le=1)
    trace: Literal["exact", "hutchinson"] | None = None
    probe: Literal["rademacher", "gaussian"] = "rademacher"
    kinetic: float = Setting(default=0.05, ge=0)
    jacobian: float = Setting(default=0.0, ge=0)
    solver: str = "rk4"
    steps: int = Setting(default=10, ge=1)
    tolerance: float = Setting(default=1e-3, gt=0)
    gradient: Literal["direct", "checkpointed", "adjoint"] = "direct"
    test_solver: str = "tsit5"
    test_steps: int = Setting(default=50, ge=1)
    test_tolerance: float = Setting(default=1e-5, gt=0)

    _solvers = field_validator("solver", "test_solver")(_known)

    @model_validator(mode="after")
    def _gradient_of_solver(self) -> CNFSettings:
        if self.gradient != "direct" and not _adaptive(self.solver):
            raise ValueError(f"gradient={self.gradient} needs an adaptive solver, such as dopri5, not {self.solver}")
        return self


class CNFSampling(Settings):
    """
    Attributes:
        solver, steps, tolerance: of the flow from noise to samples; None: those of the model's settings.
        temperature: standard deviation of the noise; below one gives less diverse, more typical samples.
    """

    solver: str | None = None
    steps: int | None = Setting(default=None, ge=1)
    tolerance: float | None = Setting(default=None, gt=0)
    temperature: float = Setting(default=1.0, gt=0)

    _solvers = field_validator("solver")(_known)


class CNF(Model):
    """A continuous normalizing flow, with densities and codes exact to the solver's tolerance.

    Raises:
        UsageError: unless the space is a vector or particles.
    """

    Settings = CNFSettings
    Sampling = CNFSampling
    settings: CNFSettings

    # Flow-matching regressions per batch of data, each on fresh times and noise. A step then takes about as long as a
    # maximum-likelihood step, so that ``matching`` is a fraction of the run in steps as well as in seconds.
    regressions = 16

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings)
        chosen = {name: value for name, value in _phases(space).items() if getattr(self.settings, name) is None}
        self.settings = self.settings.model_copy(update=chosen)
        self.prior = normal_of(space)
        self.velocity = _velocity(space, condition, self.settings)

    @classmethod
    def settled(cls, settings: BaseModel, source: Any) -> BaseModel:
        return with_own_network(settings)

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        # The solver's error control and the trace need a higher precision than bfloat16.
        return {**_rates(space), "betas": (0.9, 0.99), "gradient_clip": 1.0, "precision": "32"}

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        batch = replace(batch, x=self._flat(batch.x))
        if batch.progress < (self.settings.matching or 0.0):
            for _ in range(self.regressions):
                yield self._matching(batch)
            return
        options, size = self.settings, self.space.size
        field = PathIntegrals(
            self.velocity.given(batch.condition),
            estimated=options.trace == "hutchinson",
            kinetic=options.kinetic > 0,
            jacobian=options.jacobian > 0,
        )
        if field.needs_probe:
            field.probe = probe(batch.x, batch.draws, options.probe)
        solution = self._solve(field, field.start(batch.x), (0.0, 1.0), training=True)
        z, volume, energy, stretch = field.parts(solution.y_end)
        nats = -(self._base(z) + volume).mean() / size
        penalty = (options.kinetic * energy + options.jacobian * stretch).mean() / size
        logs = {"nll_per_dim": nats.detach(), "evaluations": solution.stats.evaluations.float().mean()}
        if options.kinetic:
            logs["kinetic"] = energy.detach().mean()
        if options.jacobian:
            logs["jacobian"] = stretch.detach().mean()
        yield Turn("model", nats + penalty, logs)

    def _matching(self, batch: Batch) -> Turn:
        """Regression of the velocity on straight lines from data to noise: z = (1 - t) x + t ε with t = u^1.5."""
        clock = batch.draws.stratified()[:, None]
        noise = self._noise(batch.draws)
        z = torch.lerp(batch.x, noise, clock**WARP)
        target = WARP * clock ** (WARP - 1) * (noise - batch.x)
        value = self.velocity(z, clock.squeeze(1), batch.condition)
        return Turn("model", (value - target).square().mean(), {"evaluations": value.new_ones(())})

    def log_prob(self, x: Float[Tensor, "batch dim"], condition: Condition | None = None) -> Float[Tensor, " batch"]:
        """Log-density at ``x`` in nats, in network units, with the exact trace; NaN for rows with NaN."""
        return self.log_prob_at(self._flat(x), 0.0, condition)

    def log_prob_at(
        self, z: Float[Tensor, "batch dim"], time: float, condition: Condition | None = None
    ) -> Float[Tensor, " batch"]:
        """Log-density, in nats, of the transported data at a time between 0 (data) and 1 (noise)."""
        field = PathIntegrals(self.velocity.given(condition))
        z, volume, *_ = field.parts(self._solve(field, field.start(z), (time, 1.0)).y_end)
        return self._base(z) + volume

    def evaluations(self, x: Float[Tensor, "batch dim"], condition: Condition | None = None) -> Int[Tensor, " batch"]:
        """Number of evaluations of the velocity for the density at each sample."""
        field = PathIntegrals(self.velocity.given(condition))
        return self._solve(field, field.start(self._flat(x)), (0.0, 1.0)).stats.evaluations

    def sample(self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None) -> Tensor:
        options = sampling if isinstance(sampling, CNFSampling) else CNFSampling()
        noise = options.temperature * self._noise(draws)
        return self._shaped(self._solve(self.velocity.given(condition), noise, (1.0, 0.0), options).y_end)

    def sample_and_log_prob(
        self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, " batch"]]:
        """Samples and their log-density, in one solve.

        At a temperature T other than one it is the density of the flow with the base ``N(0, T²)``.
        """
        options = sampling if isinstance(sampling, CNFSampling) else CNFSampling()
        noise = self._noise(draws)
        field = PathIntegrals(self.velocity.given(condition))
        solution = self._solve(field, field.start(options.temperature * noise), (1.0, 0.0), options)
        x, volume, *_ = field.parts(solution.y_end)
        base = self._base(noise) - self.space.degrees * math.log(options.temperature)
        return self._shaped(x), base - volume

    def encode(self, x: Float[Tensor, "batch dim"], condition: Condition | None = None) -> Float[Tensor, "batch dim"]:
        """Noise of each sample, standard normal if the model is correct."""
        return self._shaped(self._solve(self.velocity.given(condition), self._flat(x), (0.0, 1.0)).y_end)

    def decode(self, z: Float[Tensor, "batch dim"], condition: Condition | None = None) -> Float[Tensor, "batch dim"]:
        """Sample of each noise vector; ``decode(encode(x)) == x`` up to the solver's tolerance."""
        return self._shaped(self._solve(self.velocity.given(condition), self._flat(z), (1.0, 0.0)).y_end)

    def _flat(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch size"]:
        """Samples as flat states; centred particles are moved to the origin."""
        return centre(self.space, x).flatten(1)

    def _noise(self, draws: Draws) -> Float[Tensor, "batch size"]:
        return self.prior.draw(draws, self.space.shape).flatten(1)

    def _base(self, z: Float[Tensor, "batch size"]) -> Float[Tensor, " batch"]:
        return self.prior.log_prob(self._shaped(z))

    def _shaped(self, z: Float[Tensor, "batch size"]) -> Float[Tensor, "batch *shape"]:
        return z.unflatten(1, self.space.shape)

    def flow(
        self,
        state: Float[Tensor, "batch dim"],
        times: Sequence[float],
        condition: Condition | None = None,
    ) -> Float[Tensor, "times batch dim"]:
        """States at monotonic times in [0, 1] of samples that are at ``state`` at the first time."""
        return self._solve(self.velocity.given(condition), state, times).y

    def _solve(
        self,
        field: PreparedField | FlatField | PathIntegrals,
        state: Tensor,
        times: Sequence[float],
        sampling: CNFSampling | None = None,
        *,
        training: bool = False,
    ) -> Solution:
        options, asked = self.settings, sampling or CNFSampling()
        t = torch.tensor(times, dtype=state.dtype, device=state.device)
        method = options.solver if training else asked.solver or options.test_solver
        if not _adaptive(method):
            steps = options.steps if training else asked.steps or options.test_steps
            # In fixed steps all samples share the times, which the field exploits.
            return odeint(lambda t, y: field(t[:1], y), state, t, method=method, steps=steps)
        tolerance = options.tolerance if training else asked.tolerance or options.test_tolerance
        try:
            return odeint(
                field,
                state,
                t,
                method=method,
                rtol=tolerance,
                atol=tolerance,
                gradient=options.gradient if training else "direct",
                parameters=field.tensors,
                rowwise=field.rowwise,
                # A sample that is not finite has neither a density nor a code.
                on_failure="raise" if training else "nan",
            )
        except IntegrationError as problem:
            if training:
                raise TrainingError(f"the flow could not be integrated: {problem}; lower the learning rate") from None
            raise UsageError(f"the flow could not be integrated: {problem}; set a larger tolerance") from None


def _velocity(space: Space, condition: ConditionSpace, settings: CNFSettings) -> VectorField | FlatVelocity:
    if settings.network is None:
        return _of_space(space, condition, settings)
    network = time_network(space, condition, network=settings.network, width=settings.width, depth=settings.depth)
    return FlatVelocity(network, space.shape)


@singledispatch
def _of_space(space: Space, condition: ConditionSpace, settings: CNFSettings) -> VectorField | FlatVelocity:
    raise UsageError(f"cnf learns vectors and particles, not a {space.kind}; flow-matching learns fields")


@_of_space.register
def _(space: Vector, condition: ConditionSpace, settings: CNFSettings) -> VectorField | FlatVelocity:
    width = settings.width or min(256, max(64, 16 * space.dim))
    return VectorField(space, condition, width, settings.depth or 2, waves=settings.waves)


@_of_space.register
def _(space: Particles, condition: ConditionSpace, settings: CNFSettings) -> VectorField | FlatVelocity:
    network = time_network(space, condition, width=settings.width or 32, depth=settings.depth or 4)
    return FlatVelocity(network, space.shape)


@singledispatch
def _phases(space: Space) -> dict[str, Any]:
    """Fraction of a run for flow matching, and the trace of the likelihood after it."""
    return {"matching": 0.6, "trace": "exact"}


@_phases.register
def _(space: Particles) -> dict[str, Any]:
    # With the exact trace, a maximum-likelihood step takes as long as hundreds of regressions.
    return {"matching": 0.9, "trace": "hutchinson"}


@singledispatch
def _rates(space: Space) -> dict[str, Any]:
    return {"learning_rate": 4e-3, "batch_size": 512}


@_rates.register
def _(space: Particles) -> dict[str, Any]:
    return {"learning_rate": 2e-3, "batch_size": 128}
