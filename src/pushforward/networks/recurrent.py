"""A network that reads a series observed at irregular times, with values missing: recurrence and waves."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from pushforward.networks.embeddings import refuse
from pushforward.networks.mlp import MLP

__all__ = ["SeriesEncoder"]


class SeriesEncoder(nn.Module):
    r"""What a gated recurrent unit and a set of waves make of the observations of a series.

    The unit reads from the last observation to the first, so that what it read last is what happened first, where a
    state at the initial time is wanted. It is told of each row its values, which of them were observed, the time, and
    the time to the row read before. The waves,

    .. math:: \frac1N \sum_{i} x_i \cos \omega_k t_i, \qquad \frac1N \sum_{i} x_i \sin \omega_k t_i

    over the N observed values less their mean, tell of periods and phases, which a recurrence is slow to learn. Rows of
    which nothing was observed are passed over: they change nothing.

    Arguments:
        dim: numbers observed at each time.
        outputs: length of what is made of a series.
        hidden: length of the recurrent state.
        condition_dim: length of a condition; 0 for none.
        waves: frequencies, evenly from 0 to 3 radians over the time in which series change by about one.

    References:
        Cho et al. 2014, https://arxiv.org/abs/1406.1078; Che et al. 2018 (masks and gaps),
        https://arxiv.org/abs/1606.01865

    >>> encode = SeriesEncoder(dim=2, outputs=3)
    >>> encode(torch.rand(5, 7).sort(1).values, torch.randn(5, 7, 2), torch.rand(5, 7, 2) > 0.3).shape
    torch.Size([5, 3])
    """

    frequencies: Tensor

    def __init__(self, dim: int, outputs: int, hidden: int = 64, condition_dim: int = 0, waves: int = 24) -> None:
        super().__init__()
        self.unit = nn.GRU(2 * dim + 2, hidden, batch_first=True)
        self.register_buffer("frequencies", torch.linspace(0, 3, waves), persistent=False)
        features = hidden + 2 * dim * (waves + 1) + 1 + condition_dim
        self.head = MLP(features, outputs, (2 * hidden, hidden))
        self.skip = nn.Linear(features, outputs)
        self.condition_dim = condition_dim

    def forward(
        self,
        times: Float[Tensor, "batch length"],
        values: Float[Tensor, "batch length dim"],
        seen: Bool[Tensor, "batch length dim"],
        condition: Float[Tensor, "batch condition"] | None = None,
        rate: Tensor | float = 1.0,
    ) -> Float[Tensor, "batch outputs"]:
        """What is made of each series; a series of which nothing was observed gives what the condition alone tells.

        Arguments:
            times: ascending along the rows.
            values: at these times; where they were not observed they may be anything, NaN too.
            seen: which values were observed.
            rate: by which times are multiplied, so that series change by about one over a time of one.
        """
        rows = seen.any(-1)
        waves = self._waves(times, values, seen, rate)
        place = torch.arange(times.shape[1], device=times.device)
        order = torch.where(rows, place, -1).argsort(dim=1, descending=True)
        times, rows = times.gather(1, order), rows.gather(1, order)
        values = torch.where(seen, values, 0.0).gather(1, order[..., None].expand_as(values))
        seen = seen.gather(1, order[..., None].expand_as(seen))
        gaps = torch.cat([torch.zeros_like(times[:, :1]), times[:, :-1] - times[:, 1:]], 1)
        features = [values, seen.to(values), times[..., None], (rate * gaps)[..., None]]
        states, _ = self.unit(torch.cat(features, -1))
        last = (rows.sum(1) - 1).clamp_min(0)
        state = states[torch.arange(len(states), device=states.device), last] * rows.any(1, keepdim=True)
        if self.condition_dim == 0:
            refuse(condition)
        told = [] if condition is None else [condition]
        known = torch.cat([state, waves, *told], 1)
        return self.skip(known) + self.head(known)

    def _waves(self, times: Tensor, values: Tensor, seen: Tensor, rate: Tensor | float) -> Tensor:
        """Means, sums over waves, how many values were observed, and the time of the last row observed."""
        phases = rate * times[..., None] * self.frequencies
        count = seen.sum(1)
        mean = torch.where(seen, values, 0.0).sum(1) / count.clamp_min(1)
        parts = torch.where(seen, values - mean[:, None], 0.0) / count[:, None].clamp_min(1)
        cosines, sines = (torch.einsum("btd,btk->bdk", parts, wave).flatten(1) for wave in (phases.cos(), phases.sin()))
        last = torch.where(seen.any(-1), times, 0.0).amax(1, keepdim=True)
        return torch.cat([mean, cosines, sines, 0.25 * torch.log1p(count), last], 1)
