"""Abilities of models, one protocol each. Callers ask for the ability, never for the class:

>>> isinstance(model, Density)  # doctest: +SKIP
True

Samples, times and conditions are in network units (see `Preprocessing`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel
from torch import Tensor

from pushforward.conditions import Condition
from pushforward.randomness import Draws

__all__ = [
    "ABILITIES",
    "LACKING",
    "Bounded",
    "Corrected",
    "Density",
    "Evolver",
    "Forecaster",
    "Joint",
    "Latent",
    "RandomTranslator",
    "Reweightable",
    "Sampler",
    "Translator",
    "ends_of",
]


@runtime_checkable
class Sampler(Protocol):
    """A model that draws samples."""

    def sample(self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None) -> Tensor:
        """Samples, shape ``(draws.count, *space.shape)``.

        Arguments:
            draws: source of randomness; its count is the number of samples.
            condition: one row per sample.
            sampling: an instance of the model's `Sampling`; None for the defaults.
        """
        ...


@runtime_checkable
class Density(Protocol):
    """A model with a normalised log-density."""

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Natural log of the density at ``x`` (batch, *space.shape); shape ``(batch,)``, nats."""
        ...


@runtime_checkable
class Bounded(Protocol):
    """A model that bounds its log-density from below."""

    def log_prob_bound(self, x: Tensor, draws: Draws, condition: Condition | None = None, *, count: int = 64) -> Tensor:
        """A number per sample (batch, *space.shape) whose expectation lies below its log-density, nats.

        Arguments:
            draws: source of randomness; its count is that of the samples.
            count: draws for each sample; more of them bring the bound nearer.
        """
        ...


@runtime_checkable
class Joint(Protocol):
    """A model that draws samples together with their log-density."""

    def sample_and_log_prob(
        self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None
    ) -> tuple[Tensor, Tensor]:
        """Samples ``(draws.count, *space.shape)`` and their log-densities ``(draws.count,)``, nats."""
        ...


@runtime_checkable
class Reweightable(Joint, Protocol):
    """A model whose samples can be reweighted to an unnormalised density exp(-U): log w = -U(x) - log q(x).

    Every `Joint` is one; the emulator knows whether there is an energy.
    """


@runtime_checkable
class Latent(Protocol):
    """A model with a code per sample. For an invertible model ``decode(encode(x)) == x``."""

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor: ...

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor: ...


@runtime_checkable
class Translator(Protocol):
    """A model between two ensembles, called a and b.

    One that translates into one of them only has an attribute ``ends``, ``("a",)`` or ``("b",)``.
    """

    def translate(self, x: Tensor, to: str) -> Tensor:
        """Members of b as members of a (``to="a"``), or of a as members of b (``to="b"``)."""
        ...


@runtime_checkable
class RandomTranslator(Translator, Protocol):
    """A translator whose translations may be random, by its `Sampling`."""

    def translate_at_random(self, x: Tensor, to: str, draws: Draws, sampling: BaseModel | None = None) -> Tensor:
        """As `translate`, with fresh noise, if there is any, from ``draws``."""
        ...


def ends_of(model: Any) -> tuple[str, ...]:
    """The ensembles that a translator translates into: its ``ends``, or both."""
    return tuple(getattr(model, "ends", ("a", "b")))


@runtime_checkable
class Forecaster(Protocol):
    """A model of series that continues a partly observed series and fills its gaps."""

    def forecast(
        self, x: Tensor, times: Tensor, draws: Draws, condition: Condition | None = None, *, count: int = 200
    ) -> tuple[Tensor, Tensor]:
        """Draws of the noiseless path and of new observations, each (count, batch, T, dim).

        Arguments:
            x: series (batch, rows, ...) in the form of samples, with NaN where nothing was observed.
            times: ascending along each row, (batch, T).
        """
        ...


@runtime_checkable
class Evolver(Protocol):
    """A model that evolves a state in time."""

    def evolve(self, initial: Tensor, times: Tensor, condition: Condition | None = None) -> Tensor:
        """States ``(batch, T, *state)`` at ``times`` (T,), from initial states ``(batch, *state)``."""
        ...


@runtime_checkable
class Corrected(Evolver, Protocol):
    """An evolver that corrects a simulation, which can also run without the learnt correction."""

    def uncorrected(self, initial: Tensor, times: Tensor, condition: Tensor | None = None) -> Tensor:
        """States like those of `evolve`, from the simulation alone."""
        ...

    def resolved(self, initial: Tensor, times: Tensor, condition: Tensor | None = None) -> Tensor:
        """States of the simulation alone at the finest affordable resolution, the aim of a correction."""
        ...


LACKING: Mapping[str, str] = {
    "sampler": "cannot sample",
    "density": "has no density, so no log_prob",
    "bounded": "gives no bound of its log-density",
    "joint": "gives no density with its samples",
    "latent": "has no latent code",
    "translator": "cannot translate: it was not trained between two ensembles",
    "forecaster": "cannot forecast",
    "evolver": "cannot move a state in time",
    "corrected": "corrects no simulation",
}
"""Sentence on a model without an ability."""

ABILITIES: Mapping[str, type] = {
    "sampler": Sampler,
    "density": Density,
    "bounded": Bounded,
    "joint": Joint,
    "latent": Latent,
    "translator": Translator,
    "forecaster": Forecaster,
    "evolver": Evolver,
    "corrected": Corrected,
}
"""Abilities by their names in emulators, reports and error messages."""
