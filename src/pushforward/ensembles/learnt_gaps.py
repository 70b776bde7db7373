"""Treatment of missing values that a run has learnt, for all later data that it is asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.ensembles.channels import channel_axis, channel_name
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Space

__all__ = ["LearntGaps", "lacking_channels"]


@dataclass(frozen=True)
class LearntGaps:
    """Treatment of missing values in training. Channels are known by their names, whatever their order in a file.

    Attributes:
        missing: the treatment, ``"fill"`` or ``"mask"``.
        lacking: channels that lacked values.
        fill: value in the place of missing ones, of each channel; empty for vectors with ``"mask"``, which keep gaps.
        sentinels: number that stands for missing values, of the channels that have one.
    """

    missing: str
    lacking: tuple[str, ...] = ()
    fill: Mapping[str, float] = field(default_factory=dict)
    sentinels: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Treatment of the plain values from `to_dict`.

        Raises:
            UsageError: for values that are not of this form.
        """
        unknown = values.keys() - {each.name for each in fields(cls)}
        if "missing" not in values or unknown:
            raise UsageError(
                "missing is a mapping, but not a treatment that a run has learnt; give emulator.missing, or drop, "
                "fill or mask"
            )
        return cls(**{**values, "lacking": tuple(values.get("lacking", ()))})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `of`."""
        values = asdict(self)
        return {**values, "lacking": list(self.lacking)}

    @property
    def keeps(self) -> bool:
        """Whether a gap stays a gap, which only columns have that lacked values in training."""
        return self.missing == "mask"

    def numbers(self, names: Sequence[str]) -> tuple[int, ...]:
        """Places of the channels that lacked values, among channels of these names."""
        return tuple(number for number, name in enumerate(names) if name in self.lacking)

    def check(self, lacking: Mapping[str, int], members: int, label: str) -> None:
        """Raise for values that are missing where none was in training.

        Arguments:
            lacking: number of members that lack values, by the name of the channel.

        Raises:
            DataError: if there are any.
        """
        known = self.lacking if self.keeps else tuple(self.fill)
        for name, count in lacking.items():
            if name not in known:
                raise DataError(
                    f"{label} lacks values of {name!r} in {count} of {members} members, but no value of it was missing "
                    "in the training data of the run; --missing drop leaves such members out"
                )

    def filled(self, x: Tensor, space: Space) -> Tensor:
        """Samples of a run, as it has learnt them: with their missing values filled, and flagged where it has flags.

        Arguments:
            x: samples as in the data, shape ``(n, *shape)``.
            space: of the samples of the run.
        """
        if not self.fill:
            return x
        axis = channel_axis(space) % x.dim()
        flags = len(self.lacking) if self.keeps else 0
        names = [channel_name(space, number) for number in range(space.shape[axis - 1] - flags)]
        if x.shape[axis] != len(names) or any(name not in self.fill for name in names):
            return x
        shape = [1] * x.dim()
        shape[axis] = -1
        values = torch.tensor([self.fill[name] for name in names], dtype=x.dtype).view(shape)
        gaps = x.isnan()
        flagged = gaps.index_select(axis, torch.tensor(self.numbers(names))) if flags else gaps.narrow(axis, 0, 0)
        return torch.cat([torch.where(gaps, values, x), flagged.to(x)], axis)


def lacking_channels(space: Space, counts: NDArray[np.int64]) -> dict[str, int]:
    """Number of members that lack values in each channel, of those that do, by name."""
    return {channel_name(space, number): int(count) for number, count in enumerate(counts) if count}
