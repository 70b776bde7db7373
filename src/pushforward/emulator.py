"""Emulator: a trained model with its preprocessing, in the user's units.

`fit` returns it and a run directory holds it. The model works in network units, of order one; the emulator converts
named conditions to rows, rows to network units, and samples back to the units of the data, with

    log p(x | c) = log p_model(z | c) + log |dz/dx|,    z = preprocessing(x).

>>> emulator = Emulator.load("runs/maps")  # doctest: +SKIP
>>> emulator.sample(16, {"Omega_m": 0.3, "sigma_8": 0.8}).shape  # doctest: +SKIP
torch.Size([16, 1, 256, 256])
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pushforward.arguments import checked
from pushforward.chunks import Chunks
from pushforward.conditions import Condition, ConditionSpace
from pushforward.emulator_pictures import picture
from pushforward.emulator_verbs import SpecialVerbs, numbers
from pushforward.energies import Energy
from pushforward.ensembles import Parameter
from pushforward.ensembles.batching import spread_at_random
from pushforward.ensembles.learnt_gaps import LearntGaps
from pushforward.errors import UsageError
from pushforward.models import ABILITIES, LACKING, Density, Latent, Model, Sampler
from pushforward.models.contract import check_samples, in_shape
from pushforward.models.settings import parse_settings
from pushforward.randomness import Draws, Purpose, seed_for, uniform_from
from pushforward.runs.condition_fields import Written, condition_of
from pushforward.runs.conditions import warn_outside
from pushforward.runs.curves import training_curves
from pushforward.runs.devices import choose_device, laid_out, native_bfloat16
from pushforward.runs.directory import CONFIG, METRICS, WEIGHTS
from pushforward.runs.files import save_yaml
from pushforward.runs.weights import read_trained, write_weights
from pushforward.spaces import Space
from pushforward.tensors import keep_freed_memory
from pushforward.tensors.samples import Samples

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Emulator"]

_PLACES = 8
"""Positions within the cells of discrete values over which a density is averaged."""
_DENSITIES = ("density", "joint")


class Emulator(SpecialVerbs):
    """A trained model in the user's units.

    Arguments:
        model: in network units.
        preprocessing: between the user's units and network units.
        name: of the model's family.
        config: the run's configuration (see `training.recipe`).
        rows: conditions of training members, shape (rows, parameters), user's units; None if unconditional.
        run: directory that it was loaded from or trained in.
        energy: energy that the model was trained on, if any.
        device: of the model; results are returned on the CPU.
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
        energy: Energy | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.model, self.preprocessing = model.to(self.device).eval(), preprocessing.to(self.device).eval()
        laid_out(self.model, model.space)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.name, self.run, self.rows = name, run, rows
        self.config, self._energy = dict(config or {}), energy
        self.space: Space = model.space
        self.parameters: tuple[Parameter, ...] = tuple(preprocessing.parameters_)
        # In the user's units: a label is one number, the index of its class.
        self.condition_space = ConditionSpace(len(self.parameters), preprocessing.condition_space.field)
        self.precision: str = self.config.get("precision", "32-true")
        low = self.precision == "bf16-mixed" and native_bfloat16(self.device)
        self.chunks = Chunks(self.model, self.preprocessing, self.device, low_precision=low)
        self.seed: int | None = None

    @property
    def abilities(self) -> tuple[str, ...]:
        """Abilities of the model that its data allow, from `models.ABILITIES`: ``sampler``, ``density``, ..."""
        impossible = set(_DENSITIES if self._relations else ())
        if not hasattr(self.preprocessing, "towards"):
            impossible.add("translator")
        if self.space.kind != "trajectory":
            impossible |= {"evolver", "corrected"}
        able = (name for name, protocol in ABILITIES.items() if isinstance(self.model, protocol))
        return tuple(name for name in able if name not in impossible)

    @property
    def _relations(self) -> int:
        """Number of exact linear relations that samples obey; with any, they have no density."""
        return getattr(self.preprocessing, "relations", 0)

    @property
    def wanted(self) -> tuple[str, ...]:
        """Conditions of a sample: names of parameters, and a field."""
        return (*(p.name for p in self.parameters), *(("a field",) if self.condition_space.field else ()))

    @property
    def missing(self) -> dict[str, Any] | None:
        """Treatment of missing values in training, for `read(..., missing=)` of further data; None if there is none."""
        return (self.config.get("data") or {}).get("missing")

    def require(self, ability: str) -> None:
        """Raise unless the model has an ability.

        Raises:
            UsageError: if the model lacks it.
        """
        if ability in _DENSITIES and self._relations and isinstance(self.model, ABILITIES[ability]):
            raise UsageError(
                f"values of these data obey {self._relations} exact linear relations (a centre of mass at zero, say), "
                f"so they have no density in {self.space.size} dimensions; leave out as many of the values"
            )
        if ability not in self.abilities:
            able = ", ".join(self.abilities) or "none"
            raise UsageError(
                f"{self.name} {LACKING[ability]}; its abilities are: {able} (see `pushforward models` for others)"
            )

    def __repr__(self) -> str:
        given = f", given {', '.join(p.name for p in self.parameters)}" if self.parameters else ""
        return f"Emulator({self.name}: {self.space}{given})"

    @checked(n=1, batch_size=1)
    def sample(
        self,
        n: int,
        condition: Written | None = None,
        *,
        seed: int | None = None,
        batch_size: int | None = None,
        **sampling: Any,
    ) -> Float[Tensor, "n *shape"]:
        """New samples, shape ``(n, *space.shape)``, in the user's units. They know their space and box (`Samples`).

        Arguments:
            n: number of samples.
            condition: values of the parameters by name; labels by the name of their class. Without it a conditional
                emulator draws conditions at random from those of the training members. If the condition has a
                field: the fields, shape ``(m, channels, *grid)`` with m a divisor of n, alone or as ``"field"``
                among the names.
            seed: of the random numbers: the same arguments give the same samples. None draws a new one, stored in the
                attribute ``seed``.
            batch_size: samples per batch; None suits the space. It changes which samples a seed gives.
            sampling: sampling settings of the model, such as the number of solver steps.

        Raises:
            UsageError: for an unknown or missing parameter, class, field or sampling setting; if no sample is finite
                (if only some are not, there is a warning).
        """
        drawn = self.sample_with_conditions(n, condition, seed=seed, batch_size=batch_size, **sampling)[0]
        return Samples.of(drawn, self.space)

    @checked(n=1, batch_size=1)
    def sample_with_conditions(
        self,
        n: int,
        condition: Written | None = None,
        *,
        seed: int | None = None,
        batch_size: int | None = None,
        **sampling: Any,
    ) -> tuple[Float[Tensor, "n *shape"], NDArray[np.float32] | None]:
        """Samples and their conditions, shape ``(n, parameters)``, None if unconditional; arguments as of `sample`."""
        given, seed = self._asked(n, condition, seed)
        numbers = None if given is None or given.numbers is None else given.numbers.numpy()
        return self._draw(n, given, seed, batch_size, sampling), numbers

    def _asked(self, n: int, condition: Written | None, seed: int | None) -> tuple[Condition | None, int]:
        """The conditions of ``n`` new samples, and the seed of the random numbers."""
        seed, given = self._seeded(seed), self._given(condition, n)
        if given is None and self.condition_space.field:
            raise UsageError("these samples are conditional on a field; give one per sample (condition=, --condition)")
        if given is None and self.parameters:
            if self.rows is None:
                raise UsageError(f"give a value for {', '.join(p.name for p in self.parameters)}")
            generator = np.random.default_rng(seed_for(seed, 0, Purpose.CONDITIONS))
            given = Condition(torch.from_numpy(self.rows[generator.integers(len(self.rows), size=n)]))
        return given, seed

    @checked(batch_size=1)
    def sample_at(
        self, condition: Written, *, seed: int | None = None, batch_size: int | None = None, **sampling: Any
    ) -> Float[Tensor, "n *shape"]:
        """One sample per row of conditions, in the user's units.

        Arguments:
            condition: shape ``(n, parameters)``, labels as class indices; or, if the condition has a field, a
                `Condition` as from `Ensemble.take_given`.
        """
        if not self.wanted:
            raise UsageError(f"this {self.name} was trained without conditions; use sample(n)")
        given = cast(Condition, self._given(condition, None))
        return self._draw(len(given), given, self._seeded(seed), batch_size, sampling)

    def log_prob(self, x: ArrayLike | Tensor, condition: Written | None = None) -> Float[Tensor, " n"]:
        """Log-density of samples in the user's units (nats; the density is per user's unit).

        For discrete values it is, in expectation, a lower bound on the log-probability: the logarithm of the density
        averaged over 8 positions in the cell of each value, uniform ones (see `ensembles.levels`) or, with a learned
        density, its importance samples (see `models.dequantisation`). Minus infinity outside of the data's support, NaN
        where values are missing.

        Arguments:
            x: shape ``(n, *space.shape)``.
            condition: values of the parameters by name, rows of shape ``(n, parameters)``, or a `Condition`.

        Raises:
            UsageError: if the model has no density, or shapes or conditions are wrong.
        """
        self.require("density")

        def at(x: Tensor, c: Condition | None, **places: Tensor) -> Tensor:
            z, jacobian = self.preprocessing(x, c, **places), self.preprocessing.log_abs_det(x, c, **places)
            log_prob = cast(Density, self.model).log_prob(z, self.chunks.encoded(c))
            return in_shape(self.model, "log_prob", log_prob, (len(x),)) + jacobian

        def one(x: Tensor, c: Condition | None) -> Tensor:
            if not spread_at_random(self.preprocessing):
                return at(x, c)
            z, encoded = self.preprocessing(x, c), self.chunks.encoded(c)
            found = []
            for uniform in uniform_from(x, _PLACES):
                u, log_density = self.model.places(z, uniform, encoded)
                found.append(at(x, c, u=u) - log_density)
            return torch.stack(found).logsumexp(0) - math.log(_PLACES)

        return self._each(one, self._samples(x), condition)

    def encode(self, x: ArrayLike | Tensor, condition: Written | None = None) -> Tensor:
        """Latent codes of samples in the user's units.

        Raises:
            UsageError: if the model has no latent code, or shapes or conditions are wrong.
        """
        self.require("latent")

        def one(x: Tensor, c: Condition | None) -> Tensor:
            return cast(Latent, self.model).encode(self.preprocessing(x, c), self.chunks.encoded(c))

        return self._each(one, self._samples(x), condition)

    def decode(self, z: ArrayLike | Tensor, condition: Written | None = None) -> Float[Tensor, "n *shape"]:
        """Samples, in the user's units, of latent codes.

        Raises:
            UsageError: if the model has no latent code, or conditions are wrong.
        """
        self.require("latent")

        def one(z: Tensor, c: Condition | None) -> Tensor:
            x = cast(Latent, self.model).decode(z, self.chunks.encoded(c))
            return self.preprocessing.inverse(in_shape(self.model, "decode", x, (len(z), *self.space.shape)), c)

        codes = numbers(z)
        try:
            return self._each(one, codes, condition)
        except (IndexError, RuntimeError) as problem:
            if isinstance(problem, torch.OutOfMemoryError):
                raise
            raise UsageError(f"codes have shape {tuple(codes.shape)}; give codes of the shape from encode") from None

    @property
    def losses(self) -> pd.DataFrame:
        """Training log: one row per logged step, one column per quantity (``model/loss``, ...).

        Raises:
            UsageError: if there is no run, or its ``metrics.jsonl`` is missing.
        """
        return training_curves(self.run)

    @checked(n=1)
    def plot(self, n: int | None = None, condition: Written | None = None, *, seed: int = 0) -> Figure:
        """A figure of the training curves, where there are any, and of fresh samples.

        Arguments:
            n: samples to draw; as many as suit their kind where None.
            condition, seed: as of `sample`.
        """
        if n is None:
            n = 1000 if self.space.kind == "vector" else 9
        samples = self.sample(n, condition, seed=seed).numpy()
        curves = self.losses if self.run is not None and (self.run / METRICS).exists() else None
        return picture(self.space, samples, curves, f"{len(samples)} samples of {self.name}")

    @checked()
    def save(self, run: str | Path) -> None:
        """Write ``config.yaml`` and ``model.safetensors`` to a directory, which `load` reads."""
        run = Path(run)
        run.mkdir(parents=True, exist_ok=True)
        save_yaml(run / CONFIG, self.config)
        write_weights(run / WEIGHTS, self.model.state_dict(), self.preprocessing, self.rows)

    @classmethod
    @checked()
    def load(cls, run: str | Path, *, device: str = "auto") -> Emulator:
        """Load the emulator in a run directory, without unpickling anything.

        Raises:
            UsageError: if there is none, or its files are missing, damaged, or inconsistent.
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
        tensor = numbers(x, wide=bool(getattr(self.preprocessing, "origin", ())))
        if self.missing and tensor.dim() > 1:
            tensor = LearntGaps.of(self.missing).filled(tensor, self.space)
        if tensor.dim() == 0 or tuple(tensor.shape[1:]) != self.space.shape:
            expected = ", ".join(map(str, ("n", *self.space.shape)))
            raise UsageError(f"samples have shape {tuple(tensor.shape)}; expected ({expected})")
        return tensor

    def _seeded(self, seed: int | None) -> int:
        """The seed, a new one if none was given; stored in ``seed``."""
        self.seed = secrets.randbits(31) if seed is None else seed
        return self.seed

    def _draw(
        self, n: int, given: Condition | None, seed: int, batch_size: int | None, sampling: Mapping[str, Any]
    ) -> Tensor:
        self.require("sampler")
        options = self._options(sampling, batch_size)

        def draw(draws: Draws, condition: Condition | None) -> Tensor:
            z = cast(Sampler, self.model).sample(draws, self.chunks.encoded(condition), options)
            z = in_shape(self.model, "sample", z, (draws.count, *self.space.shape))
            return self.preprocessing.inverse(z.float(), condition).cpu()

        return check_samples(self.name, torch.cat(self.chunks.drawn(draw, n, given, seed, batch_size)), self.space)

    def _options(self, sampling: Mapping[str, Any], batch_size: int | None) -> Any:
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"batch_size is {batch_size}; give a whole number from 1")
        return parse_settings(self.model.Sampling, sampling)

    def _each(
        self, function: Callable[[Tensor, Condition | None], Tensor], x: Tensor, condition: Written | None
    ) -> Tensor:
        """Values of a function of samples and their conditions, both in the user's units."""
        given = self._given(condition, len(x))
        if given is None and self.wanted:
            raise UsageError(f"give the conditions of the samples: {', '.join(self.wanted)}")
        return self.chunks.each(function, x, given)
