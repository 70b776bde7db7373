"""Protocol of sources of samples that can be judged: emulators, or other codes."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles import Parameter
from pushforward.spaces import Space

__all__ = ["Judgeable"]


class Judgeable(Protocol):
    """A source of samples in the user's units.

    Attributes:
        name: name at the head of the page.
        abilities: abilities, by the names of `models.ABILITIES`.
        config: configuration of the run that made it; ``config["data"]`` records the training data.
    """

    name: str
    space: Space
    config: Any

    @property
    def abilities(self) -> tuple[str, ...]: ...

    @property
    def parameters(self) -> tuple[Parameter, ...]: ...

    @property
    def condition_space(self) -> ConditionSpace: ...

    def sample(self, n: int, *, seed: int | None = None) -> Tensor: ...

    def sample_at(self, condition: Condition, *, seed: int | None = None) -> Tensor: ...

    def log_prob(self, x: Any, condition: Condition | None = None) -> Tensor: ...
