r"""Generated fields whose values and power spectrum are those of the data, in the user's units.

A Gaussian field of normal scores v with the power spectrum of the scores of the data has their values f(v), but not the
power spectrum of these values: that depends on the form of f and on all that is not Gaussian, and rare peaks dominate
it. With P_data the mean power of a shell of wavenumber over members, and P over fields that a trained generator makes
at the conditions of these members, whitened modes are multiplied by sqrt(g(k)),

    g(k) <- g(k) P_data(k) / P(k),     sum_k g(k) S(k) = sum_k S(k),

a few times, so that the variance of the scores, S summed over modes, remains. After each, all values are mapped by an
increasing function to the distribution of those of the data. The mean of a field, k = 0, is not changed.

Source: Yamazaki and Shinozuka 1988 (J. Eng. Mech. 114, 1183) for the iteration.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles.normal_scores import NormalScores
from pushforward.spaces import Field
from pushforward.transport import GaussianDenoiser

__all__ = ["FieldStatistics", "Match", "UserValues"]

_ROWS = 64
"""Fields that are mapped at once."""


class UserValues(nn.Module):
    """Values in the user's units of values in network units, by channel, from a table; the identity at first.

    Arguments:
        channels: of the fields, axis 1 of a batch.
    """

    knots, most = 4096, 2**22
    """Number of entries, and of values that they are interpolated between, if there are many."""

    lowest: Tensor
    width: Tensor
    table: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        line = torch.linspace(-1.0, 1.0, self.knots)
        self.register_buffer("lowest", line[0].repeat(channels, 1))
        self.register_buffer("width", (line[1] - line[0]).repeat(channels, 1))
        self.register_buffer("table", line.repeat(channels, 1))

    def forward(self, v: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Values in the user's units; beyond the outermost members, on the line through the last two knots."""
        rows = v.transpose(0, 1).flatten(1)
        place = (rows - self.lowest) / self.width
        left = place.floor().clamp(0, self.knots - 2)
        low, high = (self.table.gather(1, left.long() + step) for step in (0, 1))
        return torch.lerp(low, high, place - left).view(v.shape[1], len(v), *v.shape[2:]).transpose(0, 1)

    @torch.no_grad()
    def fit(self, v: Float[Tensor, "batch *shape"], values: Float[Tensor, "batch *shape"]) -> None:
        """Set the table from the values of the same members in both units."""
        stride = max(1, v[:, 0].numel() // self.most)
        for channel in range(v.shape[1]):
            rows = [x[:, channel].flatten() for x in (v, values)]
            ends = torch.stack([rows[0].argmin(), rows[0].argmax()])
            network, user = (torch.cat([row[::stride], row[ends]]).double().cpu().numpy() for row in rows)
            order = network.argsort()
            at = np.linspace(network[order[0]], network[order[-1]], self.knots)
            self.lowest[channel], self.width[channel] = float(at[0]), float(max(at[1] - at[0], 1e-12))
            self.table[channel] = torch.from_numpy(np.interp(at, network[order], user[order]))


class Match(nn.Module):
    """What makes generated fields match the data; nothing at first.

    Arguments:
        channels: of the fields, axis 1 of a batch.
        powers: number of shells, of all channels.

    Attributes:
        gain: g of each shell, a factor of the power of whitened modes.
        scores: of the values of fields with this gain.
    """

    gain: Tensor

    def __init__(self, channels: int, powers: int) -> None:
        super().__init__()
        self.register_buffer("gain", torch.ones(powers))
        self.scores = NormalScores(range(channels), axis=1)


class FieldStatistics(nn.Module):
    """Values and mean power of members in the user's units, with their conditions.

    Arguments:
        space: of the fields, in network units.
        condition: space of the conditions.
        spectrum: whose shells are used.
        count: of the fields that are made to be matched; None follows from the space.
    """

    most_values, most_in_rounds = 2**24, 2**22
    """Values of all members, and of those in a round, if these are not too few."""
    rounds, settled = 6, 0.015
    """Most changes of the gain; they end when P_data / P deviates less from its mean, on average over the power."""

    power: Tensor
    numbers: Tensor

    def __init__(
        self, space: Field, condition: ConditionSpace, spectrum: GaussianDenoiser, count: int | None = None
    ) -> None:
        super().__init__()
        self.count = count or min(1024, max(64, self.most_values // space.size))
        self.values = UserValues(space.channels)
        self.scores = NormalScores(range(space.channels), axis=1)
        self.register_buffer("power", torch.zeros(len(spectrum.raw_log_power)))
        self.register_buffer("numbers", torch.zeros(self.count, condition.numbers))

    @property
    def condition(self) -> Condition | None:
        """Conditions at which fields are made to be matched, those of members."""
        return Condition(self.numbers) if self.numbers.shape[1] else None

    @torch.no_grad()
    def fit(
        self,
        v: Float[Tensor, "batch *shape"],
        values: Float[Tensor, "batch *shape"] | None,
        condition: Condition | None,
        spectrum: GaussianDenoiser,
    ) -> None:
        """Set the statistics from members.

        Arguments:
            v: in network units.
            values: the same in the user's units; None to match in network units.
            condition: of the members.
            spectrum: whose shells are used.
        """
        rows = torch.arange(self.count, device=v.device) % len(v)
        chosen = rows.unique()
        if values is not None:
            self.values.fit(v, values)
        if condition is not None and condition.numbers is not None:
            self.numbers.copy_(condition.numbers[rows])
        self.scores.fit([each.cpu().numpy() for each in v[chosen].transpose(0, 1)])
        self.power.copy_(self.powers_of_each(v[chosen], spectrum).mean(0))

    def powers_of_each(
        self, v: Float[Tensor, "batch *shape"], spectrum: GaussianDenoiser
    ) -> Float[Tensor, "batch powers"]:
        """Powers of fields in network units, in the user's units."""
        return torch.cat([spectrum.powers_of_each(self.values(part)) for part in v.split(_ROWS)])

    @torch.no_grad()
    def fit_match(self, match: Match, fields: Callable[[Tensor, int], Tensor], spectrum: GaussianDenoiser) -> None:
        """Set the gain and the scores of generated fields.

        Rare peaks make the power of few fields noisy, but by a factor that hardly depends on the gain. So most rounds
        are made with some of the fields, after that factor has been measured with all of them.

        Arguments:
            match: to set.
            fields: gives the first fields at `condition`, in network units, whose whitened modes have this gain, and
                their number.
            spectrum: of the scores, whose shells are used.
        """
        match.gain.fill_(1.0)
        some = min(self.count, max(64, self.most_in_rounds // spectrum.index.numel()))
        for _ in range(1 if some == self.count else 2):
            wanted = self.power
            if some < self.count:
                part, whole = (self._powers(match, fields(match.gain, count), spectrum) for count in (some, self.count))
                wanted = wanted * part / whole.clamp(min=1e-12)
            self._approach(wanted, match, lambda gain: fields(gain, some), spectrum)
        self.fit_scores(match, fields(match.gain, self.count))

    def _approach(
        self, wanted: Tensor, match: Match, fields: Callable[[Tensor], Tensor], spectrum: GaussianDenoiser
    ) -> None:
        """Change the gain until fields have the powers that are wanted, or keep the best."""
        modes = torch.bincount(spectrum.index.flatten(), minlength=len(self.power))
        variance = modes * spectrum.log_power(self.condition).exp().view(-1, len(modes)).mean(0)
        changed = torch.ones_like(modes, dtype=torch.bool)
        changed[spectrum.index.flatten(1)[:, 0]] = False
        weights = modes * wanted * changed
        least, best = weights.new_tensor(torch.inf), match.gain.clone()
        for _ in range(self.rounds):
            ratio = wanted / self._powers(match, fields(match.gain), spectrum).clamp(min=1e-12)
            level = (weights * ratio).sum() / weights.sum()
            off, uneven = ((weights * (ratio - one).abs()).sum() / weights.sum() for one in (1.0, level))
            if off < least:
                least, best = off, match.gain.clone()
            if uneven < self.settled:
                break
            match.gain.copy_(torch.where(changed, match.gain * ratio.clamp(0.25, 4.0), match.gain))
            match.gain.mul_(variance.sum() / (match.gain * variance).sum())
        match.gain.copy_(best)

    def _powers(self, match: Match, v: Tensor, spectrum: GaussianDenoiser) -> Tensor:
        """Mean powers of fields with the values of the data, in the user's units."""
        self.fit_scores(match, v)
        parts = [self.powers_of_each(self.matched(part, match), spectrum) for part in v.split(_ROWS)]
        return torch.cat(parts).mean(0)

    def fit_scores(self, match: Match, v: Float[Tensor, "batch *shape"]) -> None:
        """Set the scores of generated fields."""
        match.scores.fit([each.cpu().numpy() for each in v.transpose(0, 1)])

    def matched(self, v: Float[Tensor, "batch *shape"], match: Match) -> Tensor:
        """Fields with the values of the data."""
        return self.scores.inverse(match.scores(v))

    def unmatched(self, v: Float[Tensor, "batch *shape"], match: Match) -> Tensor:
        """The inverse of `matched`."""
        return match.scores.inverse(self.scores(v))
