"""What the training loop, the emulator and the report may ask of a model.

A model is a learned distribution over a `Space`, in network units (see `Preprocessing`), given conditions in network
units. It tells the loop what to step: `players` names the groups of parameters that have an optimiser each, and `turns`
yields, one at a time, the losses that a batch asks to be minimised. The loop takes the step for a turn before it asks
for the next one, so a Wasserstein critic can be stepped five times, on fresh samples, before its generator.

What a model can do beyond `sample` is a small protocol each. Callers ask for the ability, never for the class:

>>> isinstance(model, Density)  # doctest: +SKIP
True
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from pushforward.randomness import Draws
from pushforward.spaces import Space

__all__ = ["Batch", "Coupling", "Density", "Latent", "Model", "Pairs", "Pupil", "Settings", "Translator", "Turn"]


Coupling = Callable[[Tensor, Tensor | None, Draws], Tensor]
"""Draws noise for samples (batch, *space.shape) and their conditions (or None), a row for each sample."""

Pairs = Callable[[Draws, Tensor | None], tuple[Tensor, Tensor]]
"""Makes samples (draws.count, *space.shape) at conditions (or None), and the noise that each of them belongs to."""


@dataclass(frozen=True)
class Batch:
    """What one step sees.

    Attributes:
        x: samples in network units, shape ``(batch, *space.shape)``.
        condition: in network units, shape ``(batch, condition_dim)``; None for an unconditional model.
        draws: this batch's random numbers; a model takes no others while it trains.
        progress: part of the run that is done, in [0, 1].
        noise: a row for each sample, where the model has a `Coupling` and the loop has called it ahead of the step.
    """

    x: Tensor
    condition: Tensor | None
    draws: Draws
    progress: float = 0.0
    noise: Tensor | None = None


class Turn(NamedTuple):
    """One optimiser step that a batch asks for: whose, the loss (a scalar), and scalars to log beside it."""

    player: str
    loss: Tensor
    logs: dict[str, Tensor]


class Settings(BaseModel):
    """Hyperparameters: typed, with defaults, closed (an unknown name is an error)."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(nn.Module, ABC):
    """A learned distribution over a space.

    A subclass declares `Settings` (what shapes the model and its loss), `Sampling` (what can still be chosen when
    sampling) and `training_defaults_for` (defaults of the loop that suit this family, such as a learning rate).

    Arguments:
        space: what one sample is.
        condition_dim: length of a condition vector in network units; 0 for an unconditional model.
        settings: an instance of this class's `Settings`.
    """

    Settings: ClassVar[type[BaseModel]] = Settings
    Sampling: ClassVar[type[BaseModel]] = Settings

    @property
    def coupling(self) -> Coupling | None:
        """How the noise of a batch is found, if that takes long and no weights: the loop has it done in a thread."""
        return None

    def __init__(self, space: Space, condition_dim: int = 0, settings: BaseModel | None = None) -> None:
        super().__init__()
        self.space = space
        self.condition_dim = condition_dim
        self.settings = settings if settings is not None else self.Settings()

    @property
    def pairs(self) -> Pairs | None:
        """Where the samples that are trained on come from, if not from the data: of these, the conditions are used."""
        return None

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        """Settings of the loop that suit this family on ``space``: ``learning_rate``, ``batch_size``, ``betas``, ..."""
        return {}

    def players(self) -> dict[str, Sequence[nn.Parameter]]:
        """Parameter groups with an optimiser each, by name."""
        return {"model": list(self.parameters())}

    def rates(self) -> dict[str, float]:
        """Learning rates of players as parts of that of the run; one for those that are not named."""
        return {}

    @abstractmethod
    def turns(self, batch: Batch) -> Iterator[Turn]:
        """The losses that this batch asks to be minimised, each computed when it is reached."""

    @abstractmethod
    def sample(self, draws: Draws, condition: Tensor | None = None, sampling: BaseModel | None = None) -> Tensor:
        """Samples in network units, shape ``(draws.count, *space.shape)``.

        Arguments:
            draws: source of randomness; its count is the number of samples.
            condition: shape ``(count, condition_dim)``, in network units.
            sampling: an instance of this class's `Sampling`; None for the defaults.
        """

    def prepare(self, batch: Batch) -> None:
        """Look at a first batch before training starts (to initialise from data); nothing by default."""


@runtime_checkable
class Density(Protocol):
    """A model with a normalised log-density."""

    def log_prob(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Natural log of the density at ``x`` (batch, *space.shape), network units; shape ``(batch,)``, nats."""
        ...


@runtime_checkable
class Latent(Protocol):
    """A model with a code for each sample. For an invertible model ``decode(encode(x)) == x``."""

    def encode(self, x: Tensor, condition: Tensor | None = None) -> Tensor: ...

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor: ...


@runtime_checkable
class Translator(Protocol):
    """A model between two ensembles, called a and b."""

    def translate(self, x: Tensor, to: str) -> Tensor: ...


@runtime_checkable
class Pupil(Protocol):
    """A model that can learn from a trained one, whose run directory its setting ``teacher`` names.

    The student keeps nothing of the teacher but what it has learnt from it, and its state dictionary has no more in it
    than that of a student without one.
    """

    @classmethod
    def taught_by(cls, settings: BaseModel, family: str, teacher: Model) -> BaseModel:
        """The settings of a student of ``teacher``, a model of a ``family``; a `UsageError` if it has none to give."""
        ...

    def learn_from(self, teacher: Model) -> None:
        """Take a teacher, for a model that has been prepared and is about to be trained."""
        ...
