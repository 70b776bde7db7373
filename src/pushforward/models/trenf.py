r"""TRENF: a flow of periodic fields that commutes with translations, rotations and reflections.

Layers of two maps, each of which treats all places and directions alike,

    x̂_k ← T(|k|) x̂_k   (waves scaled by their length),     x ← f(x)   (the values of cells, by a monotone spline),

so that the density of a field is that of every shifted or turned copy: with few parameters, a likelihood for isotropic
random fields whose first layer alone is exact for Gaussian ones. Channels are mixed by an invertible matrix. T, f, the
matrix, and the mean and scale of each channel depend on the condition.

Source: Dai and Seljak 2022 (arXiv:2202.05282).
"""

from __future__ import annotations

from pydantic import Field as Setting

from pushforward.errors import UsageError
from pushforward.models.discrete_cells import DiscreteSettings
from pushforward.models.flow import Flow
from pushforward.networks import VectorConditioner
from pushforward.spaces import Field
from pushforward.transforms import (
    ActNorm,
    Affine,
    Composition,
    Elementwise,
    Flatten,
    FourierScaling,
    Linear,
    Spline,
    Transform,
)

__all__ = ["TRENF"]


class TRENFSettings(DiscreteSettings):
    """
    Attributes:
        layers: pairs of a scaling of waves and a spline of values.
        knots: of log T in log k.
        bins, bound: of the splines, as for `nsf`.
        width: hidden features of the networks that see the condition.
    """

    layers: int = Setting(default=6, ge=1)
    knots: int = Setting(default=16, ge=2)
    bins: int = Setting(default=8, ge=2)
    bound: float = Setting(default=5.0, gt=0)
    width: int = Setting(default=64, ge=1)


class TRENF(Flow):
    """An equivariant flow of periodic, isotropic maps and cubes, with exact densities and codes.

    A field with borders is taken as if it wrapped around: a density still, but one that knows nothing of the borders,
    which `fit` says.

    Raises:
        UsageError: if the space is not a field.
    """

    Settings = TRENFSettings
    settings: TRENFSettings

    def advice(self) -> list[str]:
        if getattr(self.space, "periodic", True):
            return []
        return [
            "trenf takes fields as periodic, and these are not said to be: its density knows nothing of their borders; "
            "give --periodic if they wrap around, or use glow, realnvp or tarflow"
        ]

    def chain(self) -> Transform:
        space, settings = self.space, self.settings
        if not isinstance(space, Field):
            raise UsageError(f"trenf learns fields, not {space.kind} data; realnvp and nsf learn vectors")
        channels, chain = space.channels, list[Transform]()
        for layer in range(settings.layers):
            waves = FourierScaling(channels, space.grid, settings.knots, self._given(channels * (settings.knots + 1)))
            spline = Spline(settings.bins, settings.bound)
            mix = [Linear(channels, self._given(channels**2))] if channels > 1 else []
            # The spectrum is divided out first, about the mean of all cells.
            chain += [*([] if layer else self._first()), *mix, waves]
            chain += [Elementwise(spline, channels, self._given(channels * spline.parameters))]
        last = FourierScaling(channels, space.grid, settings.knots, self._given(channels * (settings.knots + 1)))
        return Composition([*chain, last, ActNorm(channels), Flatten(space.shape)])

    def _first(self) -> list[Transform]:
        given = self._given(Affine.parameters * self.space.shape[0])
        scaled = [] if given is None else [Elementwise(Affine(), self.space.shape[0], given)]
        return [ActNorm(self.space.shape[0]), *scaled]

    def _given(self, outputs: int) -> VectorConditioner | None:
        if not self.condition.numbers:
            return None
        return VectorConditioner(0, outputs, self.condition.numbers, self.settings.width, 2)
