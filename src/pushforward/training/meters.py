"""Meters of losses and logs since the last reading, kept on the device so that no step waits for a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from pushforward.models import Turn

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Meters", "Reading"]


@dataclass(frozen=True)
class Reading:
    """A reading of the meters.

    Attributes:
        means: of each loss and log since the last reading, as ``player/loss`` and ``player/name``.
        bad: the first player and step whose loss was not finite; None if all were.
    """

    means: dict[str, float]
    bad: tuple[str, int] | None

    @property
    def losses(self) -> dict[str, float]:
        return {key.removesuffix("/loss"): v for key, v in self.means.items() if key.endswith("/loss")}


class Meters:
    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self._values: dict[str, list[Tensor]] = {}
        self._losses: list[tuple[str, int]] = []

    def record(self, step: int, turn: Turn, norm: Tensor | None = None) -> None:
        """Record the loss and the logs of a turn, and the norm of its gradient if measured."""
        player = turn.player if isinstance(turn.player, str) else turn.player[0]
        self._losses.append((player, step))
        logs = turn.logs if norm is None else {**turn.logs, "gradient_norm": norm}
        for name, value in {"loss": turn.loss, **logs}.items():
            value = torch.as_tensor(value, device=self.fabric.device)
            self._values.setdefault(f"{player}/{name}", []).append(value.detach().float().reshape(()))

    def read(self, *, alone: bool = False) -> Reading:
        """Means over steps and processes since the last reading; resets the meters.

        Arguments:
            alone: this process alone, when the others may not be reading.
        """
        if not self._losses:
            return Reading({}, None)
        joined = torch.stack([value for values in self._values.values() for value in values])
        if self.fabric.world_size > 1 and not alone:
            joined = cast(Tensor, self.fabric.all_reduce(joined, reduce_op="mean"))
        series = dict(zip(self._values, joined.cpu().split([len(v) for v in self._values.values()]), strict=True))
        bad = self._first_bad({key: values.isfinite().tolist() for key, values in series.items()})
        means = {key: values.double().mean().item() for key, values in series.items()}
        self._values, self._losses = {}, []
        return Reading(means, bad)

    def _first_bad(self, finite: dict[str, list[bool]]) -> tuple[str, int] | None:
        seen = dict.fromkeys(finite, 0)
        for player, step in self._losses:
            key = f"{player}/loss"
            if not finite[key][seen[key]]:
                return player, step
            seen[key] += 1
        return None
