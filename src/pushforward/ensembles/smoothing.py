r"""Smoothing of the rougher of two ensembles of periodic fields, so that values are compared at one resolution.

Where one ensemble shows the other through a wider beam, or gas that follows smoothed matter, a value of one is a
function of the values around it in the other. After the filter

    F(k) = min(1, sqrt(P_smooth(k) / P_rough(k))),

it is nearly a function of the value in its place, which the rank map of values can find. P_rough is the spectrum after
smoothing and this rank map, by iteration; both spectra are in units of their power at the largest scales. The filter
never amplifies, and can be undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from typing import Any, Self, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition
from pushforward.ensembles.delegation import Delegating
from pushforward.ensembles.ensemble import Ensemble
from pushforward.ensembles.preprocessing import Preprocessing
from pushforward.spaces import Field, Space
from pushforward.statistics import power_spectrum

__all__ = ["SmoothedPreprocessing", "Smoothing", "smoothing_between"]

_MEMBERS = 512
"""Largest number of members of each ensemble whose spectra are measured."""
_LARGEST_SCALES = 3
"""Number of shells of the smallest wavenumbers, by whose power spectra are normalised."""
_TRIVIAL, _SMALLEST = 0.85, 0.05
"""Mean above which a filter is within the scatter of the spectra, and is left out; smallest value of a filter, whose
inverse amplifies noise."""
_ROUNDS = 4
"""Iterations of the filter."""
_FITTED = 2048
"""Largest number of smoothed members that the preprocessing is fitted to."""
_VALUES = 2**22
"""Largest number of values of each ensemble that are ranked."""


class Smoothing(nn.Module):
    """Isotropic filter F(k) of periodic fields, one for each channel; the identity until `fit`.

    Arguments:
        space: of the fields.

    Attributes:
        factor: F of each channel and mode, in the layout of `torch.fft.rfftn`.
        least: smallest value that the inverse may give.
    """

    factor: Tensor
    least: Tensor

    def __init__(self, space: Field) -> None:
        super().__init__()
        self.grid = space.grid
        self.register_buffer("factor", torch.ones(space.channels, *space.grid[:-1], space.grid[-1] // 2 + 1))
        # The inverse amplifies noise, which must not turn nonnegative fields negative.
        self.register_buffer("least", torch.tensor(-torch.inf))

    @classmethod
    def fit(cls, space: Field, rough: Tensor, smooth: Tensor) -> Self:
        """The filter that gives rough fields the power spectrum of smooth ones, up to a factor.

        Arguments:
            space: of both.
            rough, smooth: shape ``(n, *space.shape)``, as many of both.
        """
        made = cls(space)
        shells, coarse = _relative_power(smooth)
        factor = _clipped(coarse / _relative_power(rough)[1])
        made._set(shells, factor)
        for _ in range(_ROUNDS):
            _, remaining = _relative_power(_ranked(made(rough), smooth))
            factor = np.clip(factor * _clipped(coarse / remaining, most=4.0), _SMALLEST, 1)
            made._set(shells, factor)
        least = float(rough.min())
        made.least.fill_(least if least >= 0 else -torch.inf)
        return made

    def _set(self, shells: np.ndarray, factor: np.ndarray) -> None:
        """Interpolate the filter from shells to modes; means are left unchanged."""
        k = _wavenumbers(self.grid)
        self.factor.copy_(torch.from_numpy(np.stack([np.interp(k, shells, row) for row in factor])))
        self.factor.flatten(1)[:, 0] = 1.0

    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Smoothed fields."""
        return self._filtered(x, self.factor)

    def inverse(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Fields whose smoothing is ``x``."""
        return self._filtered(x, 1 / self.factor).clamp(min=self.least.item())

    def _filtered(self, x: Tensor, factor: Tensor) -> Tensor:
        axes = tuple(range(2, x.dim()))
        return torch.fft.irfftn(torch.fft.rfftn(x, dim=axes) * factor.to(x), s=self.grid, dim=axes)


class SmoothedPreprocessing(Delegating):
    """A `Preprocessing` of smoothed fields; other attributes are those of the preprocessing.

    Arguments:
        smoothing: applied first, and undone last.
        inner: preprocessing fitted to smoothed fields.
    """

    delegate = "inner"
    smoothing: Smoothing
    inner: Preprocessing

    def __init__(self, smoothing: Smoothing, inner: Preprocessing) -> None:
        super().__init__()
        self.smoothing, self.inner = smoothing, inner

    @classmethod
    def fit(cls, smoothing: Smoothing, ensemble: Ensemble, transform: Any, **options: bool) -> Self:
        """Fit the preprocessing to smoothed training members; see `Preprocessing.fit`."""
        smoothed = smoothing(torch.from_numpy(ensemble.take(_spread(len(ensemble), _FITTED)))).numpy()
        return cls(
            smoothing, Preprocessing.fit(Ensemble.from_array(smoothed, space=ensemble.space), transform, **options)
        )

    def forward(self, x: Tensor, condition: Condition | None = None, u: Tensor | float = 0.5) -> Tensor:
        z: Tensor = self.inner(self.smoothing(x), condition, u)
        return z

    def inverse(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.smoothing.inverse(self.inner.inverse(z, condition))

    def describe(self) -> list[str]:
        """One line per choice, for the terminal and the report."""
        least = float(self.smoothing.factor.min())
        return [f"smoothed like the other ensemble, waves by a factor of {least:.2g} to 1", *self.inner.describe()]

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "smoothed", "inner": self.inner.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        inner = Preprocessing.from_dict(values["inner"])
        return cls(Smoothing(cast(Field, inner.space)), inner)


def smoothing_between(a: Ensemble, b: Ensemble) -> tuple[str, Smoothing] | None:
    """The rougher of two ensembles, ``"a"`` or ``"b"``, and its filter.

    None if their spectra have about the same shape, and for all but periodic fields of one shape with finite values.
    """
    if not (_can_be_smoothed(a.space) and _can_be_smoothed(b.space) and a.space.shape == b.space.shape):
        return None
    space = cast(Field, a.space)
    most = max(1, min(_MEMBERS, _VALUES // a.space.size))
    most = min(most, len(a), len(b))
    x, y = (torch.from_numpy(each.take(_spread(len(each), most))) for each in (a, b))
    if not (bool(x.isfinite().all()) and bool(y.isfinite().all())):
        return None
    found = {"a": Smoothing.fit(space, x, y), "b": Smoothing.fit(space, y, x)}
    side = min(found, key=lambda name: float(found[name].factor.mean()))
    return (side, found[side]) if float(found[side].factor.mean()) < _TRIVIAL else None


@singledispatch
def _can_be_smoothed(space: Space) -> bool:
    """Whether samples are periodic fields with more shells than those that normalise the spectrum."""
    return False


@_can_be_smoothed.register
def _(space: Field) -> bool:
    return space.periodic and min(space.grid) >= 2 * (_LARGEST_SCALES + 1)


def _spread(members: int, most: int) -> np.ndarray:
    """Indices of at most ``most`` members, drawn at random from all."""
    return np.sort(np.random.default_rng(0).permutation(members)[:most])


def _clipped(ratio: np.ndarray, most: float = 1.0) -> np.ndarray:
    """Root of a ratio of powers, between `_SMALLEST` and ``most``."""
    found: np.ndarray = np.sqrt(np.clip(ratio, _SMALLEST**2, most**2))
    return found


def _ranked(x: Tensor, y: Tensor) -> Tensor:
    """Values of each channel of x replaced by those of y of the same rank; as many members of both."""
    rows, values = x.transpose(0, 1).flatten(1), y.transpose(0, 1).flatten(1).sort(1).values
    mapped = torch.empty_like(rows).scatter_(1, rows.argsort(1), values)
    return mapped.reshape(x.shape[1], len(x), *x.shape[2:]).transpose(0, 1)


def _relative_power(x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """|k| in units of the fundamental, and P(k) of each channel in units of that of the largest scales."""
    found = power_spectrum(x, None, "all")
    mean = found.power.mean(0).clamp(min=1e-30)
    fundamental = 2 * np.pi / max(x.shape[2:])
    return found.k.numpy() / fundamental, (mean / mean[:, :_LARGEST_SCALES].mean(1, keepdim=True)).numpy()


def _wavenumbers(grid: tuple[int, ...]) -> np.ndarray:
    """|k| of each mode in units of the fundamental of the longest axis."""
    axes = [np.fft.fftfreq(cells) * max(grid) for cells in grid[:-1]] + [np.fft.rfftfreq(grid[-1]) * max(grid)]
    square = sum(k**2 for k in np.meshgrid(*axes, indexing="ij"))
    return np.sqrt(np.asarray(square))
