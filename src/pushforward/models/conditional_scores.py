r"""Normal scores at every condition.

Values that are normal scores over all members need not be at one condition: a mixture of distributions of different
mean and width is normal if its parts are skewed. With the mean m and the standard deviation s of values at a condition
c, by regression, and the distribution F of standardised values,

    z = Phi^-1(F((v - m(c)) / s(c))),

which is normal at every condition if the conditions change mean and width alone.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles.normal_scores import NormalScores, beyond, undone
from pushforward.models.condition_regression import regress_log_means, regress_means
from pushforward.networks import MLP
from pushforward.spaces import Field
from pushforward.transforms.spline import Bin, bin_forward

__all__ = ["ConditionalScores", "CountedScores"]


class CountedScores(nn.Module):
    """Normal scores of values that are nearly normal scores, from numbers of values in bins; the identity until `fit`.

    Arguments:
        channels: of the fields, axis 1 of a batch.
        condition: space of the conditions.
        hidden: hidden features of the MLP of a condition.
    """

    bins, furthest = 32, 4.0
    """Bins of equal width between the outermost edges; the values beyond these are two bins more."""
    rarest = 1e-7
    """Least probability of a bin."""

    log_probability: Tensor
    edges: Tensor

    def __init__(self, channels: int, condition: ConditionSpace = ConditionSpace(), hidden: int = 64) -> None:
        super().__init__()
        self.channels = channels
        edges = torch.linspace(-self.furthest, self.furthest, self.bins + 1)
        self.register_buffer("edges", edges, persistent=False)
        sums = torch.special.ndtr(
            torch.cat([edges.new_tensor([-torch.inf]), edges, edges.new_tensor([torch.inf])]).double()
        )
        self.register_buffer("log_probability", sums.diff().log().float().repeat(channels))
        outputs = len(self.log_probability)
        self.change = MLP(condition.numbers, outputs, (hidden,), zero_output=True) if condition.numbers else None

    def forward(self, u: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> Tensor:
        """Normal scores z of values u."""
        rows, z, slopes = self._knots(u, condition)
        index = torch.bucketize(rows, self.edges[1:-1])
        ends = _ends(index, self.edges.expand_as(z), z, slopes)
        return beyond(rows, ends, bin_forward(rows, ends)[0]).view(u.shape)

    def inverse(self, z: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> Tensor:
        """Values of normal scores."""
        rows, knots, slopes = self._knots(z, condition)
        index = torch.searchsorted(knots[..., 1:-1].contiguous(), rows)
        ends = _ends(index, self.edges.expand_as(knots), knots, slopes)
        return undone(rows, ends).view(z.shape)

    @torch.no_grad()
    def fit(self, u: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> None:
        """Set the probabilities of the bins from members and their conditions."""
        rows = u.flatten(2).contiguous()
        index = torch.bucketize(rows, self.edges)
        counts = rows.new_zeros(*rows.shape[:2], self.bins + 2).scatter_add_(2, index, torch.ones_like(rows))
        share = (counts / rows.shape[2]).flatten(1) + self.rarest
        numbers = None if condition is None else condition.numbers
        self.log_probability.copy_(regress_log_means(self.change, numbers, share))

    def _knots(self, x: Tensor, condition: Condition | None) -> tuple[Tensor, Tensor, Tensor]:
        """Values by channel, and of each sample and channel the normal scores and the slopes at the edges."""
        logits = self.log_probability
        if self.change is not None and condition is not None and condition.numbers is not None:
            logits = logits + self.change(torch.nan_to_num(condition.numbers)).float()
        logits = logits.view(-1, self.channels, self.bins + 2).expand(len(x), -1, -1)
        p = logits.double().softmax(2) + self.rarest
        # Either tail from its own end, without a difference from one.
        below, above = p.cumsum(2)[..., :-1], p.flip(2).cumsum(2).flip(2)[..., 1:]
        z = torch.where(below < above, torch.special.ndtri(below), -torch.special.ndtri(above)).to(x.dtype)
        steep = z.diff(dim=2) / (self.edges[1] - self.edges[0])
        slopes = torch.cat([steep[..., :1], (steep[..., 1:] * steep[..., :-1]).sqrt(), steep[..., -1:]], 2)
        return x.flatten(2).contiguous(), z, slopes


def _ends(index: Tensor, *tables: Tensor) -> Bin:
    return Bin(*(table.gather(2, index + step) for table in tables for step in (0, 1)))


class ConditionalScores(nn.Module):
    """Invertible map of the values of each channel to normal scores at their condition; the identity until `fit`.

    Arguments:
        space: of the fields.
        condition: space of the conditions.
        hidden: hidden features of the MLPs of a condition.
    """

    smallest = 1e-6
    """Least variance."""

    mean: Tensor
    log_variance: Tensor

    def __init__(self, space: Field, condition: ConditionSpace = ConditionSpace(), hidden: int = 64) -> None:
        super().__init__()
        channels, numbers = space.channels, condition.numbers
        self.shape = (-1, channels, *[1] * len(space.grid))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("log_variance", torch.zeros(channels))
        self.shift = MLP(numbers, channels, (hidden,), zero_output=True) if numbers else None
        self.stretch = MLP(numbers, channels, (hidden,), zero_output=True) if numbers else None
        self.scores = NormalScores(range(channels), axis=1)
        self.reshaped = CountedScores(channels, condition, hidden)
        self.requires_grad_(False)

    def forward(self, v: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> Tensor:
        """Normal scores z of values v."""
        return self.reshaped(self.scores(self._standardised(v, condition)), condition)

    def inverse(self, z: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> Tensor:
        """Values of normal scores."""
        u = self.reshaped.inverse(z, condition)
        return self.scores.inverse(u) * self._scale(condition) + self._mean(condition)

    @torch.no_grad()
    def fit(self, v: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> None:
        """Set the map from members and their conditions."""
        numbers = None if condition is None else condition.numbers
        self.mean.copy_(regress_means(self.shift, numbers, v.flatten(2).mean(2)))
        variance = (v - self._mean(condition)).flatten(2).square().mean(2).clamp(min=self.smallest)
        self.log_variance.copy_(regress_log_means(self.stretch, numbers, variance))
        values = self._standardised(v, condition).transpose(0, 1).cpu().numpy()
        self.scores.fit([np.asarray(each) for each in values])
        if self.shift is not None:
            self.reshaped.fit(self.scores(self._standardised(v, condition)), condition)

    def _standardised(self, v: Tensor, condition: Condition | None) -> Tensor:
        return (v - self._mean(condition)) / self._scale(condition)

    def _mean(self, condition: Condition | None) -> Tensor:
        return self._at(self.mean, self.shift, condition)

    def _scale(self, condition: Condition | None) -> Tensor:
        return (0.5 * self._at(self.log_variance, self.stretch, condition)).exp()

    def _at(self, level: Tensor, change: MLP | None, condition: Condition | None) -> Tensor:
        if change is None or condition is None or condition.numbers is None:
            return level.view(self.shape)
        return (level + change(torch.nan_to_num(condition.numbers)).float()).view(self.shape)
