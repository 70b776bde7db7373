"""The contract between a model and the loop that trains it.

A model is learned in network units (see `Preprocessing`). It tells the loop what to step: `players` names the groups of
parameters that have an optimiser each, and `turns` yields, one at a time, the losses to be minimised. The loop takes
the optimiser's step for a turn before it asks for the next one, and `turns` takes a fresh batch whenever it wants one:
a Wasserstein critic is stepped five times on five batches before its generator, a Boltzmann generator looks at no
members at all. What a model can do once it is trained is a protocol per ability (see `pushforward.models.abilities`).

A family is one class with `Settings`, `players` (if it has more than one), `turns`, and the methods of its abilities:

>>> class Mean(Model):
...     def __init__(self, space, condition=ConditionSpace(), settings=None):
...         super().__init__(space, condition, settings)
...         self.centre = nn.Parameter(torch.zeros(space.shape))
...
...     def turns(self, batches):
...         batch = next(batches)
...         yield Turn("model", (batch.x - self.centre).square().mean(), {})
...
...     def sample(self, draws, condition=None, sampling=None):
...         return self.centre + draws.normal(*self.space.shape)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel
from torch import Tensor, nn

from pushforward.conditions import ConditionSpace
from pushforward.ensembles.batch import Batch
from pushforward.errors import UsageError
from pushforward.models.registry import families
from pushforward.models.settings import Settings
from pushforward.spaces import Space

__all__ = ["Batch", "Collate", "Model", "Player", "Schedule", "Settings", "Turn"]

Schedule = Literal["cosine", "linear", "constant"]
"""How a learning rate falls after its warm-up: as half a cosine to zero, as a line to zero, or not at all."""

Collate = Callable[[Batch], Batch]


@dataclass(frozen=True)
class Player:
    """A group of parameters with an optimiser of its own. Options that are None are those of the run.

    Attributes:
        parameters: stepped together.
        rate: learning rate in units of that of the run.
        betas: decay rates of Adam's running means of the gradient and of its square.
        weight_decay: decoupled, as in AdamW.
        gradient_clip: largest norm of the gradient.
        schedule: of the learning rate.
    """

    parameters: Sequence[nn.Parameter]
    rate: float = 1.0
    betas: tuple[float, float] | None = None
    weight_decay: float | None = None
    gradient_clip: float | None = None
    schedule: Schedule | None = None


class Turn(NamedTuple):
    """One optimiser step.

    Attributes:
        player: whose; several names where one loss steps several players.
        loss: a scalar.
        logs: scalars to write beside it.
    """

    player: str | tuple[str, ...]
    loss: Tensor
    logs: dict[str, Tensor]


class Model(nn.Module, ABC):
    """What the loop steps.

    A subclass declares `Settings` (what shapes the model and its loss) and `Sampling` (what can still be chosen when
    sampling). State beside the weights, such as a replay buffer or a running average, is a registered buffer: it is
    saved and resumed with the weights, and must be the same in every process.

    Arguments:
        space: what one sample is.
        condition: what each sample is given with, in network units; nothing for an unconditional model.
        settings: an instance of this class's `Settings`.

    Raises:
        UsageError: if the condition has a field, and this family takes none.
    """

    Settings: ClassVar[type[BaseModel]] = Settings
    Sampling: ClassVar[type[BaseModel]] = Settings

    takes_field: ClassVar[bool] = False
    """Whether the condition may have a field."""

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__()
        self.check_condition(condition)
        self.space = space
        self.condition = condition
        self.settings = settings if settings is not None else self.Settings()

    @classmethod
    def check_condition(cls, condition: ConditionSpace) -> None:
        """Raise if samples cannot be given with this.

        Raises:
            UsageError: naming the families that can.
        """
        if condition.field is not None and not cls.takes_field:
            classes = families()
            name = next((name for name, family in classes.items() if family is cls), cls.__name__)
            able = ", ".join(name for name, family in classes.items() if family.takes_field)
            raise UsageError(f"{name} cannot take a field as its condition; models that can are {able}")

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        """Settings of the loop that suit this family on ``space``: ``learning_rate``, ``batch_size``, ``betas``, ..."""
        return {}

    @classmethod
    def settled(cls, settings: BaseModel, source: Any) -> BaseModel:
        """The settings, once the source that the model learns from is known.

        Raises:
            UsageError: if the model cannot learn from that source.
        """
        return settings

    @classmethod
    def fitted(cls, settings: BaseModel, preprocessing: Any) -> BaseModel:
        """The settings, once the map of the data to network units is known."""
        return settings

    def players(self) -> dict[str, Player]:
        """The groups of parameters that have an optimiser each, by name."""
        return {"model": Player(list(self.parameters()))}

    def prepare(self, batch: Batch) -> None:
        """Initialise from a first batch, before training starts."""

    @property
    def collate(self) -> Collate | None:
        """Work on a batch that needs no weights, such as a plan of optimal transport; None for none.

        It is done in the thread that makes batches, ahead of the step, and draws from ``batch.draws``.
        """
        return None

    def remarks(self, figures: Mapping[str, float]) -> list[str]:
        """What to say of the figures of the last steps beside the losses, in a few words each.

        Arguments:
            figures: means of the logs, as ``player/name``.
        """
        return []

    def divergence(self, figures: Mapping[str, float]) -> str | None:
        """Why training cannot go on, if the figures of the last steps show that; arguments as of `remarks`."""
        return None

    @abstractmethod
    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        """The losses to be minimised in one step of training, each computed when it is reached.

        Arguments:
            batches: endless; ``next(batches)`` is a fresh batch.
        """
