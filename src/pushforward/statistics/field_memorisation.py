r"""Memorisation of fields up to their symmetries: translations of periodic fields, rotations and reflections.

A translated or rotated copy is a copy, though distant cell by cell. The distance between g and the orbit of t is

    d^2 = min_{R, s} | g - (R t)(. + s) |^2 = |g|^2 + |t|^2 - 2 max_{R, s} C_{g, Rt}(s),

with R the symmetries of the grid and C the cross-correlation, one Fourier transform for all translations s. From
|C(s)| <= sum_k \|g_k\| \|t_k\| follows a lower bound, the distance between the moduli of the modes, which is a matrix
product for all pairs. The candidates with the smallest bounds are then compared exactly: a copy has a bound of zero and
is always among them; for a sample that is not a copy d may come out a little too large, for generated and test samples
alike. Fields are compared on their large scales alone, so that copies with new noise are found.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import FieldArray, as_fields, same_device, wide
from pushforward.statistics.memorisation import Memorisation, excess_of_copies
from pushforward.statistics.neighbours import NearestMembers
from pushforward.statistics.pairwise import distance_blocks
from pushforward.statistics.uncertainty import Groups

__all__ = ["field_memorisation", "nearest_fields"]

# Modes kept along each axis by the number of axes: coarse enough for a matrix product, fine enough to know a field by.
KEPT = {1: 64, 2: 16, 3: 8}

# Root mean square difference, over that of the training members, below which large scales are the same.
SAME = 1e-2


def field_memorisation(
    generated: FieldArray,
    training: FieldArray,
    test: FieldArray,
    *,
    periodic: bool = True,
    isotropic: bool = True,
    candidates: int = 8,
    quantile: float = 0.05,
    groups: Groups = None,
    test_groups: Groups = None,
) -> Memorisation:
    """Excess of copies of training fields, up to translations (periodic) and rotations and reflections (isotropic).

    Arguments:
        generated, training, test: ``(samples, channels, *grid)``, one to three axes. All training members are searched.
        periodic, isotropic: which symmetries the fields have.
        candidates: pairs that are compared exactly, for each sample.
        quantile, groups, test_groups: as in `memorisation`.

    Returns:
        `Memorisation`, its distances over the root mean square norm of the training members' large scales.

    Raises:
        UsageError, DataError: if the shapes do not fit, a set is empty, or a number is out of range.

    Example:
        >>> training, test = torch.randn(2, 200, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        >>> moved = training[:100].roll((3, 7), (2, 3)).flip(2).transpose(2, 3)
        >>> float(field_memorisation(moved, training, test).copied)
        1.0
    """

    def search(samples: FieldArray, members: FieldArray) -> NearestMembers:
        return nearest_fields(samples, members, training, periodic=periodic, isotropic=isotropic, candidates=candidates)

    return excess_of_copies(
        search(generated, training),
        search(test, training),
        search(generated, test),
        members=len(training),
        quantile=quantile,
        groups=groups,
        test_groups=test_groups,
    )


def nearest_fields(
    samples: FieldArray,
    members: FieldArray,
    scale: FieldArray,
    *,
    periodic: bool = True,
    isotropic: bool = True,
    candidates: int = 8,
) -> NearestMembers:
    """The nearest member to each sample, up to the symmetries of the fields.

    Arguments:
        scale: fields whose large scales have a root mean square norm of 1 in each channel.
        samples, members, periodic, isotropic, candidates: as in `field_memorisation`.

    Raises:
        UsageError, DataError: if the shapes do not fit, a set is empty, or a number is out of range.
    """
    if candidates < 1:
        raise UsageError(f"candidates={candidates} was given; at least one pair must be compared for each sample")
    fields = as_fields(scale)
    mean = fields.mean((0, *range(2, fields.ndim)), keepdim=True)
    parts = [fields, *(same_device(fields, as_fields(part))[1] for part in (samples, members))]
    reduced = [_large_scales(wide(part - mean), periodic) for part in parts]
    # All channels have equal weight, whatever their units.
    norm = reduced[0].square().flatten(2).sum(2).mean(0).sqrt().clamp_min(torch.finfo(torch.float64).tiny)
    x, y = (part / (norm * len(norm) ** 0.5).reshape(-1, *[1] * (fields.ndim - 2)) for part in reduced[1:])
    # Translations by whole cells of the fields themselves, as far as that is affordable.
    steps = tuple(min(cells, 4 * KEPT[fields.ndim - 2]) for cells in fields.shape[2:])
    found = _nearest_moved(x, y, isotropic, candidates, steps) if periodic else _nearest_turned(x, y, isotropic)
    return NearestMembers(torch.where(found.distance < SAME, 0.0, found.distance), found.second, found.index)


def _large_scales(fields: Tensor, periodic: bool) -> Tensor:
    """Fields on at most `KEPT` cells along each axis: their longest waves, or block averages if there are borders."""
    grid = fields.shape[2:]
    kept = KEPT[len(grid)]
    if max(grid) <= kept:
        return fields
    if not periodic:
        from pushforward.statistics.features import low_pass

        shape = tuple(min(kept, n) for n in grid)
        return low_pass(fields, kept).reshape(*fields.shape[:2], *shape)
    modes = torch.fft.fftn(fields, dim=tuple(range(2, fields.ndim)))
    for axis, cells in enumerate(grid, start=2):
        if cells > kept:
            # An odd number of modes: the one at the new Nyquist frequency would not know its sign.
            half = (kept - 1) // 2
            modes = torch.cat([modes.narrow(axis, 0, half + 1), modes.narrow(axis, cells - half, half)], axis)
    share = modes[0, 0].numel() / fields[0, 0].numel()
    return torch.fft.ifftn(modes, dim=tuple(range(2, fields.ndim))).real * share


def _symmetries(fields: Tensor, isotropic: bool, periodic: bool) -> Iterator[Tensor]:
    """The fields under each permutation of equal axes and each reflection: 2, 8 or 48 of a cubic grid.

    A periodic field is reflected at its first cell, x -> -x, which is the same point of every grid.
    """
    axes = tuple(range(2, fields.ndim))
    if not isotropic:
        yield fields
        return
    for order in permutations(axes):
        turned = fields.permute(0, 1, *order)
        if turned.shape != fields.shape:
            continue
        for flips in product((False, True), repeat=len(axes)):
            mirrored = [axis for axis, flip in zip(axes, flips, strict=True) if flip]
            reflected = turned.flip(mirrored)
            yield reflected.roll([1] * len(mirrored), mirrored) if periodic and mirrored else reflected


def _nearest_turned(x: Tensor, training: Tensor, isotropic: bool) -> NearestMembers:
    found = []
    for turned in _symmetries(x, isotropic, False):
        blocks = distance_blocks(turned.flatten(1), training.flatten(1), squared=True)
        found += [torch.cat(part) for part in zip(*(_least(block, 2) for _, block in blocks), strict=True)]
    return _nearest_of(torch.cat(found[::2], 1), torch.cat(found[1::2], 1))


def _least(square: Float[Tensor, "n t"], count: int) -> tuple[Float[Tensor, "n c"], Int[Tensor, "n c"]]:
    found = square.topk(min(count, square.shape[1]), largest=False)
    return found.values, found.indices


def _nearest_of(square: Float[Tensor, "n c"], member: Int[Tensor, "n c"]) -> NearestMembers:
    """The nearest of some pairs of samples and members, in which a member may stand more than once."""
    least, where = square.min(1)
    index = member.gather(1, where[:, None])
    others = torch.where(member == index, torch.inf, square).amin(1)
    return NearestMembers(least.clamp_min(0).sqrt(), others.clamp_min(0).sqrt(), index[:, 0])


def _nearest_moved(
    x: Tensor, training: Tensor, isotropic: bool, candidates: int, steps: tuple[int, ...]
) -> NearestMembers:
    axes = tuple(range(2, x.ndim))
    cells = x[0, 0].numel()
    stored = torch.fft.fftn(training, dim=axes)
    moduli = stored.abs().flatten(1) / cells**0.5
    turns = torch.stack([torch.fft.fftn(turned, dim=axes) for turned in _symmetries(x, isotropic, True)])
    bounds, members, turned = [], [], []
    for number, modes in enumerate(turns):
        blocks = distance_blocks(modes.abs().flatten(1) / cells**0.5, moduli, squared=True)
        bound, nearest = (
            torch.cat(part) for part in zip(*(_least(block, candidates) for _, block in blocks), strict=True)
        )
        bounds.append(bound)
        members.append(nearest)
        turned.append(torch.full_like(members[-1], number))
    every = torch.cat(bounds, 1)
    chosen = _least(every, candidates)[1]
    member, turn = (torch.cat(part, 1).gather(1, chosen) for part in (members, turned))
    sizes = x.square().flatten(1).sum(1), training.square().flatten(1).sum(1)
    rows = torch.arange(len(x), device=x.device)
    square = torch.stack(
        [
            sizes[0] + sizes[1][i] - 2 * _largest_correlation(turns[t, rows], stored[i], steps)
            for i, t in zip(member.T, turn.T, strict=True)
        ],
        1,
    )
    return _nearest_of(square, member)


def _largest_correlation(a: Tensor, b: Tensor, steps: tuple[int, ...]) -> Float[Tensor, " samples"]:
    """Largest of the cross-correlation of modes ``a`` and ``b`` over translations by parts of ``steps`` of the box."""
    between = (a * b.conj()).sum(1)
    grid = between.shape[1:]
    fine = between.new_zeros(len(a), *(max(n, count) for n, count in zip(grid, steps, strict=True)))
    signed = [(torch.fft.fftfreq(n) * n).round().long() for n in grid]
    place = [index % count for index, count in zip(signed, fine.shape[1:], strict=True)]
    where: tuple[slice | Tensor, ...] = (slice(None), *torch.meshgrid(*place, indexing="ij"))
    fine[where] = between
    found = torch.fft.ifftn(fine, dim=tuple(range(1, fine.ndim))).real.flatten(1).amax(1)
    return found * fine[0].numel() / between[0].numel()
