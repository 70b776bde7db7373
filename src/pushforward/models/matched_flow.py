r"""Samples of a flow with the values and the power spectrum of the members, by an invertible map after the flow.

A network that is not trained to the end makes fields whose values and power are off by some per cent, most of all where
there is little power. Both are known from members, so they are corrected after training, by

    x -> h(G x),        G: modes of wavenumber k times sqrt(g(k)),        h: increasing, value by value,

with g and h from samples at the conditions of members, compared with several members at about the same conditions (see
`field_matching`). Both are invertible, so densities and codes remain exact. The gain of a shell is corrected only as
far as it is significant,

    ln g -> ln g max(0, 1 - s^2 / r^2),

with r the logarithm of the ratio of powers of members and samples, and s its standard error, so that few members do not
impose their noise (James and Stein 1961).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor, nn

from pushforward.conditions import ConditionSpace
from pushforward.ensembles.normal_scores import NormalScores
from pushforward.models.field_matching import FieldStatistics, Match
from pushforward.models.model import Batch
from pushforward.spaces import Field
from pushforward.transport import GaussianDenoiser

__all__ = ["MatchedFlow"]


class MatchedFlow(nn.Module):
    """The map after the flow, in network units; the identity until `fit`.

    Arguments:
        space: of the fields.
        powers: number of shells of the spectrum, of all channels.

    Attributes:
        done: whether it is fitted to the present weights.
    """

    fewest, most, most_values = 64, 512, 2**24
    """Numbers of samples that it is fitted to, and most values of all of them, or of the members."""
    share = 0.125
    """Time for these samples, relative to that of the training."""
    beside = 4
    """Members that each sample is compared with, if there are so many."""

    done: Tensor

    def __init__(self, space: Field, powers: int) -> None:
        super().__init__()
        self.space = space
        self.match = Match(space.channels, powers)
        self.scores = NormalScores(range(space.channels), axis=1)
        self.register_buffer("done", torch.zeros((), dtype=torch.long))

    def count(self, affordable: float) -> int:
        """Number of samples to fit to, of those that are affordable; 0 if these are too few."""
        count = min(affordable, self.most, self.most_values / self.space.size)
        return int(count) if count >= self.fewest else 0

    def members(self, count: int, available: int) -> int:
        """Number of members to compare so many samples with, of those that are available."""
        return min(available, max(count, min(self.beside * count, self.most_values // self.space.size)))

    def reset(self) -> None:
        """Return to the identity."""
        self.done.zero_()

    @torch.no_grad()
    def fit(
        self,
        made: Float[Tensor, "count *shape"],
        members: Batch,
        condition: ConditionSpace,
        spectrum: GaussianDenoiser,
    ) -> None:
        """Set the gain and the maps of values.

        Arguments:
            made: samples of the flow, at the conditions of the first members.
            members: at least as many, with values in the user's units if possible.
            condition: space of their conditions.
            spectrum: whose shells are used.
        """
        index = _beside(members, len(made), self.beside).to(made.device)
        rows = index.flatten()
        values = None if members.values is None else members.values[rows]
        given = None if members.condition is None else members.condition[rows]
        x = members.x[rows]
        statistics = FieldStatistics(self.space, condition, spectrum, len(rows)).to(made.device)
        statistics.fit(x, values, given, spectrum)
        statistics.fit_match(self.match, lambda gain, count: spectrum.scaled(made[:count], gain), spectrum)
        self.match.gain.pow_(self._significance(made, x, statistics, spectrum))
        self.match.scores.fit([each.cpu().numpy() for each in spectrum.scaled(made, self.match.gain).transpose(0, 1)])
        self.scores.load_state_dict(statistics.scores.state_dict())
        self.done.fill_(1)

    def forward(self, x: Float[Tensor, "batch *shape"], spectrum: GaussianDenoiser) -> Float[Tensor, "batch *shape"]:
        """Samples of samples of the flow."""
        return self.scores.inverse(self.match.scores(spectrum.scaled(x, self.match.gain))) if self.done else x

    def inverse(self, x: Float[Tensor, "batch *shape"], spectrum: GaussianDenoiser) -> Float[Tensor, "batch *shape"]:
        """Samples of the flow of samples."""
        if not self.done:
            return x
        return spectrum.scaled(self.match.scores.inverse(self.scores(x)), 1 / self.match.gain)

    def log_volume(self, x: Float[Tensor, "batch *shape"], spectrum: GaussianDenoiser) -> Float[Tensor, " batch"]:
        """ln |d inverse(x) / dx| of each sample, in nats."""
        if not self.done:
            return x.new_zeros(len(x))
        inner = self.match.scores.inverse(self.scores(x))
        slopes = self.scores.log_slope(x) - self.match.scores.log_slope(inner)
        return slopes.flatten(1).sum(1) - 0.5 * self.match.gain.log()[spectrum.index].sum()

    def _significance(
        self, made: Tensor, x: Tensor, statistics: FieldStatistics, spectrum: GaussianDenoiser
    ) -> Float[Tensor, " powers"]:
        """Significant share of the logarithm of each gain, from each sample and the members beside it."""
        unchanged = Match(self.space.channels, len(self.match.gain)).to(made.device)
        unchanged.scores.fit([each.cpu().numpy() for each in made.transpose(0, 1)])
        made = statistics.matched(made, unchanged)
        ours, theirs = (statistics.powers_of_each(fields, spectrum) for fields in (made, x))
        theirs = theirs.view(len(made), -1, theirs.shape[1]).mean(1)
        ours_mean, theirs_mean = (each.mean(0).clamp(min=1e-12) for each in (ours, theirs))
        error = (theirs / theirs_mean - ours / ours_mean).std(0) / len(made) ** 0.5
        return (1 - (error / (theirs_mean / ours_mean).log()).square()).nan_to_num(0.0, 0.0, 0.0).clamp(min=0)


def _beside(members: Batch, count: int, most: int) -> Int[Tensor, "count beside"]:
    """Members whose conditions are nearest to those of each of the first; any members without conditions."""
    beside = max(1, min(most, len(members.x) // count))
    if members.condition is None:
        return torch.arange(count * beside).view(count, beside)
    places = members.condition.flat().nan_to_num().double().cpu().numpy()
    _, nearest = cKDTree(places).query(places[:count], k=range(1, beside + 1))
    return torch.from_numpy(nearest)
