r"""Autoregressive model: a causal transformer that gives the density of each number conditional on the preceding ones.

    p(x | c) = ∏_i p(x_i | x_1, ..., x_{i-1}, c)

over the numbers of a vector in their order, or over the cells of a field row by row (and their channels one by one).
Continuous numbers have mixtures of logistic densities, or bins. Discrete values (spins, grey levels, labels; up to
256) have one output each, and counts without a largest value the mixture in each cell, so log-probabilities are exact,
without a dequantisation gap: ``score`` gives them in nats, and -log P / (D ln 2) is the code length in bits per
dimension. Continuous and discrete columns can be mixed.

Sampling takes one step per number, with cached keys and values of the known ones.

Sources: Larochelle and Murray 2011 (NADE); van den Oord, Kalchbrenner and Kavukcuoglu 2016 (arXiv:1601.06759); Salimans
et al. 2017 (PixelCNN++, arXiv:1701.05517); Chen et al. 2020 (Image GPT).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models.causal_defaults import causal_defaults
from pushforward.models.conditionals import Bins, LogisticMixture
from pushforward.models.discrete_cells import DiscreteCells, cells_of
from pushforward.models.mixed_conditional import MixedConditional, as_sequence, from_sequence
from pushforward.models.model import Batch, Model, Settings, Turn
from pushforward.networks import CausalTransformer
from pushforward.randomness import Draws
from pushforward.spaces import Space

__all__ = ["Autoregressive"]


class AutoregressiveSettings(Settings):
    """
    Attributes:
        width: length of the hidden state per number.
        depth: layers of the transformer.
        heads: attention heads; None is one per 32 features.
        outputs: densities of continuous numbers, a "mixture" of logistic densities or "bins".
        components: of a mixture.
        bins: on [-5, 5], in network units of standard deviation one.
        cells: edges of the cells of discrete values, for each channel, in network units; empty for a continuous
            channel. Determined from the data.
    """

    width: int = Setting(default=96, ge=1)
    depth: int = Setting(default=4, ge=1)
    heads: int | None = Setting(default=None, ge=1)
    outputs: Literal["mixture", "bins"] = "mixture"
    components: int = Setting(default=10, ge=1)
    bins: int = Setting(default=64, ge=2)
    cells: DiscreteCells = ()


class Autoregressive(Model):
    """A causal transformer over the numbers of a sample, with an exact density or probability.

    Raises:
        UsageError: if the space is neither a vector nor a field.
    """

    Settings = AutoregressiveSettings
    settings: AutoregressiveSettings
    channel: Tensor

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings)
        if space.kind not in ("vector", "field"):
            raise UsageError(f"autoregressive learns vectors and fields, not {space.kind} data")
        chosen = self.settings
        continuous = LogisticMixture(chosen.components) if chosen.outputs == "mixture" else Bins(chosen.bins)
        channels = space.shape[0]
        self.conditional = MixedConditional(continuous, chosen.cells, channels)
        self.register_buffer("channel", torch.arange(space.size) % channels, persistent=False)
        self.net = CausalTransformer(
            space.size,
            self.conditional.features,
            self.conditional.outputs,
            condition.numbers,
            chosen.width,
            chosen.depth,
            chosen.heads,
        )

    @classmethod
    def fitted(cls, settings: BaseModel, preprocessing: Any) -> BaseModel:
        unbounded = isinstance(settings, AutoregressiveSettings) and settings.outputs == "mixture"
        return settings.model_copy(update={"cells": cells_of(preprocessing, unbounded=unbounded)})

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        return causal_defaults(space)

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        loss = -self.log_prob(batch.x, batch.condition).mean() / self.space.size
        yield Turn("model", loss, {"nll_per_dim": loss.detach()})

    def log_prob(self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> Float[Tensor, " batch"]:
        """Natural log of the density at ``x``, in network units; nats."""
        values = as_sequence(x)
        raw = self.net(self.conditional.seen(values, self.channel), self.condition.numbers_of(condition)).to(x.dtype)
        return self.conditional.log_prob(values, raw, self.channel).sum(1)

    def sample(self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None) -> Tensor:
        return from_sequence(self._drawn(draws, condition)[0], self.space)

    def sample_and_log_prob(
        self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, " batch"]]:
        """Samples and their log-density, number by number."""
        values, raw = self._drawn(draws, condition)
        return from_sequence(values, self.space), self.conditional.log_prob(values, raw, self.channel).sum(1)

    def _drawn(
        self, draws: Draws, condition: Condition | None
    ) -> tuple[Float[Tensor, "batch size"], Float[Tensor, "batch size outputs"]]:
        """Numbers drawn one after another, and the outputs of the network for each."""
        size = self.space.size
        uniform = draws.uniform(size, 2)
        steps = self.net.blocks_ahead(self.condition.numbers_of(condition), draws.count)
        blank = uniform.new_zeros(draws.count, 1, self.conditional.features)
        values, outputs = [], []
        for place in range(size):
            raw, channel = steps.outputs(blank).to(uniform.dtype), self.channel[place : place + 1]
            value = self.conditional.sample(raw, uniform[:, place : place + 1], channel)
            steps.append(self.conditional.seen(value, channel))
            values.append(value)
            outputs.append(raw)
        return torch.cat(values, 1), torch.cat(outputs, 1)
