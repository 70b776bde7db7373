r"""Glow: couplings of channels at several scales of a field.

At each level the grid is halved, its blocks become channels, and steps of [ActNorm, invertible 1x1 convolution,
coupling] follow; then half of the channels are coded, given the other half, which go on to the next level. On periodic
fields the convolutions wrap around. Affine couplings are Glow's own; splines reshape the values of a cell as well.

Source: Kingma and Dhariwal 2018 (arXiv:1807.03039).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Setting

from pushforward.errors import UsageError
from pushforward.models.chains import halvings
from pushforward.models.discrete_cells import DiscreteSettings
from pushforward.models.flow import Flow
from pushforward.networks import FieldConditioner
from pushforward.spaces import Field
from pushforward.transforms import (
    ActNorm,
    Affine,
    Composition,
    Coupling,
    Flatten,
    Linear,
    Monotone,
    Spline,
    Split,
    Squeeze,
    Transform,
)

__all__ = ["Glow"]


class GlowSettings(DiscreteSettings):
    """
    Attributes:
        levels: times that the grid is halved; None halves it while its sides are even and at least 4.
        couplings: steps at each level.
        width: channels of each coupling's network.
        depth: residual blocks of each coupling's network.
        monotone: the map of each value, "affine" or "spline".
        bins, bound: of the splines, as for `nsf`.
    """

    levels: int | None = Setting(default=None, ge=1)
    couplings: int = Setting(default=6, ge=1)
    width: int = Setting(default=48, ge=1)
    depth: int = Setting(default=1, ge=1)
    monotone: Literal["affine", "spline"] = "spline"
    bins: int = Setting(default=8, ge=2)
    bound: float = Setting(default=5.0, gt=0)


class Glow(Flow):
    """A multiscale flow of maps and cubes, with exact densities and codes.

    Raises:
        UsageError: if the space is not a field, or its grid cannot be halved.
    """

    Settings = GlowSettings
    takes_field = True
    settings: GlowSettings

    def chain(self) -> Transform:
        space = self.space
        if not isinstance(space, Field):
            raise UsageError(f"glow learns fields, not {space.kind} data; realnvp and nsf learn vectors")
        levels = halvings(space.grid, self.settings.levels)
        return self._level(space.channels, space.grid, levels, space.periodic)

    def _level(self, channels: int, grid: tuple[int, ...], levels: int, periodic: bool) -> Transform:
        channels, grid = channels * 2 ** len(grid), tuple(cells // 2 for cells in grid)
        steps = self._steps(channels, grid, 0, periodic)
        if levels == 1:
            return Composition([Squeeze(), *steps, Flatten((channels, *grid))])
        keep = channels // 2
        others = Composition([ActNorm(channels - keep), self._coupling(channels - keep, 0, grid, keep, periodic)])
        rest = self._level(keep, grid, levels - 1, periodic)
        return Composition([Squeeze(), *steps, Split((channels, *grid), keep, others, rest)])

    def _steps(self, channels: int, grid: tuple[int, ...], context: int, periodic: bool) -> list[Transform]:
        chain: list[Transform] = []
        for step in range(self.settings.couplings):
            coupling = self._coupling(channels, channels // 2, grid, context, periodic, last=step % 2 == 1)
            chain += [ActNorm(channels), Linear(channels), coupling]
        return [*chain, ActNorm(channels)]

    def _coupling(
        self, channels: int, keep: int, grid: tuple[int, ...], context: int, periodic: bool, *, last: bool = False
    ) -> Coupling:
        monotone = self._monotone()
        network = FieldConditioner(
            keep,
            monotone.parameters * (channels - keep),
            context + self.condition.channels,
            self.settings.width,
            self.settings.depth,
            dims=len(grid),
            periodic=periodic,
        )
        return Coupling(monotone, network, keep, last=last)

    def _monotone(self) -> Monotone:
        return Affine() if self.settings.monotone == "affine" else Spline(self.settings.bins, self.settings.bound)
