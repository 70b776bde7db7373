r"""Densities of one number whose parameters a network gives: what autoregressive models put together.

- `LogisticMixture`: p(x) = Σ_m w_m λ((x - μ_m) / s_m) / s_m with the logistic density λ(u) = σ(u) σ(-u).
- `Bins`: constant on each of B bins of [-b, b], and falling as exp(-(\|x\| - b)) beyond.
- `Cells`: constant on each of the cells that discrete values were spread over, so that P(cell) is exact.
- `OrderedCells`: a mixture of logistic densities, averaged over each cell; few parameters for many values.

Each takes raw network outputs, any real numbers, along the last axis; all zeros give a density of order-one width.

Source for mixtures of logistic distributions: Salimans, Karpathy, Chen and Kingma 2017 (arXiv:1701.05517).
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pushforward.transforms.monotone import bounded

__all__ = ["Bins", "Cells", "Conditional", "LogisticMixture", "OrderedCells"]


class Conditional(Protocol):
    """A density of one number, given its parameters.

    Attributes:
        parameters: how many there are, called P.
    """

    parameters: int

    def log_prob(self, x: Float[Tensor, "*shape"], raw: Float[Tensor, "*shape P"]) -> Float[Tensor, "*shape"]:
        """Natural log of the density, in nats."""
        ...

    def sample(self, raw: Float[Tensor, "*shape P"], uniform: Float[Tensor, "*shape 2"]) -> Float[Tensor, "*shape"]:
        """Draws, from two uniform numbers in [0, 1) each."""
        ...

    def mean(self, raw: Float[Tensor, "*shape P"]) -> Float[Tensor, "*shape"]:
        """Mean of the density."""
        ...


class LogisticMixture:
    """A mixture of ``components`` logistic densities, which start side by side.

    Arguments:
        components: of the mixture.
        limit: bound of the absolute log-scales, in nats.

    >>> LogisticMixture(1).log_prob(torch.zeros(1), torch.zeros(1, 3)).exp()
    tensor([0.5000])
    """

    def __init__(self, components: int = 8, limit: float = 7.0) -> None:
        self.components, self.limit = components, limit
        self.parameters = 3 * components

    def log_prob(self, x: Tensor, raw: Tensor) -> Tensor:
        log_weights, means, log_scales = self._natural(raw)
        u = (x[..., None] - means) * (-log_scales).exp()
        each = functional.logsigmoid(u) + functional.logsigmoid(-u) - log_scales
        return torch.logsumexp(log_weights + each, -1)

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        log_weights, means, log_scales = self._natural(raw)
        component = _chosen(log_weights, uniform[..., 0])
        mean, log_scale = (part.gather(-1, component[..., None])[..., 0] for part in (means, log_scales))
        least = torch.finfo(raw.dtype).eps
        return mean + log_scale.exp() * torch.logit(uniform[..., 1].clamp(least, 1 - least))

    def log_mass(
        self, low: Tensor, high: Tensor, raw: Tensor, *, below: Tensor | None = None, above: Tensor | None = None
    ) -> Tensor:
        """Logarithm of the probability of intervals.

        With σ(b) - σ(a) = σ(b) σ(-a) (1 - exp(a - b)) no digits are lost in the tails.

        Arguments:
            low, high: ends of the intervals.
            raw: network outputs.
            below: which intervals reach down to minus infinity, bool; None: none.
            above: which intervals reach up to infinity, bool; None: none.
        """
        log_weights, means, log_scales = self._natural(raw)
        rate = (-log_scales).exp()
        to_high = functional.logsigmoid((high[..., None] - means) * rate)
        to_low = functional.logsigmoid((means - low[..., None]) * rate)
        between = torch.log(-torch.expm1((low - high)[..., None] * rate))
        none = torch.zeros_like(low, dtype=torch.bool)
        below, above = none if below is None else below, none if above is None else above
        to_high = to_high.masked_fill(above[..., None], 0.0)
        to_low = to_low.masked_fill(below[..., None], 0.0)
        between = between.masked_fill((below | above)[..., None], 0.0)
        return torch.logsumexp(log_weights + to_high + to_low + between, -1)

    def mean(self, raw: Tensor) -> Tensor:
        """Mean of the density."""
        log_weights, means, _ = self._natural(raw)
        return (log_weights.exp() * means).sum(-1)

    def _natural(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weights, means, scales = raw.chunk(3, -1)
        spread = 2.0 if self.components > 1 else 0.0
        centres = torch.linspace(-spread, spread, self.components, dtype=raw.dtype, device=raw.device)
        return torch.log_softmax(weights, -1), means + centres, bounded(scales, self.limit) - math.log(2)


class Bins:
    """A piecewise constant density on ``[-bound, bound]`` with exponential tails.

    Arguments:
        bins: of equal width.
        bound: half of the interval.
    """

    def __init__(self, bins: int = 64, bound: float = 5.0) -> None:
        self.bins, self.bound = bins, bound
        self.width = 2 * bound / bins
        self.parameters = bins + 2

    def log_prob(self, x: Tensor, raw: Tensor) -> Tensor:
        place = ((x + self.bound) / self.width).floor().clamp(-1, self.bins)
        log_part = _log_parts(raw).gather(-1, (place + 1).long()[..., None])[..., 0]
        beyond = x.abs() - self.bound
        return log_part - torch.where(beyond > 0, beyond, math.log(self.width))

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        place = _chosen(_log_parts(raw), uniform[..., 0]) - 1
        within = (place + uniform[..., 1]) * self.width - self.bound
        tail = self.bound - torch.log1p(-uniform[..., 1])
        return torch.where(place < 0, -tail, torch.where(place == self.bins, tail, within))

    def mean(self, raw: Tensor) -> Tensor:
        """Mean of the density."""
        middles = torch.linspace(-self.bound - 1, self.bound + 1, self.bins + 2, dtype=raw.dtype, device=raw.device)
        middles[1:-1] = (torch.arange(self.bins, dtype=raw.dtype, device=raw.device) + 0.5) * self.width - self.bound
        return (_log_parts(raw).exp() * middles).sum(-1)


class Cells:
    """The probability of each of some cells, spread evenly over the cell.

    Arguments:
        edges: of the cells of each number, rising, ``(*shape, cells + 1)``; numbers with fewer cells than others repeat
            their last edge.
    """

    def __init__(self, edges: Float[Tensor, "*shape edges"]) -> None:
        self.edges = edges
        self.parameters = edges.shape[-1] - 1

    def log_prob(self, x: Tensor, raw: Tensor) -> Tensor:
        cell = self.cell(x)[..., None]
        widths = self.edges.diff(dim=-1).to(raw.dtype)
        logs = self._logs(raw) - widths.clamp(min=torch.finfo(raw.dtype).tiny).log()
        return torch.where(x.isnan(), torch.nan, logs.gather(-1, cell)[..., 0])

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        cell = _chosen(self._logs(raw), uniform[..., 0])[..., None]
        edges = self.edges.to(raw.dtype).expand(*raw.shape[:-1], -1)
        low, high = edges.gather(-1, cell)[..., 0], edges.gather(-1, cell + 1)[..., 0]
        # The middle half is as good as all of it, and rounding moves no draw into the next cell.
        return low + (high - low) * (0.25 + 0.5 * uniform[..., 1])

    def mean(self, raw: Tensor) -> Tensor:
        """Mean of the density."""
        edges = self.edges.to(raw.dtype)
        return (self._logs(raw).exp() * 0.5 * (edges[..., 1:] + edges[..., :-1])).sum(-1)

    def middle(self, x: Tensor) -> Tensor:
        """The middle of the cell of each number."""
        low, high = self.ends(x)
        return 0.5 * (low + high)

    def log_width(self, x: Tensor) -> Tensor:
        """Logarithm of the width of the cell of each number."""
        low, high = self.ends(x)
        return (high - low).log()

    def ends(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The edges of the cell of each number."""
        cell, edges = self.cell(x)[..., None], self.edges.to(x.dtype).expand(*x.shape, -1)
        return edges.gather(-1, cell)[..., 0], edges.gather(-1, cell + 1)[..., 0]

    def cell(self, x: Tensor) -> Tensor:
        """The index of the cell that each number lies in or is nearest to, int64."""
        edges = self.edges.to(x.dtype)
        return (x[..., None] >= edges[..., 1:-1]).sum(-1).clamp(max=self._last)

    @property
    def _last(self) -> Tensor:
        return (self.edges.diff(dim=-1) > 0).sum(-1) - 1

    def _logs(self, raw: Tensor) -> Tensor:
        return torch.log_softmax(raw.masked_fill(self.edges.diff(dim=-1) <= 0, -torch.inf), -1)


