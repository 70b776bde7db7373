"""The contract between a model and the loop that trains it.

A model works in network units (see `Preprocessing`). `players` names the groups of parameters with an optimiser each,
and `turns` yields, one at a time, the losses to minimise. The loop takes the optimiser step of a turn before it asks
for the next, and `turns` takes a fresh batch whenever it needs one: a Wasserstein critic is stepped five times on five
batches before its generator, a Boltzmann generator uses no members at all. The abilities of a trained model are
protocols (see `pushforward.models.abilities`).

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

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, get_args

from jaxtyping import Float
from pydantic import BaseModel
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles.batch import Batch
from pushforward.errors import UsageError
from pushforward.models.registry import families
from pushforward.models.settings import Settings
from pushforward.spaces import Space

__all__ = ["Batch", "Collate", "Completion", "Model", "Player", "Schedule", "Settings", "Turn", "Watch", "unwatched"]

Schedule = Literal["cosine", "linear", "constant"]
"""Decay of a learning rate after its warm-up: half a cosine to zero, linear to zero, or constant."""

Collate = Callable[[Batch], Batch]
Watch = Callable[[str, float], None]
"""Function called with what is computed, in a few words, and its completed fraction."""


def unwatched(what: str, part: float) -> None:
    """A `Watch` that shows nothing."""


@dataclass(frozen=True)
class Completion:
    """What a model does after training.

    Attributes:
        line: for the user.
        members: number of training members that it needs.
        cost: time that it takes, in units of that of training on one sample; a training budget includes it.
    """

    line: str
    members: int = 0
    cost: float = 0.0


@dataclass(frozen=True)
class Player:
    """A group of parameters with its own optimiser. Options that are None are those of the run.

    Attributes:
        parameters: parameters stepped together.
        rate: learning rate, relative to that of the run.
        betas: decay rates of Adam's running means of the gradient and of its square.
        weight_decay: decoupled, as in AdamW.
        gradient_clip: largest norm of the gradient.
        schedule: of the learning rate.

    Raises:
        UsageError: if an option is out of range.
    """

    parameters: Sequence[nn.Parameter]
    rate: float = 1.0
    betas: tuple[float, float] | None = None
    weight_decay: float | None = None
    gradient_clip: float | None = None
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", list(dict.fromkeys(self.parameters)))
        betas, decay, clip = self.betas, self.weight_decay, self.gradient_clip
        for name, wanted, right in (
            ("rate", "a number above 0", 0 < self.rate < math.inf),
            ("betas", "two numbers in [0, 1)", betas is None or (len(betas) == 2 and all(0 <= b < 1 for b in betas))),
            ("weight_decay", "a number from 0", decay is None or 0 <= decay < math.inf),
            ("gradient_clip", "a number above 0", clip is None or clip > 0),
            ("schedule", " or ".join(get_args(Schedule)), self.schedule in (None, *get_args(Schedule))),
        ):
            if not right:
                raise UsageError(f"a player has {name} = {getattr(self, name)!r}; give {wanted}")


class Turn(NamedTuple):
    """One optimiser step.

    Attributes:
        player: name of the player to step; several names if one loss steps several players.
        loss: a scalar.
        logs: scalars to log with it.
    """

    player: str | tuple[str, ...]
    loss: Tensor
    logs: dict[str, Tensor]


class Model(nn.Module, ABC):
    """A generative model that the loop can train.

    A subclass declares `Settings` (of the model and its loss) and `Sampling` (choices at sampling time). Further state,
    such as a replay buffer or a running average, is a registered buffer: it is saved and resumed with the weights, and
    must be the same in every process.

    Arguments:
        space: space of a sample.
        condition: space of the conditions, in network units; empty for an unconditional model.
        settings: an instance of this class's `Settings`.

    Raises:
        UsageError: if the condition has a field, and this family does not support one.
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
        """Raise unless the family supports this condition.

        Raises:
            UsageError: naming the families that do.
        """
        if condition.field is not None and not cls.takes_field:
            classes = families()
            name = next((name for name, family in classes.items() if family is cls), cls.__name__)
            able = ", ".join(name for name, family in classes.items() if family.takes_field)
            raise UsageError(f"{name} cannot take a field as its condition; models that can are {able}")

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        """Default loop settings of this family on ``space``: ``learning_rate``, ``batch_size``, ``betas``, ..."""
        return {}

    @classmethod
    def settled(cls, settings: BaseModel, source: Any) -> BaseModel:
        """The settings, completed for a source.

        Raises:
            UsageError: if the model cannot learn from that source.
        """
        return settings

    @classmethod
    def fitted(cls, settings: BaseModel, preprocessing: Any) -> BaseModel:
        """The settings, once the map of the data to network units is known."""
        return settings

    def players(self) -> dict[str, Player]:
        """Groups of parameters with an optimiser each, by name."""
        return {"model": Player(list(self.parameters()))}

    @property
    def prepared_by(self) -> int:
        """Least number of members that `prepare` is given; by default those of one batch."""
        return 0

    def prepare(self, batch: Batch) -> None:
        """Initialise from first members, before training starts."""

    def completion(self, seen: int, members: int) -> Completion | None:
        """What `complete` would do; None for nothing.

        Arguments:
            seen: number of samples that were trained on.
            members: number of training members.
        """
        return None

    def complete(self, batch: Batch, seen: int, watch: Watch = unwatched) -> None:
        """Set buffers that samples of the trained weights need, before these are saved for the last time.

        Arguments:
            batch: first members, at least `Completion.members` of them or all.
            seen: number of samples that were trained on.
            watch: shows the progress.
        """

    @property
    def collate(self) -> Collate | None:
        """Operation on a batch that needs no weights, such as an optimal-transport plan; None for none.

        It runs in the prefetch thread, ahead of the step, and draws from ``batch.draws``.
        """
        return None

    def places(
        self, x: Float[Tensor, "batch *shape"], u: Float[Tensor, "batch *shape"], condition: Condition | None = None
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, " batch"]]:
        """Places of discrete values within their cells, in [0, 1), and their log-density in nats; uniform by default.

        Arguments:
            x: samples in network units, anywhere in their cells.
            u: uniform numbers in [0, 1).
            condition: condition of each sample.
        """
        return u, u.new_zeros(len(u))

    def advice(self) -> list[str]:
        """Lines printed before training, if the family does not suit the space."""
        return []

    def remarks(self, figures: Mapping[str, float]) -> list[str]:
        """Remarks on the figures of the last steps, a few words each, shown next to the losses.

        Arguments:
            figures: means of the logs, as ``player/name``.
        """
        return []

    def divergence(self, figures: Mapping[str, float]) -> str | None:
        """Reason why training cannot continue, from the figures of the last steps; arguments as of `remarks`."""
        return None

    @abstractmethod
    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        """Losses of one training step, each computed when it is reached.

        Arguments:
            batches: endless; ``next(batches)`` is a fresh batch.
        """
