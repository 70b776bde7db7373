r"""Likelihood of discrete values given a code: independent numbers with exact probabilities.

    log p(x | z, c) = Σ_i log p(x_i | r_i(z, c) + b_i),

with the outputs r_i of a decoder and a learnt bias b_i, initialised so that each number has about its own distribution
before training. Densities are those of `models.mixed_conditional`; continuous columns beside discrete ones have
mixtures of logistic densities.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition
from pushforward.models.conditionals import LogisticMixture
from pushforward.models.mixed_conditional import MixedConditional, as_sequence, from_sequence
from pushforward.models.packing import packed_space
from pushforward.models.stationary import is_stationary
from pushforward.randomness import Draws
from pushforward.spaces import Space

__all__ = ["DiscreteLikelihood"]


class DiscreteLikelihood(nn.Module):
    """Probabilities of discrete values, and densities of continuous columns beside them, given a decoder's outputs.

    Samples are in network units, with discrete values anywhere in their cells; conditions act through the decoder.

    Arguments:
        space: of the samples, a vector or a field.
        cells: edges of the cells of each channel (see `models.discrete_cells`).

    Attributes:
        outputs: decoder outputs per number.
    """

    components = 4
    """Logistic densities of a mixture."""
    most_free = 8
    """Largest number of values with a free probability each; more, such as grey levels, have a mixture."""
    pooled_members = 8
    """Weight of the distribution over all of a channel in the initial one of a single number, in members."""

    channel: Tensor
    place: Tensor

    def __init__(self, space: Space, cells: Sequence[Sequence[float]]) -> None:
        super().__init__()
        self.space, channels = space, space.shape[0]
        few = all(2 < len(edges) <= self.most_free + 1 and math.isfinite(edges[-1]) for edges in cells)
        mixture = None if few else LogisticMixture(self.components, limit=4.0)
        self.conditional = MixedConditional(mixture, cells, channels, most=self.most_free)
        self.outputs = self.conditional.outputs
        channel = torch.arange(space.size) % channels
        self.register_buffer("channel", channel, persistent=False)
        place = channel if is_stationary(space) else torch.arange(space.size)
        self.register_buffer("place", place, persistent=False)
        self.start = nn.Parameter(torch.zeros(int(place.max()) + 1, self.outputs))

    def decoded_space(self, space: Space) -> Space:
        """Space of a decoder's outputs for samples, or bands, of a space."""
        return packed_space(space, self.outputs)

    @torch.no_grad()
    def initialise(self, x: Float[Tensor, "batch *shape"]) -> None:
        """Set the biases such that each number has about its distribution in these samples."""
        values, numbers = as_sequence(x), self.conditional.numbers
        if numbers:
            mean = self._averages(self.conditional.middle(values, self.channel)[..., None], self.place)
            self.start[:, self.components : 2 * self.components] = mean
        if self.conditional.categories:
            which = self.conditional.seen(values, self.channel)[..., 1:]
            own, anywhere = (self._averages(which, where) for where in (self.place, self.channel))
            anywhere = 0.9 * anywhere + 0.1 / self.conditional.categories
            pooled = torch.zeros_like(own).index_copy(0, self.place, anywhere[self.channel])
            frequency = (len(x) * own + self.pooled_members * pooled) / (len(x) + self.pooled_members)
            self.start[:, numbers:] = frequency.log()

    def log_prob(
        self, x: Float[Tensor, "batch *shape"], decoded: Tensor, condition: Condition | None = None
    ) -> Float[Tensor, " batch"]:
        """Logarithm of the probabilities per volume of the cells, and of densities, in nats."""
        return self.conditional.log_prob(as_sequence(x), self._raw(decoded), self.channel).sum(1)

    def sample(
        self, decoded: Tensor, draws: Draws, condition: Condition | None = None
    ) -> Float[Tensor, "batch *shape"]:
        """One sample per decoded code."""
        values = self.conditional.sample(self._raw(decoded), draws.uniform(self.space.size, 2), self.channel)
        return from_sequence(values, self.space)

    def mean(self, decoded: Tensor) -> Float[Tensor, "batch *shape"]:
        """Mean of each number."""
        return from_sequence(self.conditional.mean(self._raw(decoded), self.channel), self.space)

    def middle(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Samples with discrete values in the middle of their cells."""
        return from_sequence(self.conditional.middle(as_sequence(x), self.channel), self.space)

    def log_volume(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        """Logarithm of the volume of the cells of each sample."""
        return self.conditional.log_width(as_sequence(x), self.channel).sum(1)

    def _raw(self, decoded: Tensor) -> Float[Tensor, "batch size outputs"]:
        raw = decoded.float().unflatten(1, (self.space.shape[0], self.outputs))
        return raw.movedim((1, 2), (-2, -1)).flatten(1, -2) + self.start[self.place]

    def _averages(self, numbers: Float[Tensor, "batch size features"], where: Tensor) -> Tensor:
        """Means over samples, and over numbers of one place or channel."""
        sums = numbers.new_zeros(int(where.max()) + 1, numbers.shape[-1])
        counts = torch.bincount(where)[:, None]
        return sums.index_add(0, where, numbers.mean(0)) / counts
