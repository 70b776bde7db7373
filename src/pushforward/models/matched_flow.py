r"""Samples of a flow with the values and the power spectrum of the members, by an invertible map after the flow.

A network that is not trained to the end makes fields whose values and power are off by some per cent, most of all where
there is little power. Both are known from members, so they are corrected after training, by

    x -> h(G x),        G: modes of wavenumber k times sqrt(g(k)),        h: increasing, value by value,

with g and h from samples at the conditions of members, compared with several members at about the same conditions (see
`field_matching`). Both are invertible, so densities and codes remain exact. The gain of a shell and the changes of
values are made only as far as they are significant,

    ln g -> ln g max(0, 1 - 2 s^2 / r^2),        h(q) - q -> (h(q) - q) max(0, 1 - 2 / <(h(q) - q)^2 / s_q^2>),

with r the logarithm of the ratio of powers of members and samples, s the standard error of r or of h(q) - q, from the
scatter over samples of the difference between a sample and the mean of the members beside it, and < > the mean over
quantiles q. A change is shrunk as by James and Stein 1961 and left out where it does not pay for its parameter (Akaike
1974), so that few members do not impose their noise. g is kept within 1/1.5 and 1.5. Beyond the outermost quantiles h
may bring values closer together, but not further apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles.normal_scores import NormalScores
from pushforward.models.field_matching import FieldStatistics, Match
from pushforward.models.model import Batch, Completion, Watch
from pushforward.randomness import Draws
from pushforward.spaces import Field
from pushforward.transport import GaussianDenoiser

__all__ = ["MatchedFlow", "Unmatched"]

Draw = Callable[[Draws, Condition | None], Tensor]
"""Samples of the flow from draws, at conditions."""


class Unmatched(nn.Module):
    """Leaves samples of a flow as they are: for what is not a homogeneous field."""

    def completion(self, seen: int, members: int) -> Completion | None:
        """What `complete` would do after training on so many samples, with so many members; None for nothing."""
        return None

    def complete(self, draw: Draw, batch: Batch, seen: int, spectrum: GaussianDenoiser, watch: Watch) -> None:
        """Fit to samples of the flow.

        Arguments:
            draw: gives samples of the flow at conditions.
            batch: members, with values in the user's units if possible.
            seen: number of samples that were trained on.
            spectrum: whose shells are used.
            watch: shows the progress.
        """

    def reset(self) -> None:
        """Return to the identity."""

    def forward(self, x: Float[Tensor, "batch *shape"], spectrum: GaussianDenoiser) -> Float[Tensor, "batch *shape"]:
        """Corrected samples."""
        return x

    def inverse(self, x: Float[Tensor, "batch *shape"], spectrum: GaussianDenoiser) -> Float[Tensor, "batch *shape"]:
        """The samples of the flow whose corrections are ``x``; the inverse of `forward`."""
        return x

    def log_volume(self, x: Float[Tensor, "batch *shape"], spectrum: GaussianDenoiser) -> Float[Tensor, " batch"]:
        """ln |d inverse(x) / dx| of each sample, in nats."""
        return x.new_zeros(len(x))


class MatchedFlow(Unmatched):
    """The map after the flow, in network units; the identity until `complete`.

    Arguments:
        space: of the fields.
        condition: space of their conditions.
        powers: number of shells of the spectrum, of all channels.
        cost: time of a sample, in units of that of training on one.

    Attributes:
        done: whether it is fitted to the present weights.
    """

    fewest, most, most_values = 128, 512, 2**24
    """Numbers of samples that it is fitted to, and most values of all of them, or of the members."""
    share = 0.125
    """Time for these samples, relative to that of the training."""
    beside = 4
    """Members that each sample is compared with, if there are so many."""
    drawn = 64
    """Samples that are drawn at once."""
    largest = 1.5
    """Largest gain, and inverse of the smallest: beyond it, power rests on rare peaks and g is mostly their noise."""

    done: Tensor

    def __init__(self, space: Field, condition: ConditionSpace, powers: int, cost: float) -> None:
        super().__init__()
        self.space, self.condition, self.cost = space, condition, cost
        self.match = Match(space.channels, powers)
        self.scores = NormalScores(range(space.channels), axis=1)
        self.register_buffer("done", torch.zeros((), dtype=torch.long))

    def completion(self, seen: int, members: int) -> Completion | None:
        count = self._count(seen, members)
        if not count:
            return None
        line = f"matching {count} samples to P(k) and the values of the members"
        wanted = max(count, min(self.beside * count, self.most_values // self.space.size))
        return Completion(line, min(members, wanted), count * self.cost)

    @torch.no_grad()
    def complete(self, draw: Draw, batch: Batch, seen: int, spectrum: GaussianDenoiser, watch: Watch) -> None:
        self.reset()
        given, count, made = batch.condition, self._count(seen, len(batch.x)), []
        for start in range(0, count, self.drawn):
            watch("samples", start / count)
            rows = slice(start, min(start + self.drawn, count))
            draws = Draws(start, rows.stop - start, device=batch.x.device)
            made.append(draw(draws, None if given is None else given[rows]))
        self.fit(torch.cat(made), batch, spectrum)

    def reset(self) -> None:
        self.done.zero_()

    @torch.no_grad()
    def fit(self, made: Float[Tensor, "count *shape"], members: Batch, spectrum: GaussianDenoiser) -> None:
        """Set the gain and the maps of values.

        Arguments:
            made: samples of the flow, at the conditions of the first members.
            members: at least as many, with values in the user's units if possible.
            spectrum: whose shells are used.
        """
        rows = _nearest(members, len(made), self.beside).to(made.device).flatten()
        values = None if members.values is None else members.values[rows]
        given = None if members.condition is None else members.condition[rows]
        x = members.x[rows]
        statistics = _SignificantStatistics(self.space, self.condition, spectrum, x).to(made.device)
        statistics.fit(x, values, given, spectrum)
        statistics.fit_match(self.match, lambda gain, count: spectrum.scaled(made[:count], gain), spectrum)
        significance = self._significance(made, x, statistics, spectrum)
        self.match.gain.pow_(significance).clamp_(1 / self.largest, self.largest)
        statistics.fit_scores(self.match, spectrum.scaled(made, self.match.gain))
        self.scores.load_state_dict(statistics.changed.state_dict())
        self.done.fill_(1)

    def forward(self, x: Float[Tensor, "batch *shape"], spectrum: GaussianDenoiser) -> Float[Tensor, "batch *shape"]:
        return self.scores.inverse(self.match.scores(spectrum.scaled(x, self.match.gain))) if self.done else x

    def inverse(self, x: Float[Tensor, "batch *shape"], spectrum: GaussianDenoiser) -> Float[Tensor, "batch *shape"]:
        if not self.done:
            return x
        return spectrum.scaled(self.match.scores.inverse(self.scores(x)), 1 / self.match.gain)

    def log_volume(self, x: Float[Tensor, "batch *shape"], spectrum: GaussianDenoiser) -> Float[Tensor, " batch"]:
        if not self.done:
            return x.new_zeros(len(x))
        inner = self.match.scores.inverse(self.scores(x))
        slopes = self.scores.log_slope(x) - self.match.scores.log_slope(inner)
        return slopes.flatten(1).sum(1) - 0.5 * self.match.gain.log()[spectrum.index].sum()

    def _count(self, seen: int, members: int) -> int:
        """Number of samples to fit to; 0 if time or members allow too few."""
        count = min(self.share * seen / self.cost, members, self.most, self.most_values / self.space.size)
        return int(count) if count >= self.fewest else 0

    def _significance(
        self, made: Tensor, x: Tensor, statistics: FieldStatistics, spectrum: GaussianDenoiser
    ) -> Float[Tensor, " powers"]:
        """Significant share of the logarithm of each gain, from each sample and the members beside it."""
        unchanged = Match(self.space.channels, len(self.match.gain)).to(made.device)
        statistics.fit_scores(unchanged, made)
        made = statistics.matched(made, unchanged)
        ours, theirs = (statistics.powers_of_each(fields, spectrum) for fields in (made, x))
        theirs = theirs.view(len(made), -1, theirs.shape[1]).mean(1)
        ours_mean, theirs_mean = (each.mean(0).clamp(min=1e-12) for each in (ours, theirs))
        error = (theirs / theirs_mean - ours / ours_mean).std(0) / len(made) ** 0.5
        return _significant(error, (theirs_mean / ours_mean).log())


class _SignificantStatistics(FieldStatistics):
    """Values of members, to which generated values are changed only as far as the difference is significant.

    Arguments:
        space, condition, spectrum: of `FieldStatistics`.
        members: as many beside each generated field, in the order of these.

    Attributes:
        changed: the inverse of the map from normal scores of generated fields to their changed values.
    """

    def __init__(
        self,
        space: Field,
        condition: ConditionSpace,
        spectrum: GaussianDenoiser,
        members: Float[Tensor, "members *shape"],
    ) -> None:
        super().__init__(space, condition, spectrum, len(members))
        self.changed = NormalScores(range(space.channels), axis=1)
        self.sorted = members.flatten(2).sort(2).values

    def fit_scores(self, match: Match, v: Float[Tensor, "batch *shape"]) -> None:
        """Set the scores of generated fields, and the changed value of each of their quantiles."""
        super().fit_scores(match, v)
        scores, own = match.scores, v.flatten(2).sort(2).values
        z, ours = scores.edges, scores.quantiles
        theirs = self.scores.inverse(z[None])[0]
        shares = _shares(own, ours) - _shares(self.sorted, theirs).view(len(v), -1, *ours.shape).mean(1)
        density = scores.slopes * torch.exp(-0.5 * z.square()) / math.tau**0.5
        error = shares.std(0) / len(v) ** 0.5 / density
        # One share for all quantiles of a channel: their own would leave kinks.
        off = ((theirs - ours) / error).square().mean(1, keepdim=True).sqrt()
        change = (theirs - ours) * _significant(torch.ones_like(off), off)
        self.changed.set_quantiles(z, ours + change, least=scores.slopes[:, [0, -1]])

    def matched(self, v: Float[Tensor, "batch *shape"], match: Match) -> Tensor:
        """Fields whose values are changed as far as the difference from members is significant."""
        return self.changed.inverse(match.scores(v))

    def unmatched(self, v: Float[Tensor, "batch *shape"], match: Match) -> Tensor:
        """The inverse of `matched`."""
        return match.scores.inverse(self.changed(v))


def _shares(rows: Float[Tensor, "fields channels cells"], values: Float[Tensor, "channels knots"]) -> Tensor:
    """Share of the sorted cells of each field below each value, (fields, channels, knots)."""
    below = torch.searchsorted(rows, values.expand(len(rows), -1, -1).contiguous())
    return below / rows.shape[2]


def _significant(error: Tensor, found: Tensor) -> Tensor:
    """max(0, 1 - 2 s^2 / r^2) of a difference r with standard error s; 0 where there is no difference."""
    return (1 - 2 * (error / found).square()).nan_to_num(0.0, 0.0, 0.0).clamp(min=0)


def _nearest(members: Batch, count: int, most: int) -> Int[Tensor, "count beside"]:
    """Members whose conditions are nearest to those of each of the first; equally near ones in a random order."""
    beside = max(1, min(most, len(members.x) // count))
    if members.condition is None:
        return torch.arange(count * beside).view(count, beside)
    places = members.condition.flat().nan_to_num().double().cpu().numpy()
    # Small beside differences of conditions: it decides only between members with equal ones, such as labels.
    order = 1e-3 * np.random.default_rng(0).random((len(places), 1))
    places = np.concatenate([places, order], axis=1)
    _, nearest = cKDTree(places).query(places[:count], k=range(1, beside + 1))
    return torch.from_numpy(nearest)
