"""Map from the user's units to network units and back.

Every channel of a Field, or coordinate of a Vector, is mapped by a monotonic function of its values (`pointwise`) to
mean 0 and standard deviation 1. The function is selected from the data (`pointwise_selection`) and reported to the
user; its inverse and log-determinant are exact, so samples and densities are returned in the user's units.

The times of a timed Series run from 0 to 1 over the data. Its missing values are ignored in the fit, and stay missing.

If the amplitude of fluctuations depends strongly on the conditions, fields can first be divided by the amplitude
predicted from them (`amplitude`). A condition field has its own preprocessing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, cast

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles import pointwise
from pushforward.ensembles.amplitude import Amplitude
from pushforward.ensembles.channel_choices import fit_channels
from pushforward.ensembles.channels import channel_axis, channel_name, shortened, trailing_axes
from pushforward.ensembles.encoding import Encoding
from pushforward.ensembles.ensemble import Ensemble, Parameter
from pushforward.ensembles.gap_bands import GapBands
from pushforward.ensembles.levels import Levels
from pushforward.ensembles.normal_scores import NormalScores
from pushforward.ensembles.pointwise_selection import Choice, constants_of
from pushforward.ensembles.precision import laid_along, origin_of, without_origin
from pushforward.ensembles.relations import described, relations_among
from pushforward.ensembles.supports import Supports
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Field, Series, Space, space_from_dict, space_to_dict

__all__ = ["Preprocessing"]

_VALUES = 8 * 2**20
"""Largest number of values used in the fit."""
_FREE = 2**20
"""Number of values up to which all members are used in the fit."""


class Preprocessing(nn.Module):
    """Invertible map of samples, and map of conditions, to network units. Make one with `fit`.

    Arguments:
        space: space of the samples.
        kinds: function of each channel, one of `pointwise.KINDS`.
        reasons: reason of each choice.
        encoding: encoding of the conditions.
        amplitude: amplitude predicted from conditions; None if samples are not divided by it.
        condition_field: preprocessing of the condition field; None if there is none.
        levels: allowed values of discrete channels.
        supports: supports of other channels, if not the real line.
        origin: offset of each channel, subtracted in float64 if its differences need it (see `precision`).
        relations: number of exact linear relations among the values of a sample; a density exists only for 0.
        scores: map of the results to normal scores; None for none.
        gaps: map of continuous columns with missing values, after all else; None for none.
    """

    constants: Tensor

    def __init__(
        self,
        space: Space,
        kinds: Sequence[str],
        reasons: Sequence[str],
        encoding: Encoding,
        amplitude: Amplitude | None = None,
        condition_field: Preprocessing | None = None,
        levels: Levels | None = None,
        supports: Supports | None = None,
        origin: Sequence[float] = (),
        relations: int = 0,
        scores: NormalScores | None = None,
        gaps: GapBands | None = None,
    ) -> None:
        super().__init__()
        self.space = space
        self.kinds = tuple(pointwise.known(kind) for kind in kinds)
        self.reasons = tuple(reasons)
        self.encoding = encoding
        self.amplitude = amplitude
        self.condition_field = condition_field
        self.levels = levels if levels is not None else Levels([None] * len(self.kinds), channel_axis(space))
        self.supports = supports if supports is not None else Supports([None] * len(self.kinds), channel_axis(space))
        self.origin, self.relations, self.scores, self.gaps = tuple(origin), relations, scores, gaps
        # One row per constant: location, unit, exponent, mean, deviation, lower and upper knot, least slope.
        rows = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, -torch.inf, torch.inf, 0.0])
        self.register_buffer("constants", rows[:, None].repeat(1, len(self.kinds)))

    @classmethod
    def fit(
        cls,
        ensemble: Ensemble,
        transform: str | Sequence[str] = "auto",
        members: int = 2048,
        *,
        scale_by_condition: bool = False,
        discrete: bool = False,
    ) -> Self:
        """Fit a preprocessing to the training part of an ensemble, after `Ensemble.check` of the whole.

        Arguments:
            ensemble: training members.
            transform: ``"auto"``, ``"standardise"``, ``"log"``, ``"asinh"``, ``"yeo-johnson"``, ``"none"``, or
                ``"gaussianise"``, which is ``"auto"`` followed by `NormalScores`; for all channels or one per channel.
            members: largest number of members to inspect, if they are large.
            scale_by_condition: whether fluctuations may be divided by the amplitude predicted from conditions, if it
                varies strongly. `forward`, `inverse` and `log_abs_det` then need the conditions.
            discrete: whether whole numbers, and few values that each occur many times, are taken as discrete.

        Raises:
            DataError: if a channel is constant, or an inspected member holds NaN or an infinity.
            UsageError: if a transform is unknown.
        """
        space, index = ensemble.space, _inspected(ensemble, members)
        x, given = ensemble.take_given(index)
        relations, origin = relations_among(space, x), origin_of(space, x)
        x = without_origin(torch.from_numpy(x), origin, space).numpy()
        encoding = Encoding.fit(ensemble.parameters, ensemble.conditions)
        found = fit_channels(ensemble, index, x, transform, scale_by_condition=scale_by_condition, discrete=discrete)
        made = cls(
            space,
            [choice.kind for choice in found.choices],
            [choice.reason for choice in found.choices],
            encoding,
            found.amplitude,
            _of_condition(None if given is None else given.field, ensemble.condition_field),
            found.levels,
            found.supports,
            origin,
            relations,
            NormalScores(found.scored, channel_axis(space)) if found.scored else None,
            GapBands(found.banded) if found.banded else None,
        )
        made._standardise(found.choices, found.values)
        made._place_gaps(x)
        return made

    def _standardise(self, choices: Sequence[Choice], channels: Sequence[np.ndarray]) -> None:
        """Fit the constants of each channel, and the normal scores of the results."""
        constants = [constants_of(choice, values) for choice, values in zip(choices, channels, strict=True)]
        self.constants.copy_(torch.tensor(constants, dtype=torch.float64).T)
        if self.scores is not None:
            self.scores.fit(
                [(choices[n](channels[n]) - constants[n][3]) / constants[n][4] for n in self.scores.channels]
            )

    def _place_gaps(self, x: np.ndarray) -> None:
        """Fit the bands of missing values to samples without their origin."""
        if self.gaps is None:
            return
        z = self._numbers(torch.from_numpy(x).double(), None, 0.5).numpy()[:, list(self.gaps.columns)]
        self.gaps.fit([column[~np.isnan(column)] for column in z.T], np.isnan(z).mean(0).tolist())

    @property
    def parameters_(self) -> tuple[Parameter, ...]:
        """Conditions. (PyTorch uses `parameters` for the weights of a module.)"""
        return self.encoding.conditions

    @property
    def condition_space(self) -> ConditionSpace:
        """Space of the conditions, in network units."""
        field = None if self.condition_field is None else cast(Field, self.condition_field.space)
        return ConditionSpace(self.encoding.dim, field)

    def encode_condition(self, condition: Condition) -> Condition:
        """Map a condition from the user's units to network units.

        Numbers are standardised (some as logarithms), labels become one-hot, so there may be more numbers than before;
        each channel of a condition field is mapped to network units.

        Raises:
            UsageError: if a number is not finite, or not positive where its logarithm is used, or a class is unknown.
        """
        numbers, field = condition.numbers, condition.field
        return Condition(
            None if numbers is None else self.encoding(numbers),
            None if field is None or self.condition_field is None else self.condition_field(field),
        )

    def forward(
        self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None, u: Tensor | float = 0.5
    ) -> Float[Tensor, "batch *shape"]:
        """Samples in network units.

        Arguments:
            x: samples in the user's units, shape ``(batch, *space.shape)``.
            condition: condition in the user's units; needed only if `needs_condition`.
            u: positions of discrete values within their cells, in [0, 1), of the shape of ``x`` (see `Levels`).
        """
        z = self._numbers(without_origin(x, self.origin, self.space), condition, u)
        return z if self.gaps is None else self.gaps(z, u)

    def _numbers(self, x: Tensor, condition: Condition | None, u: Tensor | float) -> Tensor:
        """Network units of samples without their origin, before gaps have a place."""
        y = self.supports(self.levels(x, u), u)
        location, unit, exponent, mean, deviation, *knots = self._constants(y, condition)
        # Differences are tensors of their own, which may be divided in place: a pass over large maps costs as much as
        # most functions of them.
        scaled = (y - location).div_(unit)
        z = (self._each(pointwise.forward, scaled, exponent, *knots) - mean).div_(deviation)
        return z if self.scores is None else self.scores(z)

    def inverse(
        self, z: Float[Tensor, "batch *shape"], condition: Condition | None = None
    ) -> Float[Tensor, "batch *shape"]:
        """Samples in the user's units; inverse of `forward`."""
        z = z if self.gaps is None else self.gaps.inverse(z)
        z = z if self.scores is None else self.scores.inverse(z)
        location, unit, exponent, mean, deviation, *knots = self._constants(z, condition)
        y = self._each(pointwise.inverse, z * deviation + mean, exponent, *knots) * unit + location
        x = self.levels.inverse(self.supports.inverse(y))
        return x.double() + laid_along(self.origin, self.space, x.double()) if self.origin else x

    def log_abs_det(
        self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None, u: Tensor | float = 0.5
    ) -> Float[Tensor, " batch"]:
        """``ln |det dz/dx|`` at ``x`` in the user's units, in nats: add it to the log-density of ``z = forward(x)``.

        Minus infinity if a value is outside the support of a logarithm, or of its channel. For discrete values, the
        volume is that of their cells, of length one.

        Arguments:
            u: as in `forward`.
        """
        given = without_origin(x, self.origin, self.space)
        x = self.levels(given, u)
        y = self.supports(x, u)
        location, unit, exponent, mean, deviation, *knots = self._constants(y, condition)
        scaled = (y - location) / unit
        slope = self._each(pointwise.log_derivative, scaled, exponent, *knots)
        if self.scores is not None:
            v = (self._each(pointwise.forward, scaled, exponent, *knots) - mean) / deviation
            slope = slope + self.scores.log_slope(v)
        slope = slope + self.supports.log_slope(x) - (unit * deviation).log()
        slope = slope if self.gaps is None else self.gaps.log_slope(self._numbers(given, condition, u), slope)
        if self.levels or self.supports:
            slope = slope.where(self.levels.contains(given) & self.supports.contains(given), -torch.inf)
        each = slope.flatten(1)
        # For centred particles, on their degrees of freedom: all coordinates have one scale.
        return each.sum(1) if self.space.degrees == self.space.size else each.mean(1) * self.space.degrees

    def encode_times(self, times: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Times of a Series in network units: 0 to 1 over the data. At even times, the user's unit is one row."""
        first, span = self._time_axis()
        return ((times.double() - first) / span).float()

    def decode_times(self, times: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Inverse of `encode_times`."""
        first, span = self._time_axis()
        return times.double() * span + first if self.origin else times * span + first

    def _time_axis(self) -> tuple[float, float]:
        if not isinstance(self.space, Series):
            raise UsageError(f"only series have times, not {type(self.space).__name__.lower()} data")
        if not self.space.timed:
            return 0.0, float(max(1, self.space.length - 1))
        return float(self.constants[0, 0]) + (self.origin[0] if self.origin else 0.0), float(self.constants[1, 0])

    @property
    def needs_condition(self) -> bool:
        """Whether `forward`, `inverse` and `log_abs_det` need conditions."""
        return self.amplitude is not None

    @property
    def spreads_zeros(self) -> bool:
        """Whether zeros, or missing values, are spread over a band."""
        return self.supports.random or self.gaps is not None

    def describe(self) -> list[str]:
        """One line per choice, for the terminal and the report."""
        lines = [] if self.amplitude is None else [self.amplitude.describe(self.amplitude.bounds)]
        for number, (kind, reason) in enumerate(zip(self.kinds, self.reasons, strict=True)):
            allowed = self.levels.allowed[number]
            support = self.supports.supports[number]
            values = "" if allowed is None else f"{allowed.describe()}, dequantised in the cells i of their levels; "
            values += "" if support is None else f"{support.describe()}; "
            values += f"{self.origin[number]:.10g} taken off; " if self.origin and self.origin[number] else ""
            symbol = "x" if allowed is None else "i"
            formula = pointwise.formula(kind, *self.constants[:5, number].tolist(), x=symbol)
            values += "may be missing; " if number in getattr(self.space, "gaps", ()) else ""
            formula += ", then normal scores" if self.scores is not None and number in self.scores.channels else ""
            lines.append(f"{channel_name(self.space, number)}: {values}{formula} ({reason})")
        field = self.condition_field
        more = [] if field is None else [f"condition: {line}" for line in field.describe()]
        return shortened(lines) + described(self.relations) + self.encoding.describe() + more

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `from_dict`; tensors are in the `state_dict`."""
        return {
            "kind": "pointwise",
            "space": space_to_dict(self.space),
            "channels": [{"kind": k, "reason": r} for k, r in zip(self.kinds, self.reasons, strict=True)],
            "conditions": self.encoding.to_dict(),
            "amplitude": None if self.amplitude is None else self.amplitude.to_dict(),
            "levels": self.levels.to_list(),
            "supports": self.supports.to_list(),
            "origin": list(self.origin),
            "relations": self.relations,
            **({} if self.scores is None else {"scores": self.scores.to_list()}),
            **({} if self.gaps is None else {"gaps": list(self.gaps.columns)}),
            **({} if self.condition_field is None else {"condition_field": self.condition_field.to_dict()}),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Module described by `to_dict`; load its tensors with ``load_state_dict``."""
        channels, space = values["channels"], space_from_dict(values["space"])
        return cls(
            space,
            [each["kind"] for each in channels],
            [each["reason"] for each in channels],
            Encoding.from_dict(values["conditions"]),
            None if values["amplitude"] is None else Amplitude.from_dict(values["amplitude"]),
            cls.from_dict(values["condition_field"]) if "condition_field" in values else None,
            Levels.from_list(values["levels"], channel_axis(space)),
            Supports.from_list(values["supports"], channel_axis(space)),
            values["origin"],
            values["relations"],
            NormalScores.from_list(values["scores"], channel_axis(space)) if "scores" in values else None,
            GapBands(values["gaps"]) if "gaps" in values else None,
        )

    def _constants(self, x: Tensor, condition: Condition | None) -> tuple[Tensor, ...]:
        """Location, unit, exponent, mean, deviation and knots, each in a shape that broadcasts with a batch."""
        trailing = trailing_axes(self.space)
        constants = self.constants.to(x).reshape(8, -1, *[1] * trailing)
        location, unit, exponent, mean, deviation, *knots = constants
        if self.amplitude is not None:
            if condition is None or condition.numbers is None:
                raise UsageError("this preprocessing divides by an amplitude predicted from conditions; give them")
            scale = self.amplitude(condition.numbers).to(x)
            scale = scale.reshape(*scale.shape, *[1] * trailing)
            location, unit = location * scale, unit * scale
        return location, unit, exponent, mean, deviation, *knots

    def _each(self, function: Any, u: Tensor, exponent: Tensor, *knots: Tensor) -> Tensor:
        """Apply the function of each channel; channels of one kind together."""
        kinds = dict.fromkeys(self.kinds)
        if len(kinds) == 1:
            return function(self.kinds[0], u, exponent, pointwise.Knots(*knots))
        axis = channel_axis(self.space)
        own = -1 - trailing_axes(self.space)
        order: list[int] = []
        parts: list[Tensor] = []
        for kind in kinds:
            chosen = [number for number, each in enumerate(self.kinds) if each == kind]
            index = torch.tensor(chosen, device=u.device)
            exponents, *own_knots = (each.index_select(own, index) for each in (exponent, *knots))
            parts.append(function(kind, u.index_select(axis, index), exponents, pointwise.Knots(*own_knots)))
            order += chosen
        back = torch.tensor(order, device=u.device).argsort()
        return torch.cat(parts, axis).index_select(axis, back)


def _inspected(ensemble: Ensemble, members: int) -> NDArray[np.int64]:
    """Indices of the members in the fit, at most ``members`` if they are large, drawn at random from all."""
    size = ensemble.space.size
    count = max(1, min(len(ensemble), max(members, _FREE // size), _VALUES // size))
    return np.sort(np.random.default_rng(0).permutation(len(ensemble))[:count])


def _of_condition(fields: Tensor | None, space: Space | None) -> Preprocessing | None:
    """Preprocessing of the condition fields, if there are any.

    Raises:
        DataError: if a channel of them is constant.
    """
    if fields is None:
        return None
    try:
        ensemble = Ensemble.from_array(fields.numpy(), space=space, name="the condition")
        return Preprocessing.fit(ensemble, members=len(fields))
    except DataError as problem:
        raise DataError(f"the condition fields cannot be used: {problem}") from None
