r"""Chains of transforms from samples of a space to codes, the building blocks of the flow families.

On a `Vector` a chain is [scale, mix, transform] repeated. On a `Field` the same chain, with convolutions, models the
details of each wavelet level given the field that they refine (see `Multiscale`) or, without levels, the field itself
by couplings of one half of a checkerboard given the other.

Sources: Dinh, Sohl-Dickstein and Bengio 2017 (arXiv:1605.08803); Kingma and Dhariwal 2018 (arXiv:1807.03039); Yu,
Derpanis and Brubaker 2020 (arXiv:2010.13821); Albergo, Kanwar and Shanahan 2019 (arXiv:1904.12072).
"""

from __future__ import annotations

from functools import partial, singledispatch
from math import prod
from typing import Literal

from pydantic import Field as Setting

from pushforward.errors import UsageError
from pushforward.models.circular_chains import (
    CircleSettings,
    circular_autoregressive,
    circular_couplings,
    shuffle,
)
from pushforward.networks import MADE, FieldConditioner, VectorConditioner
from pushforward.spaces import Field, Space, Vector
from pushforward.transforms import (
    ActNorm,
    Composition,
    Coupling,
    Flatten,
    FourierScaling,
    Inverse,
    Linear,
    MaskedAutoregressive,
    MaskedCoupling,
    Monotone,
    Multiscale,
    Permutation,
    Transform,
    checkerboard,
)

__all__ = ["AutoregressiveSettings", "CouplingSettings", "autoregressive_chain", "coupling_chain", "halvings"]

# Dense networks model a coarsest field of few values better: they see all cells and their positions.
_DENSE_SIZE = 64
_SMALLEST_SIDE = 4
# Defaults of a chain on vectors, and of one on fields.
_COUPLINGS, _WIDTH = 10, 128
_FIELD_COUPLINGS, _FIELD_WIDTH = 4, 32


class CouplingSettings(CircleSettings):
    """
    Attributes:
        couplings: number in the chain; on a field, in the chain of each level. None follows from the space.
        width: hidden features of each coupling's network; None follows from the space.
        depth: hidden layers of each coupling's network; on a field, residual blocks.
        levels: number of halvings of a field; 0 couples its cells by a checkerboard, which suits periodic lattices;
            None halves it as often as possible down to a few cells.
    """

    couplings: int | None = Setting(default=None, ge=1)
    width: int | None = Setting(default=None, ge=1)
    depth: int = Setting(default=2, ge=1)
    levels: int | None = Setting(default=None, ge=0)


class AutoregressiveSettings(CircleSettings):
    """
    Attributes:
        transforms: number of autoregressive transforms in the chain.
        width: hidden features of each transform's network.
        depth: hidden layers of each transform's network.
        order: of the numbers in each transform: "reversed" with respect to the one before, or "random".
    """

    transforms: int = Setting(default=5, ge=1)
    width: int = Setting(default=128, ge=1)
    depth: int = Setting(default=2, ge=1)
    order: Literal["reversed", "random"] = "reversed"


@singledispatch
def coupling_chain(
    space: Space, monotone: Monotone, condition_dim: int, settings: CouplingSettings, *, given_field: bool = False
) -> Transform:
    """Couplings of a space's samples to codes ``(batch, space.size)``.

    Arguments:
        space: of the samples.
        monotone: the map of each value.
        condition_dim: length of a condition vector, or channels of a condition field; 0 for none.
        settings: sizes.
        given_field: whether the condition is a field on the grid of the samples.

    Raises:
        UsageError: if the space has no couplings, or a field's grid cannot be halved.
    """
    raise UsageError(f"couplings need vectors or fields, not {type(space).__name__.lower()}")


@coupling_chain.register
def _(
    space: Vector, monotone: Monotone, condition_dim: int, settings: CouplingSettings, *, given_field: bool = False
) -> Transform:
    if settings.circles:
        return circular_couplings(
            space.dim,
            monotone,
            condition_dim,
            settings,
            count=settings.couplings or _COUPLINGS,
            width=settings.width or _WIDTH,
            depth=settings.depth,
        )
    return _dense(space.dim, monotone, condition_dim, settings)


@coupling_chain.register
def _(
    space: Field, monotone: Monotone, condition_dim: int, settings: CouplingSettings, *, given_field: bool = False
) -> Transform:
    levels = halvings(space.grid, settings.levels)
    channels, factor = space.channels, 2 ** len(space.grid)
    grids = [tuple(cells >> level for cells in space.grid) for level in range(levels + 1)]
    convolutional = partial(_convolutional, monotone=monotone, periodic=space.periodic, settings=settings)
    details = [
        Composition(convolutional((factor - 1) * channels, grid, context=channels + condition_dim))
        for grid in grids[1:]
    ]
    shape = (channels, *grids[-1])
    if levels and prod(shape) <= _DENSE_SIZE and not given_field:
        coarse = [Flatten(shape), _dense(prod(shape), monotone, condition_dim, settings)]
    else:
        # Where the field is coupled as a whole, its codes are white noise, and waves that are scaled by their length
        # begin a sample as a Gaussian field.
        waves = [FourierScaling(channels, space.grid)] if space.periodic and not levels else []
        coarse = [*convolutional(channels, grids[-1], context=condition_dim), *waves, Flatten(shape)]
    return Multiscale(space.shape, details, Composition(coarse)) if levels else Composition(coarse)


