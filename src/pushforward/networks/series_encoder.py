"""Encoder of irregularly sampled series with missing values."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.networks.condition_fields import refuse_field
from pushforward.networks.linear import Linear
from pushforward.networks.mlp import MLP

__all__ = ["SeriesEncoder"]


class SeriesEncoder(nn.Module):
    r"""MLP on windowed Fourier sums of a series.

    Its inputs are, for every frequency :math:`\omega_k` and every window :math:`w_m`,

    .. math::
        \frac1N \sum_{i} w_m(t_i)\, x_i \cos \omega_k t_i, \qquad \frac1N \sum_{i} w_m(t_i)\, x_i \sin \omega_k t_i

    over the N observed values minus their mean, and the same sums with ones in place of the values, which encode the
    sampling pattern: the transform of a series with gaps is that of the whole series convolved with that of its
    sampling. The first window is constant, the others are Gaussians. The sums contain no weights, so no gradient runs
    along a series, and a series of any length costs one matrix product.

    Arguments:
        dim: numbers observed at each time.
        outputs: length of the encoding.
        hidden: features of the perceptron.
        condition: space of the conditions, without a field.
        waves: number of frequencies, evenly spaced from 0 to 3 radians per time in which series change by about one.
        windows: number of Gaussian windows, over times from 0 to 1, in addition to the constant one.

    References:
        Scargle 1982, https://doi.org/10.1086/160554 (Fourier sums of uneven samples); Gabor 1946, J. IEE 93, 429
        (waves in windows)

    >>> encode = SeriesEncoder(dim=2, outputs=3)
    >>> encode(torch.rand(5, 7).sort(1).values, torch.randn(5, 7, 2), torch.rand(5, 7, 2) > 0.3).shape
    torch.Size([5, 3])
    """

    frequencies: Tensor
    centres: Tensor

    def __init__(
        self,
        dim: int,
        outputs: int,
        hidden: int = 128,
        condition: ConditionSpace = ConditionSpace(),
        waves: int = 32,
        windows: int = 4,
    ) -> None:
        super().__init__()
        refuse_field(self, condition)
        self.register_buffer("frequencies", torch.linspace(0, 3, waves), persistent=False)
        self.register_buffer("centres", torch.linspace(0, 1, windows), persistent=False)
        features = 2 * dim * (2 * waves * (1 + windows) + 1) + 1 + condition.numbers
        self.first = Linear(features, hidden)
        self.head = MLP(hidden, outputs, (hidden, hidden))
        self.skip = Linear(hidden, outputs)
        self.condition = condition

    def forward(
        self,
        times: Float[Tensor, "batch length"],
        values: Float[Tensor, "batch length dim"],
        seen: Bool[Tensor, "batch length dim"],
        condition: Condition | None = None,
        rate: Tensor | float = 1.0,
    ) -> Float[Tensor, "batch outputs"]:
        """Encoding of each series; without any observation it depends on the condition alone.

        Arguments:
            times: in any order.
            values: at these times; entries that were not observed may hold anything, even NaN.
            seen: which values were observed.
            rate: factor on the times, chosen such that series change by about one per unit of time.
        """
        numbers = self.condition.numbers_of(condition)
        told = [] if numbers is None else [numbers]
        known = self.first(torch.cat([self._waves(times, values, seen, rate), *told], 1))
        return self.skip(known) + self.head(known)

    def _waves(self, times: Tensor, values: Tensor, seen: Tensor, rate: Tensor | float) -> Tensor:
        """Windowed Fourier sums, means, number of observed values, and time of the last observed row."""
        count = seen.sum(1)
        share = seen / count[:, None].clamp_min(1)
        mean = (torch.where(seen, values, 0.0) * share).sum(1)
        parts = torch.cat([torch.where(seen, values - mean[:, None], 0.0) * share, share], -1)
        phases = rate * times[..., None] * self.frequencies
        waves = torch.cat([phases.cos(), phases.sin()], -1)
        sums = [torch.einsum("btd,btk->bdk", parts, waves)]
        bells = len(self.centres)
        if bells:
            bell = torch.exp(-0.5 * ((times[..., None] - self.centres) * (1.5 * bells)).square())
            sums.append(torch.einsum("btdm,btk->bdmk", parts[..., None] * bell[:, :, None], bells * waves).flatten(2))
        last = torch.where(seen.any(-1), times, 0.0).amax(1, keepdim=True)
        return torch.cat([*(each.flatten(1) for each in sums), mean, 0.25 * torch.log1p(count), last], 1)
