r"""Chains of transforms for vectors that contain angles.

Angles stay on the circle: after `Angles` they are mapped by circular splines, networks receive their cosine and sine,
and `Probit` maps a uniform angle to a normal code. Scalings and linear mixings act on the other numbers only; couplings
and autoregressive transforms condition each kind on the other.

Source: Rezende et al. 2020 (Normalizing flows on tori and spheres, arXiv:2002.02428), section 2.
"""

from __future__ import annotations

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
    Composition,
    Coupling,
    Inverse,
    LineAndCircle,
    Linear,
    MaskedAutoregressive,
    Monotone,
    OnFeatures,
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
        if number in preprocessing.space.gaps:
            continue  # a gap lies beside the numbers, for which a circle has no room
        if isinstance(support, Angle) and preprocessing.kinds[number] in ("none", "standardise"):
            location, unit, _, mean, deviation, *_ = preprocessing.constants[:, number].tolist()
            centre = ((support.period / 2 - location) / unit - mean) / deviation
            found.append((number, centre, support.period / 2 / unit / deviation))
    return tuple(found)


def circular_couplings(
    dim: int,
    monotone: Monotone,
    condition_dim: int,
    settings: CircleSettings,
    *,
    count: int,
    width: int,
    depth: int,
) -> Transform:
    """Couplings of vectors with angles to normal codes; they keep the first and the last half alternately.

    Arguments:
        dim: length of a vector.
        monotone: the map of each number on the line.
        condition_dim: length of a condition vector; 0 for none.
        settings: the circles.
        count: number of couplings.
        width, depth: hidden features and hidden layers of each network.
    """
    maps = _maps(dim, monotone, settings)
    chain: list[Transform] = [_to_angles(settings)]
    for step in range(count):
        last = step % 2 == 1 and dim > 1
        chain += _scaled_and_mixed(maps)
        # Two features have no orders beyond those of the alternating halves.
        if step and step % 2 == 0 and dim > 2:
            order = shuffle(dim, step)
            maps = maps.permuted(order)
            chain.append(Permutation(order))
        keep = (dim + 1) // 2 if last else dim // 2
        cut = dim - keep if last else keep
        first, second = maps.of(slice(cut)), maps.of(slice(cut, dim))
        kept, changed = (second, first) if last else (first, second)
        network = VectorConditioner(
            keep, maps.parameters * (dim - keep), condition_dim, width, depth, angles=_features(kept, circular=True)
        )
        chain.append(Coupling(changed, network, keep, last=last, seen=kept.seen))
    return Composition([*chain, *_to_codes(maps)])


def circular_autoregressive(
    dim: int,
    monotone: Monotone,
    condition_dim: int,
    settings: CircleSettings,
    *,
    count: int,
    width: int,
    depth: int,
    shuffled: bool = False,
    inverse: bool = False,
) -> Transform:
    """Masked autoregressive transforms of vectors with angles to normal codes.

    Arguments:
        dim, monotone, condition_dim, settings, width, depth: as in `circular_couplings`.
        count: number of transforms.
        shuffled: random orders of the features instead of alternating ones.
        inverse: sample in one pass and compute densities one feature after another, instead of vice versa.
    """
    maps = _maps(dim, monotone, settings)
    chain: list[Transform] = [_to_angles(settings)]
    for step in range(count):
        chain += _scaled(maps)
        if step:
            order = shuffle(dim, step) if shuffled else list(range(dim))[::-1]
            maps = maps.permuted(order)
            chain.append(Permutation(order))
        angles = _features(maps, circular=True)
        network = MADE(dim, maps.parameters, condition_dim, width, depth, angles=angles)
        transform = MaskedAutoregressive(maps, network)
        chain.append(Inverse(transform) if inverse else transform)
    return Composition([*chain, *_to_codes(maps)])


def shuffle(dim: int, step: int) -> list[int]:
    """Random order of ``dim`` features, always the same for a step."""
    return torch.randperm(dim, generator=torch.Generator().manual_seed(step)).tolist()


def _maps(dim: int, monotone: Monotone, settings: CircleSettings) -> LineAndCircle:
    angles = {feature for feature, *_ in settings.circles}
    return LineAndCircle(monotone, CircularSpline(settings.circle_bins), [feature in angles for feature in range(dim)])


def _features(maps: LineAndCircle, *, circular: bool) -> list[int]:
    return [feature for feature, each in enumerate(maps.circular) if each is circular]


def _to_angles(settings: CircleSettings) -> Transform:
    features, centres, halves = zip(*settings.circles, strict=True)
    return OnFeatures(Angles(centres, halves), features)


def _scaled(maps: LineAndCircle) -> list[Transform]:
    line = _features(maps, circular=False)
    return [OnFeatures(ActNorm(len(line)), line)] if line else []


def _scaled_and_mixed(maps: LineAndCircle) -> list[Transform]:
    line = _features(maps, circular=False)
    mix = [Linear(len(line))] if len(line) > 1 else []
    return [OnFeatures(Composition([ActNorm(len(line)), *mix]), line)] if line else []


def _to_codes(maps: LineAndCircle) -> list[Transform]:
    return [*_scaled(maps), OnFeatures(Probit(), _features(maps, circular=True))]
