r"""Chains of transforms for vectors that contain angles.

Angles stay on the circle: after `Angles` they are mapped by circular splines, networks receive their cosine and sine,
and `Probit` maps a uniform angle to a normal code. The other numbers are scaled and mixed among themselves, and each
kind is transformed given the other.

Source: Rezende et al. 2020 (Normalizing flows on tori and spheres, arXiv:2002.02428), section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field as Setting

from pushforward.ensembles.supports import Angle
from pushforward.models.discrete_cells import DiscreteSettings
from pushforward.networks import MADE, VectorConditioner
from pushforward.transforms import (
    ActNorm,
    Angles,
    CircularSpline,
    Columns,
    Composition,
    Coupling,
    Inverse,
    Linear,
    MaskedAutoregressive,
    Monotone,
    Part,
    Permutation,
    Probit,
    Transform,
)

__all__ = ["CircleSettings", "circles_of", "circular_autoregressive", "circular_couplings", "shuffle"]


class CircleSettings(DiscreteSettings):
    """
    Attributes:
        circles: for each column that is an angle, its index, the coordinate of the angle 0 and half of the
            circumference, in network units. Determined from the data.
        circle_bins: bins of the splines of angles.
    """

    circles: tuple[tuple[int, float, float], ...] = ()
    circle_bins: int = Setting(default=8, ge=2)


def circles_of(preprocessing: Any) -> tuple[tuple[int, float, float], ...]:
    """The `CircleSettings.circles` of a preprocessing; empty if no column of a vector is an angle."""
    supports = getattr(preprocessing, "supports", None)
    if not supports or preprocessing.space.kind != "vector":
        return ()
    found = []
    for number, support in enumerate(supports.supports):
        if isinstance(support, Angle) and preprocessing.kinds[number] in ("none", "standardise"):
            location, unit, _, mean, deviation, *_ = preprocessing.constants[:, number].tolist()
            centre = ((support.period / 2 - location) / unit - mean) / deviation
            found.append((number, centre, support.period / 2 / unit / deviation))
    return tuple(found)


def circular_couplings(
    dim: int, monotone: Monotone, condition_dim: int, settings: CircleSettings, sizes: tuple[int, int, int]
) -> Transform:
    """Couplings of the first and the last half alternately, in random orders.

    Arguments:
        dim: length of a vector.
        monotone: the map of numbers of the line.
        condition_dim: length of a condition vector; 0 for none.
        settings: the circles.
        sizes: number of couplings; hidden features and hidden layers of each network.
    """
    count, width, depth = sizes
    kinds = _kinds(dim, monotone, settings)
    chain: list[Transform] = [_begun(settings)]
    for step in range(count):
        last = step % 2 == 1 and dim > 1
        chain += _mixed(kinds)
        # Of two numbers, the alternating halves are all possible orders.
        if step and step % 2 == 0 and dim > 2:
            order = shuffle(dim, step)
            kinds = Columns(kinds.line, kinds.circle, [kinds.circular[place] for place in order])
            chain.append(Permutation(order))
        keep = (dim + 1) // 2 if last else dim // 2
        changed, kept = (kinds.of(slice(dim - keep)), kinds.of(slice(dim - keep, dim)))
        if not last:
            kept, changed = kinds.of(slice(keep)), kinds.of(slice(keep, dim))
        network = VectorConditioner(
            keep, kinds.parameters * (dim - keep), condition_dim, width, depth, angles=_places(kept, circular=True)
        )
        chain.append(Coupling(changed, network, keep, last=last, seen=kept.seen))
    return Composition([*chain, *_ended(kinds)])


def circular_autoregressive(
    dim: int,
    monotone: Monotone,
    condition_dim: int,
    settings: CircleSettings,
    sizes: tuple[int, int, int],
    *,
    shuffled: bool = False,
    inverse: bool = False,
) -> Transform:
    """Masked autoregressive transforms in alternating or random orders; other arguments as of `circular_couplings`."""
    count, width, depth = sizes
    kinds = _kinds(dim, monotone, settings)
    chain: list[Transform] = [_begun(settings)]
    for step in range(count):
        chain += _scaled(kinds)
        if step:
            order = shuffle(dim, step) if shuffled else list(range(dim))[::-1]
            kinds = Columns(kinds.line, kinds.circle, [kinds.circular[place] for place in order])
            chain.append(Permutation(order))
        angles = _places(kinds, circular=True)
        network = MADE(dim, kinds.parameters, condition_dim, width, depth, angles=angles)
        transform = MaskedAutoregressive(kinds, network)
        chain.append(Inverse(transform) if inverse else transform)
    return Composition([*chain, *_ended(kinds)])


def shuffle(dim: int, step: int) -> list[int]:
    """A random order of some features, the same for the same step."""
    return torch.randperm(dim, generator=torch.Generator().manual_seed(step)).tolist()


def _kinds(dim: int, monotone: Monotone, settings: CircleSettings) -> Columns:
    angles = {place for place, *_ in settings.circles}
    return Columns(monotone, CircularSpline(settings.circle_bins), [place in angles for place in range(dim)])


def _places(kinds: Columns, *, circular: bool) -> list[int]:
    return [place for place, each in enumerate(kinds.circular) if each is circular]


def _begun(settings: CircleSettings) -> Transform:
    places, centres, halves = zip(*settings.circles, strict=True)
    return Part(Angles(centres, halves), places)


def _scaled(kinds: Columns) -> list[Transform]:
    line = _places(kinds, circular=False)
    return [Part(ActNorm(len(line)), line)] if line else []


def _mixed(kinds: Columns) -> list[Transform]:
    line = _places(kinds, circular=False)
    mix = [Linear(len(line))] if len(line) > 1 else []
    return [Part(Composition([ActNorm(len(line)), *mix]), line)] if line else []


def _ended(kinds: Columns) -> Sequence[Transform]:
    return [*_scaled(kinds), Part(Probit(), _places(kinds, circular=True))]
