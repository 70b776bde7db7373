r"""Densities of the numbers of a sample, by channel: continuous numbers, ordered values, and one of a few values.

| channel                                                       | density of a number                                |
|---------------------------------------------------------------|----------------------------------------------------|
| continuous                                                    | any, such as a mixture of logistic densities       |
| whole numbers without a largest, or more values than a limit  | that mixture, averaged in each cell (`OrderedCells`) |
| any other                                                     | a probability of each value (`Cells`)              |

Probabilities of discrete values are exact: they do not depend on the place of a value within its cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pushforward.models.conditionals import Cells, Conditional, LogisticMixture, OrderedCells
from pushforward.models.discrete_cells import MOST_CELLS
from pushforward.spaces import Space
from pushforward.transforms.monotone import squashed

__all__ = ["MixedConditional", "as_sequence", "from_sequence"]


class MixedConditional(nn.Module):
    """Density of each number, given the raw outputs of a network along the last axis.

    In every method ``channel`` is the channel of each number, int64 of shape (steps,).

    Arguments:
        continuous: density of continuous numbers, a `LogisticMixture` if there are ordered values; None if there are
            neither.
        cells: edges of the cells of each channel (see `models.discrete_cells`); empty if all are continuous.
        channels: of a sample.
        most: largest number of values of a channel that have a free probability each; more are ordered.

    Attributes:
        outputs: network outputs per number.
        features: network inputs per number (see `seen`).
        all_discrete: whether no channel is continuous.
    """

    free: Tensor
    ordered: Tensor
    unbounded: Tensor
    free_edges: Tensor
    ordered_edges: Tensor

    def __init__(
        self, continuous: Conditional | None, cells: Sequence[Sequence[float]], channels: int, most: int = MOST_CELLS
    ) -> None:
        super().__init__()
        lists = [tuple(edges) for edges in cells] or [()] * channels
        unbounded = [bool(edges) and math.isinf(edges[-1]) for edges in lists]
        finite = [edges[:-1] if each else edges for edges, each in zip(lists, unbounded, strict=True)]
        free = [() if each or len(edges) - 1 > most else edges for edges, each in zip(finite, unbounded, strict=True)]
        ordered = [() if each else edges for edges, each in zip(finite, free, strict=True)]
        tables = {
            "free": torch.tensor([bool(edges) for edges in free]),
            "ordered": torch.tensor([bool(edges) for edges in ordered]),
            "unbounded": torch.tensor(unbounded),
            "free_edges": _table(free),
            "ordered_edges": _table(ordered),
        }
        for name, table in tables.items():
            self.register_buffer(name, table, persistent=False)
        self.continuous = continuous
        self.all_discrete, self.any_ordered = all(lists), any(ordered)
        self.numbers = 0 if continuous is None else continuous.parameters
        self.categories = max(0, self.free_edges.shape[1] - 1)
        self.outputs, self.features = self.numbers + self.categories, 1 + self.categories

    def seen(self, values: Float[Tensor, "batch steps"], channel: Tensor) -> Float[Tensor, "batch steps features"]:
        """Network inputs: a continuous or ordered number, or the one-hot category of one of a few values."""
        number = squashed(self.middle(values, channel))
        if not self.categories:
            return number[..., None]
        free = self.free[channel]
        category = functional.one_hot(Cells(self.free_edges[channel]).cell(values), self.categories).to(values.dtype)
        return torch.cat([torch.where(free, 0.0, number)[..., None], category * free[:, None]], -1)

    def middle(self, values: Float[Tensor, "batch steps"], channel: Tensor) -> Float[Tensor, "batch steps"]:
        """Discrete values in the middle of their cells."""
        for where, density, _ in self._densities(channel):
            if isinstance(density, Cells):
                values = torch.where(where, density.middle(values), values)
        return values

    def log_width(self, values: Float[Tensor, "batch steps"], channel: Tensor) -> Float[Tensor, "batch steps"]:
        """Logarithm of the width of the cells of discrete values; 0 for continuous ones."""
        width = torch.zeros_like(values)
        for where, density, _ in self._densities(channel):
            if isinstance(density, Cells):
                width = torch.where(where, density.log_width(values), width)
        return width

    def log_prob(
        self, values: Float[Tensor, "batch steps"], raw: Float[Tensor, "batch steps outputs"], channel: Tensor
    ) -> Float[Tensor, "batch steps"]:
        """Natural log of the density, in nats; that of discrete values is constant over their cells."""
        return self._by_channel(channel, raw, lambda density, raw: density.log_prob(values, raw))

    def sample(
        self, raw: Float[Tensor, "batch steps outputs"], uniform: Float[Tensor, "batch steps 2"], channel: Tensor
    ) -> Float[Tensor, "batch steps"]:
        """Draws, from two uniform numbers in [0, 1) each."""
        return self._by_channel(channel, raw, lambda density, raw: density.sample(raw, uniform))

    def mean(self, raw: Float[Tensor, "batch steps outputs"], channel: Tensor) -> Float[Tensor, "batch steps"]:
        """Mean of the density."""
        return self._by_channel(channel, raw, lambda density, raw: density.mean(raw))

    def _by_channel(self, channel: Tensor, raw: Tensor, value: Callable[[Conditional, Tensor], Tensor]) -> Tensor:
        """``value(density, raw)`` with the density of each number and its part of the raw outputs."""
        found = None
        for where, density, part in self._densities(channel):
            each = value(density, raw[..., part])
            found = each if found is None else torch.where(where, each, found)
        return cast(Tensor, found)

    def _densities(self, channel: Tensor) -> list[tuple[Tensor, Conditional, slice]]:
        """The densities that occur: which numbers they are of, and their part of the raw outputs."""
        free, ordered = self.free[channel], self.ordered[channel]
        found: list[tuple[Tensor, Conditional, slice]] = []
        if not self.all_discrete:
            found.append((~(free | ordered), cast(Conditional, self.continuous), slice(self.numbers)))
        if self.any_ordered:
            mixture = cast(LogisticMixture, self.continuous)
            cells = OrderedCells(self.ordered_edges[channel], mixture, self.unbounded[channel])
            found.append((ordered, cells, slice(self.numbers)))
        if self.categories:
            found.append((free, Cells(self.free_edges[channel]), slice(self.numbers, None)))
        return found


def as_sequence(x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch size"]:
    """Numbers of a sample, ordered by cell, then by channel."""
    return x.movedim(1, -1).flatten(1)


def from_sequence(values: Float[Tensor, "batch size"], space: Space) -> Float[Tensor, "batch *shape"]:
    """Inverse of `as_sequence`."""
    if not space.grid:
        return values
    return values.unflatten(1, (*space.grid, space.shape[0])).movedim(-1, 1).contiguous()


def _table(lists: Sequence[Sequence[float]]) -> Float[Tensor, "channels edges"]:
    """Edges of each channel; one with fewer cells repeats its last edge, one without any has the edges 0 and 1."""
    most = max(len(edges) for edges in lists)
    line = [0.0, *[1.0] * (most - 1)][:most]
    return torch.tensor([[*edges, *[edges[-1]] * (most - len(edges))] if edges else line for edges in lists])