@singledispatch
def autoregressive_chain(
    space: Space, monotone: Monotone, condition_dim: int, settings: AutoregressiveSettings, *, inverse: bool = False
) -> Transform:
    """Masked autoregressive transforms of a vector, with alternating order of the features.

    Arguments:
        space: of the samples.
        monotone: the map of each value.
        condition_dim: length of a condition vector; 0 for none.
        settings: sizes.
        inverse: sample in one pass and compute densities one feature after another, instead of vice versa.

    Raises:
        UsageError: if the space is not a vector.
    """
    raise UsageError(f"autoregressive flows need vectors, not {type(space).__name__.lower()}")


@autoregressive_chain.register
def _(
    space: Vector, monotone: Monotone, condition_dim: int, settings: AutoregressiveSettings, *, inverse: bool = False
) -> Transform:
    dim = space.dim
    random = settings.order == "random"
    if settings.circles and dim > 1:
        return circular_autoregressive(
            dim,
            monotone,
            condition_dim,
            settings,
            count=settings.transforms,
            width=settings.width,
            depth=settings.depth,
            shuffled=random,
            inverse=inverse,
        )
    if settings.circles:
        return coupling_chain(space, monotone, condition_dim, _as_couplings(settings))
    chain: list[Transform] = []
    for step in range(settings.transforms):
        order = Permutation(shuffle(dim, step) if random else range(dim)[::-1])
        if dim > 1:
            network = MADE(dim, monotone.parameters, condition_dim, settings.width, settings.depth)
            transform: Transform = MaskedAutoregressive(monotone, network)
        else:
            # A single feature has no previous one.
            alone = VectorConditioner(0, monotone.parameters, condition_dim, settings.width, settings.depth)
            transform = Coupling(monotone, alone, keep=0)
        chain += [ActNorm(dim), *([order] if step else []), Inverse(transform) if inverse else transform]
    return Composition([*chain, ActNorm(dim)])


def _as_couplings(settings: AutoregressiveSettings) -> CouplingSettings:
    return CouplingSettings(
        couplings=settings.transforms,
        width=settings.width,
        depth=settings.depth,
        circles=settings.circles,
        circle_bins=settings.circle_bins,
    )


def _dense(dim: int, monotone: Monotone, condition_dim: int, settings: CouplingSettings) -> Transform:
    """[ActNorm, Linear, Coupling] repeated; the couplings keep the first and the last half alternately."""
    chain: list[Transform] = []
    for step in range(settings.couplings or _COUPLINGS):
        # A single feature depends on the condition alone, and needs no mixing.
        last = step % 2 == 1 and dim > 1
        keep = (dim + 1) // 2 if last else dim // 2
        outputs = monotone.parameters * (dim - keep)
        network = VectorConditioner(keep, outputs, condition_dim, settings.width or _WIDTH, settings.depth)
        mix = [Linear(dim)] if dim > 1 else []
        chain += [ActNorm(dim), *mix, Coupling(monotone, network, keep, last=last)]
    return Composition([*chain, ActNorm(dim)])


def _convolutional(
    features: int,
    grid: tuple[int, ...],
    *,
    context: int,
    monotone: Monotone,
    periodic: bool,
    settings: CouplingSettings,
) -> list[Transform]:
    """[ActNorm, Linear, MaskedCoupling] repeated, with the two halves of a checkerboard as alternating masks."""
    chain: list[Transform] = []
    for step in range(settings.couplings or _FIELD_COUPLINGS):
        network = FieldConditioner(
            features,
            monotone.parameters * features,
            context,
            settings.width or _FIELD_WIDTH,
            settings.depth,
            dims=len(grid),
            periodic=periodic,
        )
        mix = [Linear(features)] if features > 1 else []
        mask = checkerboard((features, *grid), step)
        chain += [ActNorm(features), *mix, MaskedCoupling(monotone, network, mask)]
    return [*chain, ActNorm(features)]


def halvings(grid: tuple[int, ...], asked: int | None) -> int:
    """Number of halvings of a grid: as requested, or while all sides stay even and above the smallest size.

    Raises:
        UsageError: if a side is odd, or cannot be halved as often.
    """
    possible = 0
    while all(cells % 2 ** (possible + 1) == 0 for cells in grid):
        possible += 1
    sides = " x ".join(map(str, grid))
    if possible == 0 and asked != 0:
        raise UsageError(f"this flow halves a field's grid and {sides} has an odd side; crop or pad it to even sides")
    if asked is None:
        return max(1, sum(min(grid) >> level >= _SMALLEST_SIDE for level in range(1, possible + 1)))
    if asked > possible:
        raise UsageError(f"a grid of {sides} can be halved {possible} times, not levels={asked}")
    return asked
