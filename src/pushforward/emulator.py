"""An emulator: a trained model behind its preprocessing, in the user's units.

It is what `fit` returns and what a run directory holds. The model knows numbers near one, this class knows what they
mean: it turns named conditions into rows, rows into network units, and samples back into the units of the data, with

    log p(x | c) = log p_model(z | c) + log |dz/dx|,    z = preprocessing(x).

>>> emulator = Emulator.load("runs/maps")  # doctest: +SKIP
>>> emulator.sample(16, {"Omega_m": 0.3, "sigma_8": 0.8}).shape  # doctest: +SKIP
torch.Size([16, 1, 256, 256])
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles import Parameter
from pushforward.errors import UsageError
from pushforward.evolution import Physics, evolve
from pushforward.forecasting import Forecast, forecast
from pushforward.models import ABILITIES, Density, Forecaster, Latent, Model, Sampler, Translator
from pushforward.models.settings import parse_settings
from pushforward.randomness import Draws, seed_for
from pushforward.runs.condition_fields import Written, condition_of
from pushforward.runs.conditions import warn_outside
from pushforward.runs.devices import choose_device, laid_out, native_bfloat16
from pushforward.runs.directory import CONFIG, WEIGHTS
from pushforward.runs.files import save_yaml
from pushforward.runs.weights import read_trained, write_weights
from pushforward.spaces import Space
from pushforward.tensors import keep_freed_memory

__all__ = ["Emulator"]

_LACKS = {
    "sampler": "cannot sample",
    "density": "has no density, so no log_prob",
    "joint": "gives no density with its samples",
    "latent": "has no latent code",
    "translator": "cannot translate: it was not trained between two ensembles",
    "forecaster": "cannot forecast",
    "evolver": "cannot move a state in time",
    "corrected": "corrects no simulation",
}
_CHUNK_NUMBERS, _LARGEST_CHUNK = 2**19, 4096
# The last key of a seed says what it is for, so that sampling never repeats the noise of training.
_CONDITIONS, _SAMPLES = 4, 5


class Emulator:
    """A trained model in the user's units.

    Arguments:
        model: in network units.
        preprocessing: between the user's units and network units.
        name: of the model's family.
        config: the run's configuration (see `training.recipe`).
        rows: conditions of training members, shape (rows, parameters), user's units; None if unconditional.
        run: directory that it was loaded from or trained in.
        device: where it works; results are handed back on the CPU.
    """

    def __init__(
        self,
        model: Model,
        preprocessing: Any,
        *,
        name: str,
        config: Mapping[str, Any] | None = None,
        rows: NDArray[np.float32] | None = None,
        run: Path | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.model, self.preprocessing = model.to(self.device).eval(), preprocessing.to(self.device).eval()
        laid_out(self.model, model.space)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.name, self.run, self.rows = name, run, rows
        self.config = dict(config or {})
        self.space: Space = model.space
        self.parameters: tuple[Parameter, ...] = tuple(preprocessing.parameters_)
        # In the user's units: a label is one number, the index of its class.
        self.condition_space = ConditionSpace(len(self.parameters), preprocessing.condition_space.field)
        self.precision: str = self.config.get("precision", "32-true")
        self._low_precision = self.precision == "bf16-mixed" and native_bfloat16(self.device)

    @property
    def abilities(self) -> tuple[str, ...]:
        """What the model can do, of `models.ABILITIES`: ``sampler``, ``density``, ``latent``, ``translator``, ..."""
        return tuple(name for name, protocol in ABILITIES.items() if isinstance(self.model, protocol))

    @property
    def wanted(self) -> tuple[str, ...]:
        """What a sample is given with: names of parameters, and a field."""
        return (*(p.name for p in self.parameters), *(("a field",) if self.condition_space.field else ()))

    def require(self, ability: str) -> None:
        """Make sure of an ability.

        Raises:
            UsageError: if the model lacks it.
        """
        if ability not in self.abilities:
            raise UsageError(
                f"{self.name} {_LACKS[ability]}; it is a {', '.join(self.abilities)} (see `pushforward models` for "
                "others)"
            )

    def __repr__(self) -> str:
        given = f", given {', '.join(p.name for p in self.parameters)}" if self.parameters else ""
        return f"Emulator({self.name}: {self.space}{given})"

    def sample(
        self,
        n: int,
        condition: Written | None = None,
        *,
        seed: int = 0,
        batch_size: int | None = None,
        **sampling: Any,
    ) -> Float[Tensor, "n *shape"]:
        """New samples, shape ``(n, *space.shape)``, in the user's units.

        The same arguments give the same samples.

        Arguments:
            n: how many.
            condition: a value for each parameter, by name; labels by the name of their class. Without it a conditional
                emulator takes conditions at random from those of the training members. Where samples are given with a
                field: the fields, shape ``(m, channels, *grid)`` with m a divisor of n, alone or as ``"field"`` among
                the names.
            seed: of the random numbers.
            batch_size: samples made at a time; None suits the space. It changes which samples a seed gives.
            sampling: what the model lets be chosen when sampling, such as the number of steps of a solver.

        Raises:
            UsageError: for an unknown or missing parameter, class, field or sampling setting.
        """
        return self.sample_with_conditions(n, condition, seed=seed, batch_size=batch_size, **sampling)[0]

    def sample_with_conditions(
        self,
        n: int,
        condition: Written | None = None,
        *,
        seed: int = 0,
        batch_size: int | None = None,
        **sampling: Any,
    ) -> tuple[Float[Tensor, "n *shape"], NDArray[np.float32] | None]:
        """`sample`, and the conditions of the samples, shape ``(n, parameters)``; None if unconditional."""
        if n < 1:
            raise UsageError(f"{n} samples were asked for; ask for at least 1")
        given = self._given(condition, n)
        if given is None and self.condition_space.field:
            raise UsageError("these samples are conditional on a field; give one for each (condition=, --condition)")
        if given is None and self.parameters:
            if self.rows is None:
                raise UsageError(f"give a value for {', '.join(p.name for p in self.parameters)}")
            generator = np.random.default_rng(seed_for(abs(seed), 0, _CONDITIONS))
            given = Condition(torch.from_numpy(self.rows[generator.integers(len(self.rows), size=n)]))
        numbers = None if given is None or given.numbers is None else given.numbers.numpy()
        return self._sample(n, given, seed, batch_size, sampling), numbers

    def sample_at(
        self, condition: Written, *, seed: int = 0, batch_size: int | None = None, **sampling: Any
    ) -> Float[Tensor, "n *shape"]:
        """One sample at each row of conditions, in the user's units.

        Arguments:
            condition: shape ``(n, parameters)``, labels by the index of their class; or, where samples are given with a
                field, a `Condition` such as `Ensemble.take_given` gives.
        """
        if not self.wanted:
            raise UsageError(f"this {self.name} was trained without conditions; use sample(n)")
        given = cast(Condition, self._given(condition, None))
        return self._sample(len(given), given, seed, batch_size, sampling)

    def log_prob(self, x: ArrayLike | Tensor, condition: Written | None = None) -> Float[Tensor, " n"]:
        """Natural log of the density at samples in the user's units (nats; the density is per user's unit).

        Arguments:
            x: shape ``(n, *space.shape)``.
            condition: a value for each parameter by name, rows of shape ``(n, parameters)``, or a `Condition`.

        Raises:
            UsageError: if the model has no density, or shapes or conditions do not fit.
        """
        self.require("density")

        def one(x: Tensor, c: Condition | None) -> Tensor:
            z, jacobian = self.preprocessing(x, c), self.preprocessing.log_abs_det(x, c)
            return cast(Density, self.model).log_prob(z, self._code(c)) + jacobian

        return self._each(one, self._samples(x), condition)

    def encode(self, x: ArrayLike | Tensor, condition: Written | None = None) -> Tensor:
        """The latent codes of samples in the user's units.

        Raises:
            UsageError: if the model has no latent code, or shapes or conditions do not fit.
        """
        self.require("latent")

        def one(x: Tensor, c: Condition | None) -> Tensor:
            return cast(Latent, self.model).encode(self.preprocessing(x, c), self._code(c))

        return self._each(one, self._samples(x), condition)

    def decode(self, z: ArrayLike | Tensor, condition: Written | None = None) -> Float[Tensor, "n *shape"]:
        """The samples, in the user's units, that latent codes stand for.

        Raises:
            UsageError: if the model has no latent code, or conditions do not fit.
        """
        self.require("latent")

        def one(z: Tensor, c: Condition | None) -> Tensor:
            return self.preprocessing.inverse(cast(Latent, self.model).decode(z, self._code(c)), c)

        return self._each(one, _numbers(z), condition)

    def translate(self, x: ArrayLike | Tensor, to: str) -> Tensor:
        """Samples of one ensemble as members of the other, in the user's units.

        Arguments:
            x: shape ``(n, *space.shape)``.
            to: the ensemble to translate into, ``"a"`` or ``"b"``.

        Raises:
            UsageError: if the model was not trained between two ensembles.
        """
        self.require("translator")

        before, after = self.preprocessing.towards(to)

        def one(x: Tensor, c: Condition | None) -> Tensor:
            return after.inverse(cast(Translator, self.model).translate(before(x), to))

        return self._each(one, self._samples(x), None)

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
        """How series that were observed in part go on, and what lies in their gaps, in the user's units.

        Arguments:
            x: series of any number of rows, shape ``(n, rows, columns)``: the times in column 0, if the space is timed,
                and the values, NaN where nothing was observed.
            times: at which values are wanted, shape ``(T,)`` or ``(n, T)``, in any order. Without times of its own, a
                series has its rows at times 0, 1, 2, ...
            condition: a value for each parameter by name, rows of shape ``(n, parameters)``, or a `Condition`.
            draws: possible paths of each series.
            level: probability of the band.
            seed: of the random numbers.
            options: what the model lets be chosen.

        Raises:
            UsageError: if the model cannot forecast, or shapes, times or conditions do not fit.
        """
        self.require("forecaster")
        series = _numbers(x)
        return forecast(
            cast(Forecaster, self.model),
            self.preprocessing,
            series.to(self.device),
            _numbers(times).to(self.device),
            self._some(self._given(condition, len(series)), slice(None)),
            draws=draws,
            level=level,
            seeds=lambda number: seed_for(seed, number, _SAMPLES),
            **options,
        )

    def evolve(
        self,
        initial: ArrayLike | Tensor,
        times: ArrayLike | Tensor,
        condition: Written | None = None,
        *,
        physics: Physics = "corrected",
    ) -> Float[Tensor, "n T *state"]:
        """States at several times from initial states, in the user's units.

        Arguments:
            initial: shape ``(n, *space.shape[1:])``: positions, then momenta or velocities, of each particle.
            times: in one direction, the first that of the initial states.
            condition: as elsewhere; None for what all the data had in common.
            physics: ``uncorrected`` leaves out what was learnt, ``resolved`` does so at a much finer resolution.

        Raises:
            UsageError: if the model cannot move states in time or correct, or shapes or times do not fit.
        """
        self.require("evolver" if physics == "corrected" else "corrected")
        states, at = _numbers(initial), torch.as_tensor(np.asarray(times), dtype=torch.float64)
        if tuple(states.shape[1:]) != self.space.shape[1:]:
            raise UsageError(f"initial states have shape {tuple(states.shape)}; expected (n, *{self.space.shape[1:]})")
        given = self._given(condition, len(states))
        return evolve(
            self.model,
            states,
            at,
            None if given is None else self._code(given.to(self.device)),
            physics=physics,
            device=self.device,
        )

    def save(self, run: str | Path) -> None:
        """Write ``config.yaml`` and ``model.safetensors`` to a directory, which `load` reads."""
        run = Path(run)
        run.mkdir(parents=True, exist_ok=True)
        save_yaml(run / CONFIG, self.config)
        write_weights(run / WEIGHTS, self.model.state_dict(), self.preprocessing, self.rows)

    @classmethod
    def load(cls, run: str | Path, *, device: str = "auto") -> Emulator:
        """The emulator in a run directory. Nothing is unpickled.

        Raises:
            UsageError: if there is none, or its files are missing, damaged, or do not belong together.
        """
        run, chosen = Path(run), choose_device(device)
        trained = read_trained(run)
        return cls(
            trained.model,
            trained.preprocessing,
            name=trained.config["model"],
            config=trained.config,
            rows=trained.rows,
            run=run,
            device=chosen,
        )

    def _given(self, condition: Written | None, n: int | None) -> Condition | None:
        """Conditions of ``n`` samples in the user's units; None if there are none."""
        if condition is None:
            return None
        if not self.wanted:
            raise UsageError(f"this {self.name} was trained without conditions; leave the condition out")
        given = condition_of(condition, self.parameters, self.space, self.condition_space.field, n)
        if given.numbers is not None:
            warn_outside(given.numbers.numpy(), self.config.get("parameters") or ())
        return given

    def _samples(self, x: ArrayLike | Tensor) -> Tensor:
        tensor = _numbers(x)
        if tensor.dim() == 0 or tuple(tensor.shape[1:]) != self.space.shape:
            expected = ", ".join(map(str, ("n", *self.space.shape)))
            raise UsageError(f"samples have shape {tuple(tensor.shape)}; expected ({expected})")
        return tensor

    def _sample(
        self, n: int, given: Condition | None, seed: int, batch_size: int | None, sampling: Mapping[str, Any]
    ) -> Tensor:
        self.require("sampler")
        options = parse_settings(self.model.Sampling, sampling)
        if seed < 0 or (batch_size is not None and batch_size < 1):
            raise UsageError(f"seed {seed} and batch_size {batch_size}: give whole numbers, from 0 and from 1")
        chunks = []
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=self._low_precision):
            for number, part in enumerate(_parts(n, batch_size or self._chunk())):
                draws = Draws(seed_for(seed, number, _SAMPLES), part.stop - part.start, device=self.device)
                condition = self._some(given, part)
                z = cast(Sampler, self.model).sample(draws, self._code(condition), options)
                chunks.append(self.preprocessing.inverse(z.float(), condition).cpu())
        return torch.cat(chunks)

    def _each(
        self,
        function: Callable[[Tensor, Condition | None], Tensor],
        x: Tensor,
        condition: Written | None,
    ) -> Tensor:
        """A function of samples and their conditions, both in the user's units, a chunk at a time, in float32."""
        given = self._given(condition, len(x))
        if given is None and self.wanted:
            raise UsageError(f"give the conditions of the samples: {', '.join(self.wanted)}")
        with torch.no_grad():
            parts = [
                function(x[part].to(self.device), self._some(given, part)).cpu()
                for part in _parts(len(x), self._chunk())
            ]
        return torch.cat(parts)

    def _some(self, given: Condition | None, part: slice) -> Condition | None:
        return None if given is None else given[part].to(self.device)

    def _code(self, condition: Condition | None) -> Condition | None:
        """Conditions in network units."""
        return None if condition is None else self.preprocessing.encode_condition(condition)

    def _chunk(self) -> int:
        """Samples that are worked on at a time: it follows from the space alone, so that a seed says it all."""
        return max(1, min(_LARGEST_CHUNK, _CHUNK_NUMBERS // self.space.size))


def _parts(n: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def _numbers(x: ArrayLike | Tensor) -> Tensor:
    try:
        return x.detach().cpu().float() if isinstance(x, Tensor) else torch.from_numpy(np.array(x, np.float32))
    except (TypeError, ValueError):
        raise UsageError("samples and codes must be arrays of numbers") from None
