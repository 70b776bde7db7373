"""Coordinates in which a generator and its critic work: standardised wavelet coefficients of samples.

Statistically homogeneous fields that are generated from a map of noise are mapped to normal scores and whitened first:
at every wavenumber and condition, coefficients then have mean zero and unit variance (see `ConditionalScores` and
`GaussianField`), and white noise stands for Gaussian fields with the spectrum and the values of the data. Once trained,
samples are matched to both in the user's units (see `pushforward.models.field_matching`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.models.conditional_scores import ConditionalScores
from pushforward.models.field_matching import FieldStatistics, Match
from pushforward.models.model import Completion
from pushforward.models.power_normalisation import PowerNormalisation
from pushforward.models.stationary import GaussianField
from pushforward.models.wavelet_bands import WaveletBands
from pushforward.spaces import Field, Space

__all__ = ["GeneratorCoordinates"]

_ROWS = 64
"""Members that are mapped at once."""


class Finish(nn.Module):
    """What samples of a trained generator of whitened fields need: set by `GeneratorCoordinates.complete`.

    Arguments:
        space: of the fields.
        condition: space of their conditions.

    Attributes:
        whitener: mean and spectrum of generated fields at each condition.
        match: of the samples with the data.
        done: whether both are set for the present weights.
    """

    done: Tensor

    def __init__(self, space: Field, condition: ConditionSpace) -> None:
        super().__init__()
        self.whitener = GaussianField(space, condition).requires_grad_(False)
        self.match = Match(space.channels, len(self.whitener.spectrum.raw_log_power))
        self.register_buffer("done", torch.zeros((), dtype=torch.long))


class GeneratorCoordinates(nn.Module):
    """Samples to coefficients and back.

    Arguments:
        space: of the samples.
        halvings: of a field's grid (see `WaveletBands`).
        condition: space of the conditions.
        whitened: whiten fields by a `GaussianField`, which is fitted before training.

    Attributes:
        space: of the coefficients.
    """

    most_values = 2**24
    """Values of all members that a `GaussianField` is fitted to, if these are not too few."""

    def __init__(
        self, space: Space, halvings: int, condition: ConditionSpace = ConditionSpace(), *, whitened: bool = False
    ) -> None:
        super().__init__()
        self.bands = WaveletBands(space, halvings)
        self.scores: ConditionalScores | None = None
        self.gaussian: GaussianField | None = None
        self.normalisation: PowerNormalisation | None = None
        self.statistics: FieldStatistics | None = None
        self.finish: Finish | None = None
        if whitened:
            field = cast(Field, space)
            # Fitted once, before the game, to more members than a batch has.
            self.scores = ConditionalScores(field, condition)
            self.gaussian = GaussianField(field, condition).requires_grad_(False)
            self.normalisation = PowerNormalisation(self.gaussian.spectrum)
            self.statistics = FieldStatistics(field, condition, self.gaussian.spectrum)
            self.finish = Finish(field, condition)
        self.samples, self.condition = space, condition
        self.space = self.bands.space

    def forward(
        self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None, *, finished: bool = False
    ) -> Float[Tensor, "batch *coefficients"]:
        """Coefficients of samples.

        Arguments:
            x: samples in network units.
            condition: of each.
            finished: the inverse of `inverse` with this argument.
        """
        if self.gaussian is not None and self.scores is not None:
            match = self._match if finished else None
            if match is not None and self.statistics is not None:
                x = self.statistics.unmatched(x, match)
            x = self.gaussian.whiten(self.scores(x, condition), condition)
            if match is not None:
                x = self.gaussian.spectrum.scaled(x, 1 / match.gain)
        return self.bands(x)

    def inverse(
        self,
        coefficients: Float[Tensor, "batch *coefficients"],
        condition: Condition | None = None,
        *,
        finished: bool = False,
    ) -> Float[Tensor, "batch *shape"]:
        """Samples from coefficients, matched to the data if ``finished``."""
        x, match = self.bands.inverse(coefficients), self._match if finished else None
        if self.gaussian is None:
            return x
        if match is None or self.statistics is None:
            return self._values(x, None, condition)
        return self.statistics.matched(self._values(x, match.gain, condition), match)

    @property
    def fitted_to(self) -> int:
        """Number of members to initialise from; 0 for those of one batch."""
        return 0 if self.gaussian is None else min(1024, max(64, self.most_values // self.space.size))

    def initialise(
        self,
        x: Float[Tensor, "batch *shape"],
        condition: Condition | None = None,
        values: Float[Tensor, "batch *shape"] | None = None,
    ) -> None:
        """Set means, scales and spectrum from members.

        Arguments:
            x: members in network units.
            condition: of each.
            values: the same members in the user's units, if these are functions of ``x`` value by value.
        """
        if self.gaussian is None or self.scores is None or self.statistics is None:
            self.bands.initialise(x)
            return
        self.scores.fit(x, condition)
        scores = [self.scores(x[part], _at(condition, part)) for part in _parts(len(x))]
        self.gaussian.fit(torch.cat(scores), condition)
        self.statistics.fit(x, values, condition, self.gaussian.spectrum)

    def scores_and_values(
        self, x: Float[Tensor, "batch *shape"], condition: Condition | None
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, "batch *shape"]]:
        """Normal scores of samples of a homogeneous field, and their values in the user's units."""
        assert self.scores is not None
        assert self.statistics is not None
        parts = [(x[part], _at(condition, part)) for part in _parts(len(x))]
        scores = torch.cat([self.scores(each, given) for each, given in parts])
        return scores, torch.cat([self.statistics.values(each) for each, _ in parts])

    def user_values(self, scores: Float[Tensor, "batch *shape"], condition: Condition | None) -> Tensor:
        """Values in the user's units of normal scores."""
        assert self.scores is not None
        assert self.statistics is not None
        return self.statistics.values(self.scores.inverse(scores, condition))

    def normalised(
        self, coefficients: Float[Tensor, "batch *coefficients"], *, update: bool = False
    ) -> Float[Tensor, "batch *coefficients"]:
        """Generated coefficients of whitened fields with unit power (see `power_normalisation`)."""
        if self.gaussian is None or self.normalisation is None:
            return coefficients
        fields = self.bands.inverse(coefficients)
        return self.bands(self.normalisation(fields, self.gaussian.spectrum, update=update))

    def whitened(
        self, coefficients: Float[Tensor, "batch *coefficients"], condition: Condition | None
    ) -> Float[Tensor, "batch *coefficients"]:
        """Coefficients of a trained generator, with mean zero and unit power at every condition."""
        if self.finish is None:
            return coefficients
        return self.bands(self.finish.whitener.whiten(self.bands.inverse(coefficients), condition))

    def train(self, mode: bool = True) -> Self:
        if mode and self.finish is not None:
            self.finish.done.zero_()
        return super().train(mode)

    @property
    def completion(self) -> Completion | None:
        """What `complete` would do; None for nothing."""
        if self.finish is None or self.statistics is None or self.finish.done:
            return None
        return Completion(f"matching {self.statistics.count} samples to P(k) and the values of the members")

    @torch.no_grad()
    def complete(self, draw: Callable[[Condition | None, int], Tensor]) -> None:
        """Set what samples of a trained generator need, unless it is set for the present weights.

        Arguments:
            draw: gives coefficients at conditions, and how many.
        """
        if self.finish is None or self.statistics is None or self.gaussian is None or self.finish.done:
            return
        given, whitener = self.statistics.condition, self.finish.whitener
        fields = self.bands.inverse(draw(given, self.statistics.count))
        whitener.fit(fields, given)
        parts = _parts(len(fields))
        white = torch.cat([whitener.whiten(fields[part], _at(given, part)) for part in parts])

        def values(gain: Tensor, count: int) -> Tensor:
            return torch.cat([self._values(white[part], gain, _at(given, part)) for part in _parts(count)])

        self.statistics.fit_match(self.finish.match, values, self.gaussian.spectrum)
        self.finish.done.fill_(1)

    @property
    def _match(self) -> Match | None:
        return None if self.finish is None else self.finish.match

    def _values(self, w: Tensor, gain: Tensor | None, condition: Condition | None) -> Tensor:
        """Fields in network units from whitened ones, the power of whose modes is multiplied by a gain."""
        assert self.gaussian is not None
        assert self.scores is not None
        w = w if gain is None else self.gaussian.spectrum.scaled(w, gain)
        return self.scores.inverse(self.gaussian.colour(w, condition), condition)


def _parts(count: int) -> list[slice]:
    return [slice(start, min(start + _ROWS, count)) for start in range(0, count, _ROWS)]


def _at(condition: Condition | None, part: slice) -> Condition | None:
    return None if condition is None else condition[part]
