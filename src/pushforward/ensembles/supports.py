r"""Supports of continuous values: with exact zeros, positive, between two bounds, or angles.

Each is a map to the real line and back, so that no sample leaves the support. With x in the user's units,

    zeros       y = -w (1/4 + u) where x = 0, u in [0, 1);   ln(x / unit) or x / unit elsewhere (>= 0 for x seen)
    positive    y = x + unit ln(1 - exp(-x / unit)),         the inverse of softplus: y = x for x >> unit
    interval    y = ln(t / (1 - t)),  t = (x - low) / (high - low)
    angle       y = (x - cut) mod period,                    cut in the emptiest gap
    within      y = x;  in the inverse, values beyond an end are reflected at it, or moved to it

A zero has a probability, not a density: log-densities are comparable among samples with the same number of zeros.

Source: for the first, uniform dequantisation as in `levels`, of one value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import log
from typing import Any, Self

import torch
from torch import Tensor, nn

from pushforward.ensembles.pointwise import known

__all__ = ["Angle", "Interval", "Positive", "Support", "Supports", "Within", "Zeros"]


@dataclass(frozen=True)
class Zeros:
    """Values that are exactly zero or positive.

    Where the logarithm is used, positive values below the smallest seen, y = ln(x / unit) < 0, go to y g / (g - y) with
    g = width / 8: above -g, hence above the band of zeros.

    Attributes:
        unit: smallest positive value, or the unit of the values if ``largest`` is None.
        width: width of the band that zeros are spread over.
        largest: largest value for which the logarithm is used.
        slope: slope of the straight line beyond it, per ``largest``: at least a standard deviation of y.
        most: upper bound at which the data are cut off; None if there is none.
    """

    unit: float
    width: float
    largest: float | None = None
    slope: float = 1.0
    most: float | None = None

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        positive = x.clamp_min(0) / self.unit
        if self.largest is not None:
            inside = x.clamp(torch.finfo(x.dtype).tiny, self.largest)
            y = (inside / self.unit).log()
            below = y.clamp_max(0)
            positive = y - below + below * self._gap / (self._gap - below)
            positive = positive + self.slope * (x / self.largest - 1).clamp_min(0)
        return torch.where(x <= 0, -self.width * (0.25 + u), positive)

    def contains(self, x: Tensor) -> Tensor:
        return x >= 0

    def inverse(self, y: Tensor) -> Tensor:
        positive = y.clamp_min(0) * self.unit
        if self.largest is not None:
            top = log(self.largest / self.unit)
            below = y.clamp(-self._gap, 0)
            below = below * self._gap / (self._gap + below).clamp_min(torch.finfo(y.dtype).tiny)
            positive = (y.clamp(0, top) + below).exp() * self.unit
            positive = positive + (y - top).clamp_min(0) * self.largest / self.slope
        positive = positive if self.most is None else positive.clamp_max(self.most)
        return torch.where(y < -self._gap, 0.0, positive)

    def log_slope(self, x: Tensor) -> Tensor:
        slope = torch.full_like(x, -log(self.unit))
        if self.largest is not None:
            inside = x.clamp_min(torch.finfo(x.dtype).tiny)
            below = (inside / self.unit).log().clamp_max(0)
            within = -inside.log() - 2 * torch.log1p(-below / self._gap)
            slope = torch.where(x <= self.largest, within, log(self.slope / self.largest))
        return torch.where(x <= 0, log(self.width), slope)

    @property
    def _gap(self) -> float:
        """g: width of the interval below the smallest value seen that smaller ones are mapped to."""
        return self.width / 8

    def describe(self) -> str:
        upto = "" if self.most is None else f" up to {self.most:g}"
        return f"zero or positive{upto}, zeros spread below the smallest"


@dataclass(frozen=True)
class Positive:
    """Values above zero.

    Attributes:
        unit: scale far above which values are unchanged.
    """

    unit: float

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        scaled = (x / self.unit).clamp_min(1e-30)
        return self.unit * (scaled + torch.log(-torch.expm1(-scaled)))

    def inverse(self, y: Tensor) -> Tensor:
        x = self.unit * nn.functional.softplus(y / self.unit, threshold=80.0)
        return x.clamp_min(max(1e-30 * self.unit, torch.finfo(x.dtype).tiny))

    def contains(self, x: Tensor) -> Tensor:
        return x > 0

    def log_slope(self, x: Tensor) -> Tensor:
        return -torch.log(-torch.expm1(-(x / self.unit).clamp_min(1e-30)))

    def describe(self) -> str:
        return "positive"


@dataclass(frozen=True)
class Within:
    """Values that are unchanged by the map, and stay between two ends.

    Attributes:
        low, high: ends; None if unbounded.
        piled: whether values pile up at the ends (saturated, or clipped): values beyond are then moved to the end.
            Otherwise they are reflected there, which preserves the density at the end.
        piles: ends at which values pile up; none lies beyond.
        possible: whether values below a lower end of zero are possible, though none was seen: they have a density.
    """

    low: float | None = None
    high: float | None = None
    piled: bool = False
    piles: tuple[float, ...] = ()
    possible: bool = False

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        return x

    def inverse(self, y: Tensor) -> Tensor:
        if not self.piled and self.low is not None:
            y = torch.where(y < self.low, 2 * self.low - y, y)
        if not self.piled and self.high is not None:
            y = torch.where(y > self.high, 2 * self.high - y, y)
        return y.clamp(self.low, self.high)

    def contains(self, x: Tensor) -> Tensor:
        # A bound without a pile is only the extreme of the values seen.
        inside = x >= 0 if self.low == 0 and not self.possible else torch.ones_like(x, dtype=torch.bool)
        for end in self.piles:
            inside &= x >= end - _rounding(end) if end == self.low else x <= end + _rounding(end)
        return inside

    def log_slope(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def describe(self) -> str:
        piles = " and ".join(f"{end:.5g}" for end in self.piles)
        piles = f", values pile up at {piles}" if piles else ""
        if self.high is None:
            return f"not negative{piles}" if self.low == 0 else f"from {self.low:.5g}{piles}"
        lower = "" if self.low is None else f"from {self.low:.5g} "
        return f"{lower}{'to' if lower else 'up to'} {self.high:.5g}{piles}"


def _rounding(end: float) -> float:
    """Largest distance from an end that is rounding in float32."""
    return 1e-6 * max(1e-30, abs(end))


@dataclass(frozen=True)
class Interval:
    """Values from ``low`` to ``high``."""

    low: float
    high: float

    def _share(self, x: Tensor) -> Tensor:
        return ((x - self.low) / (self.high - self.low)).clamp(1e-6, 1 - 1e-6)

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        return torch.logit(self._share(x))

    def inverse(self, y: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * torch.sigmoid(y)

    def contains(self, x: Tensor) -> Tensor:
        rounding = 1e-6 * (self.high - self.low)
        return (x >= self.low - rounding) & (x <= self.high + rounding)

    def log_slope(self, x: Tensor) -> Tensor:
        share = self._share(x)
        return -(share * (1 - share)).log() - log(self.high - self.low)

    def describe(self) -> str:
        return f"from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Angle:
    """Values on a circle, from ``start`` to ``start + period``, cut open at ``cut``."""

    start: float
    period: float
    cut: float

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        return torch.remainder(x - self.cut, self.period)

    def inverse(self, y: Tensor) -> Tensor:
        turned = torch.remainder(y + (self.cut - self.start), self.period)
        # In float32 the remainder of a number just below zero is the period itself.
        return self.start + torch.where(turned >= self.period, 0.0, turned)

    def contains(self, x: Tensor) -> Tensor:
        return x.isfinite()

    def log_slope(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def describe(self) -> str:
        return f"an angle of period {self.period:g}, cut open at {self.cut:.4g}"


Support = Zeros | Positive | Within | Interval | Angle
_KINDS: dict[str, type[Support]] = {
    "within": Within,
    "zeros": Zeros,
    "positive": Positive,
    "interval": Interval,
    "angle": Angle,
}


class Supports(nn.Module):
    """Maps of the channels of a sample to the real line, and back; channels without a support are unchanged.

    Arguments:
        supports: support of each channel, or None.
        axis: channel axis of a batch.
    """

    def __init__(self, supports: Sequence[Support | None], axis: int) -> None:
        super().__init__()
        self.supports, self.axis = tuple(supports), axis

    def __bool__(self) -> bool:
        return any(each is not None for each in self.supports)

    @property
    def reshapes(self) -> bool:
        """Whether the map to the real line changes values."""
        return any(not isinstance(each, Within | None) for each in self.supports)

    @property
    def random(self) -> bool:
        """Whether values are spread at random, differently in every batch."""
        return any(isinstance(each, Zeros) for each in self.supports)

    def forward(self, x: Tensor, u: Tensor | float = 0.5) -> Tensor:
        """Values on the real line; ``u`` as in `Levels.forward`."""
        if not self.reshapes:
            return x
        places = torch.full_like(x, u) if isinstance(u, float) else u
        pairs = zip(self.supports, x.unbind(self.axis), places.unbind(self.axis), strict=True)
        return torch.stack([x if each is None else each.forward(x, u) for each, x, u in pairs], self.axis)

    def inverse(self, y: Tensor) -> Tensor:
        """Values within their supports."""
        return self._each(y, lambda each, y: each.inverse(y), lambda y: y)

    def contains(self, x: Tensor) -> Tensor:
        """Whether each value is in its support, bool; missing values (NaN) are."""
        return self._each(
            x, lambda each, x: each.contains(x) | x.isnan(), lambda x: torch.ones_like(x, dtype=torch.bool)
        )

    def log_slope(self, x: Tensor) -> Tensor:
        """``ln dy/dx``; at zeros that are spread over a band, the logarithm of the band's width."""
        return self._each(x, lambda each, x: each.log_slope(x), torch.zeros_like)

    def _each(self, x: Tensor, function: Any, otherwise: Any) -> Tensor:
        if not self:
            return otherwise(x)
        pairs = zip(self.supports, x.unbind(self.axis), strict=True)
        return torch.stack([otherwise(x) if each is None else function(each, x) for each, x in pairs], self.axis)

    def to_list(self) -> list[dict[str, Any] | None]:
        """Plain values for `from_list`."""
        names = {kind: name for name, kind in _KINDS.items()}
        return [None if each is None else {"kind": names[type(each)], **asdict(each)} for each in self.supports]

    @classmethod
    def from_list(cls, values: Sequence[dict[str, Any] | None], axis: int) -> Self:
        """Supports from the plain values of `to_list`.

        Raises:
            UsageError: if a kind is unknown.
        """
        for each in values:
            if each is not None:
                known(each["kind"], tuple(_KINDS))
        made = []
        for each in values:
            own: dict[str, Any] = {} if each is None else dict(each)
            if "piles" in own:
                own["piles"] = tuple(own["piles"])
            made.append(None if each is None else _KINDS[own.pop("kind")](**own))
        return cls(made, axis)