class OrderedCells(Cells):
    """The probability of each of some cells under a mixture of logistic densities, spread evenly over the cell.

    The first cell also has all the probability below it, and the last all above it. Of values without a largest, the
    density beyond the last cell is that of the mixture.

    Arguments:
        edges: as of `Cells`.
        mixture: of the logistic densities.
        unbounded: whether there is no largest value, bool of shape ``(*shape)``.
    """

    def __init__(self, edges: Float[Tensor, "*shape edges"], mixture: LogisticMixture, unbounded: Tensor) -> None:
        super().__init__(edges)
        self.mixture, self.parameters, self.unbounded = mixture, mixture.parameters, unbounded

    def log_prob(self, x: Tensor, raw: Tensor) -> Tensor:
        low, high = self.ends(x)
        first, last = low <= self.edges[..., 0], high >= self.edges[..., -1]
        log_mass = self.mixture.log_mass(low, high, raw, below=first, above=last & ~self.unbounded)
        beyond = self.unbounded & (x >= self.edges[..., -1])
        log_prob = torch.where(beyond, self.mixture.log_prob(x, raw), log_mass - (high - low).log())
        return torch.where(x.isnan(), torch.nan, log_prob)

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        return self.middle(self.mixture.sample(raw, uniform))

    def mean(self, raw: Tensor) -> Tensor:
        return self.mixture.mean(raw)

    def middle(self, x: Tensor) -> Tensor:
        beyond = self.unbounded & (x >= self.edges[..., -1])
        return torch.where(beyond, x, super().middle(x))


def _log_parts(raw: Tensor) -> Tensor:
    """Logarithms of the parts of tail, bins and tail: a hundredth in each tail before training."""
    start = raw.new_zeros(raw.shape[-1])
    start[0] = start[-1] = math.log(0.01 * raw.shape[-1])
    return torch.log_softmax(raw + start, -1)


def _chosen(logs: Float[Tensor, "*shape choices"], uniform: Float[Tensor, "*shape"]) -> Tensor:
    """An index for each row, with the probabilities that the logarithms say."""
    cumulative = logs.softmax(-1).cumsum(-1)
    return (uniform[..., None] * cumulative[..., -1:] >= cumulative[..., :-1]).sum(-1)
