"""Methods of an emulator beyond samples, densities and codes; each needs the ability of its model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import count as counter
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.arguments import checked
from pushforward.chunks import Chunks
from pushforward.conditions import Condition
from pushforward.energies import Energy, Reweighted, recorded_energy, reweight
from pushforward.ensembles import Ensemble
from pushforward.ensembles.batching import spread_at_random
from pushforward.errors import UsageError
from pushforward.evolution import Physics, evolve
from pushforward.forecasting import Forecast, forecast
from pushforward.inference import Posterior, infer
from pushforward.models import Bounded, Forecaster, Joint, Model, RandomTranslator
from pushforward.models.contract import check_samples, in_shape
from pushforward.models.latent_paths import PathName
from pushforward.randomness import Draws, Purpose, seed_for
from pushforward.runs.condition_fields import Written
from pushforward.spaces import Space

__all__ = ["SpecialVerbs", "numbers"]

_PLACES = 8
"""Places within the cells of discrete values that a bound is averaged over."""


def numbers(x: ArrayLike | Tensor, *, wide: bool = False) -> Tensor:
    """Samples, codes or states as a tensor on the CPU, float32 or, if ``wide``, float64.

    Raises:
        UsageError: if they are not an array of numbers.
    """
    dtype = torch.float64 if wide else torch.float32
    expected = "samples and codes must be arrays of numbers"
    try:
        array = x.detach().as_subclass(Tensor).cpu() if isinstance(x, Tensor) else torch.from_numpy(np.array(x))
    except (TypeError, ValueError):
        raise UsageError(expected) from None
    if array.dim() == 0:
        raise UsageError(expected)
    if array.is_complex():
        raise UsageError(f"{expected}, not complex; give real and imaginary parts as two channels")
    return array.to(dtype)


def _between(a: Float[Tensor, "n *code"], b: Float[Tensor, "n *code"], part: float) -> Float[Tensor, "n *code"]:
    """Codes part of the way from one to the other, along a great circle; along a line where they have one direction."""
    shape, a, b = a.shape, a.flatten(1), b.flatten(1)
    lengths = [each.norm(dim=1, keepdim=True).clamp(min=1e-12) for each in (a, b)]
    directions = [each / length for each, length in zip((a, b), lengths, strict=True)]
    angle = (directions[0] * directions[1]).sum(1, keepdim=True).clamp(-1, 1).acos()
    line = angle.sin() < 1e-3
    sine = torch.where(line, 1.0, angle.sin())
    first = torch.where(line, 1 - part, ((1 - part) * angle).sin() / sine)
    second = torch.where(line, part, (part * angle).sin() / sine)
    turned = first * directions[0] + second * directions[1]
    length = (1 - part) * lengths[0] + part * lengths[1]
    return torch.where(line, (1 - part) * a + part * b, length * turned).view(shape)


class SpecialVerbs:
    """Methods of an `Emulator` that translate, forecast, evolve, reweight and infer."""

    model: Model
    preprocessing: Any
    chunks: Chunks
    device: torch.device
    space: Space
    name: str
    config: Mapping[str, Any]
    _energy: Energy | None
    require: Callable[[str], None]
    _asked: Callable[..., tuple[Condition | None, int]]
    _given: Callable[..., Condition | None]
    _samples: Callable[..., Tensor]
    _each: Callable[..., Tensor]
    encode: Callable[..., Tensor]
    log_prob: Callable[..., Tensor]
    decode: Callable[..., Tensor]
    _options: Callable[..., Any]

    @checked(n=1, batch_size=1)
    def sample_and_log_prob(
        self,
        n: int,
        condition: Written | None = None,
        *,
        seed: int | None = None,
        batch_size: int | None = None,
        **sampling: Any,
    ) -> tuple[Float[Tensor, "n *shape"], Float[Tensor, " n"]]:
        """New samples with their log-density (nats, per user's unit), as `log_prob` gives it; arguments as of `sample`.

        Raises:
            UsageError: as `sample`, and if the model gives no density with its samples, or only at temperature 1.
        """
        self.require("joint")
        given, seed = self._asked(n, condition, seed)
        options = self._options(sampling, batch_size)
        # The density of a sample in network units is that of one place in its cell, and not the average over them.
        averaged = spread_at_random(self.preprocessing)
        if averaged and getattr(options, "temperature", 1.0) != 1.0:
            raise UsageError("log-densities of discrete values are known at temperature 1; leave it out, or use sample")

        def draw(draws: Draws, condition: Condition | None) -> tuple[Tensor, Tensor]:
            z, log_prob = cast(Joint, self.model).sample_and_log_prob(draws, self.chunks.encoded(condition), options)
            z = in_shape(self.model, "sample_and_log_prob", z, (draws.count, *self.space.shape))
            x = self.preprocessing.inverse(z.float(), condition)
            return x.cpu(), (log_prob + self.preprocessing.log_abs_det(x, condition)).cpu()

        parts = self.chunks.drawn(draw, n, given, seed, batch_size)
        x = check_samples(self.name, torch.cat([x for x, _ in parts]), self.space)
        return x, self.log_prob(x, given) if averaged else torch.cat([log_prob for _, log_prob in parts])

    @checked(count=1)
    def log_prob_bound(
        self, x: ArrayLike | Tensor, count: int = 64, condition: Written | None = None, *, seed: int = 0
    ) -> Float[Tensor, " n"]:
        """A bound of the log-density of samples from below, in expectation (nats; per user's unit).

        Arguments:
            x: shape ``(n, *space.shape)``, in the user's units.
            count: draws of the code for each sample; more of them bring the bound nearer to the density. Each takes
                discrete values at other places in their cells.
            condition: as of `log_prob`.
            seed: of the random numbers.

        Raises:
            UsageError: if the model has no such bound, or shapes or conditions do not fit.
        """
        self.require("bounded")
        places = min(count, _PLACES) if spread_at_random(self.preprocessing) else 1
        chunk = counter()

        def one(x: Tensor, c: Condition | None) -> Tensor:
            draws = Draws(seed_for(seed, next(chunk), Purpose.BOUNDS), len(x), device=self.device)
            found = []
            for _ in range(places):
                u = {"u": draws.uniform(*x.shape[1:])} if places > 1 else {}
                z, jacobian = self.preprocessing(x, c, **u), self.preprocessing.log_abs_det(x, c, **u)
                bound = cast(Bounded, self.model).log_prob_bound(
                    z, draws, self.chunks.encoded(c), count=max(1, count // places)
                )
                found.append(bound + jacobian)
            return torch.logsumexp(torch.stack(found), 0) - math.log(places)

        return self._each(one, self._samples(x), condition)

    @checked(steps=2)
    def interpolate(
        self,
        x: ArrayLike | Tensor,
        y: ArrayLike | Tensor,
        steps: int = 8,
        condition: Written | None = None,
        *,
        path: PathName = "spherical",
        codes: bool = False,
    ) -> Float[Tensor, "n steps *shape"]:
        """Samples between those of ``x`` and those of ``y``: codes in between, decoded, in the user's units.

        Codes turn from one to the other while their length changes evenly, since codes of samples lie near a sphere
        (White 2016, arXiv:1609.04468).

        Arguments:
            x, y: first and last samples of the ``n`` paths, shape ``(n, *space.shape)``.
            steps: samples on each path, both ends included.
            condition: of both ends and all between them.
            path: ``spherical``, or ``straight``, whose codes are nearer to the origin than those of samples.
            codes: ``x`` and ``y`` are codes, such as `encode` gives, and not samples.

        Raises:
            UsageError: if the model has no latent code, or shapes or conditions do not fit.
        """
        if steps < 2:
            raise UsageError(f"a path needs at least 2 steps, one for each end; got {steps}")
        first, last = (numbers(z) if codes else self.encode(z, condition) for z in (x, y))
        if len(first) != len(last):
            raise UsageError(f"{len(first)} ways begin and {len(last)} end; give as many ends as beginnings")
        parts = torch.linspace(0, 1, steps).tolist()
        between = torch.lerp if path == "straight" else _between
        return torch.stack([self.decode(between(first, last, part), condition) for part in parts], 1)

    @checked(n=1)
    def reweight(self, n: int, *, energy: Energy | None = None, seed: int | None = None, **sampling: Any) -> Reweighted:
        """Samples with their weights under an energy: log w = -U(x) - log q(x).

        Arguments:
            n: number of samples.
            energy: target; None: that of the run.
            seed: as of `sample`.

        Raises:
            UsageError: if the model gives no density with its samples, or there is no energy.
        """
        followed = energy if energy is not None else self.energy
        if followed is None:
            raise UsageError(f"this {self.name} has no energy of its own to reweight to; give one (energy=)")
        samples, log_prob = self.sample_and_log_prob(n, seed=seed, **sampling)
        return reweight(followed, samples, log_prob)

    @property
    def energy(self) -> Energy | None:
        """Energy that the run was trained on, or its members drawn from; None unless built in or in memory."""
        if self._energy is None:
            self._energy = recorded_energy(self.config.get("data") or {})
        return self._energy

    @checked(n=1)
    def posterior(
        self,
        observation: Any,
        n: int = 4000,
        *,
        prior: Mapping[str, Any] | None = None,
        of: str | None = None,
        tempered: Ensemble | float | None = None,
        seed: int | None = None,
    ) -> Posterior:
        """Samples of the posterior of parameters given an observation; see `inference.infer`.

        Arguments:
            observation: a condition, of a model that has learned parameters given data; one or several independent
                samples, of a model that has learned data given parameters.
            n: posterior samples.
            prior: by name of a parameter: ``(low, high)``, ``"LOW:HIGH"`` or ``"MEAN+-DEVIATION"``. The default of a
                posterior by likelihood is uniform over the range of training; the other kind has learned its prior.
            of: ``samples`` or ``conditions``, where the model could infer either.
            tempered: power of the likelihood, in (0, 1], or an ensemble whose held-out members choose it, so that
                posteriors are not too narrow where the density is wrong.
            seed: of the random numbers; a fresh one if None.

        Raises:
            UsageError: if the model can infer nothing, or the observation or the prior do not fit.
        """
        return infer(cast(Any, self), observation, n, prior=prior, of=of, tempered=tempered, seed=seed)

    @checked()
    def translate(self, x: ArrayLike | Tensor, to: str, *, seed: int = 0, **sampling: Any) -> Tensor:
        """Samples of one ensemble as members of the other, in the user's units.

        Arguments:
            x: shape ``(n, *space.shape)``.
            to: target ensemble, ``"a"`` or ``"b"``.
            seed: of the random numbers of translations that use any.
            sampling: sampling settings of the model.

        Raises:
            UsageError: if the model was not trained between two ensembles, or does not translate to that one, or there
                is no such setting.
        """
        self.require("translator")
        before, after = self.preprocessing.towards(to)
        options = self._options(sampling, None) if sampling else None
        chunk = counter()

        def one(x: Tensor, c: Condition | None) -> Tensor:
            if isinstance(self.model, RandomTranslator):
                # Another seed for each direction: the noise of the way back is not that of the way there.
                keys = seed, "ab".index(to), next(chunk), Purpose.TRANSLATION_NOISE
                draws = Draws(seed_for(*keys), len(x), device=x.device)
                return after.inverse(self.model.translate_at_random(before(x), to, draws, options))
            # A family without sampling settings need not take any.
            given = () if options is None else (options,)
            return after.inverse(cast(Any, self.model).translate(before(x), to, *given))

        return self._each(one, self._samples(x), None)

    @checked(draws=1)
    def forecast(
        self,
        x: ArrayLike | Tensor,
        times: ArrayLike | Tensor,
        condition: Written | None = None,
        *,
        draws: int = 200,
        level: float = 0.9,
        seed: int = 0,
        **options: Any,
    ) -> Forecast:
        """Forecast partly observed series, and fill their gaps, in the user's units.

        Arguments:
            x: series of any number of rows, shape ``(n, rows, columns)``: the times in column 0, if the space is timed,
                and the values, NaN if not observed.
            times: output times, shape ``(T,)`` or ``(n, T)``, in any order. A series without times of its own has its
                rows at times 0, 1, 2, ...
            condition: values of the parameters by name, rows of shape ``(n, parameters)``, or a `Condition`.
            draws: paths drawn per series.
            level: probability of the band.
            seed: of the random numbers.
            options: forecasting settings of the model.

        Raises:
            UsageError: if the model cannot forecast, or shapes, times or conditions are wrong.
        """
        self.require("forecaster")
        wide = bool(getattr(self.preprocessing, "origin", ()))
        series = numbers(x, wide=wide)
        given = self._given(condition, len(series))
        given = None if given is None else given.to(self.device)
        return forecast(
            cast(Forecaster, self.model),
            self.preprocessing,
            series.to(self.device),
            numbers(times, wide=wide).to(self.device),
            given,
            draws=draws,
            level=level,
            seeds=lambda number: seed_for(seed, number, Purpose.FORECASTS),
            **options,
        )

    @checked()
    def evolve(
        self,
        initial: ArrayLike | Tensor,
        times: ArrayLike | Tensor,
        condition: Written | None = None,
        *,
        physics: Physics = "corrected",
    ) -> Float[Tensor, "n T *state"]:
        """Evolve initial states to several times, in the user's units.

        Arguments:
            initial: shape ``(n, *space.shape[1:])``: positions, then momenta or velocities, of each particle.
            times: monotonic; the first is that of the initial states.
            condition: as in `forecast`; None for the common condition of all the data.
            physics: ``uncorrected`` omits the learnt correction, ``resolved`` omits it at a much finer resolution.

        Raises:
            UsageError: if the model cannot evolve states or correct, or shapes or times are wrong.
        """
        self.require("evolver" if physics == "corrected" else "corrected")
        states, at = numbers(initial), torch.as_tensor(np.asarray(times), dtype=torch.float64)
        if tuple(states.shape[1:]) != self.space.shape[1:]:
            raise UsageError(f"initial states have shape {tuple(states.shape)}; expected (n, *{self.space.shape[1:]})")
        given = self._given(condition, len(states))
        return evolve(
            self.model,
            states,
            at,
            None if given is None else self.chunks.encoded(given.to(self.device)),
            physics=physics,
            device=self.device,
        )
