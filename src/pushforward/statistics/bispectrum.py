r"""Bispectrum: the three-point function in Fourier space, zero for a Gaussian field.

In the convention of `power_spectrum`, <delta(k1) delta(k2) delta(k3)> = (2 pi)^d delta_D(k1 + k2 + k3) B, so

    B = V^2 / N^3 < delta_k1 delta_k2 delta_k3 >   over the triangles k1 + k2 + k3 = 0 with a side in each shell.

With D_i(x) the field that keeps only the modes of shell i, and I_i(x) the same with all modes set to one, the sum over
triangles is a sum over cells, sum_x D_1 D_2 D_3, and their number is that of I_1 I_2 I_3 (Scoccimarro 2015,
https://arxiv.org/abs/1506.02729, sec. 3): the cost is one Fourier transform per shell. The reduced bispectrum

    Q = B / (P1 P2 + P2 P3 + P3 P1)

depends weakly on scale for gravity and is 2 f for phi = g + f (g^2 - <g^2>). Triangles close on the grid modulo the
sampling wavenumber, so the sides must add up to at most that: shells up to two thirds of Nyquist always do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement, groupby
from math import pi, prod
from typing import Any, Literal

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import FieldArray, as_fields, binary_unit, chunks, wide_type
from pushforward.statistics.modes import (
    Box,
    Edges,
    Shells,
    box_sides,
    edges_of,
    fluctuations,
    shells,
    sum_over_shells,
    wavenumbers,
)
from pushforward.tensors.samples import box_of

__all__ = ["Bispectrum", "bispectrum"]

Triple = tuple[int, int, int]
Family = Literal["equilateral", "squeezed", "all"]
Triangles = Family | Sequence[Family] | Sequence[Triple]

# Shells of the default: enough to see a shape, few enough that each holds many triangles.
SHELLS = 12


@dataclass(frozen=True)
class Bispectrum:
    """Bispectrum of triangles of shells.

    Attributes:
        k: mean length of each side over the triangles, radians per unit length.
        bispectrum: B of each sample and channel, field unit cubed times length to the power 2 d.
        products: P1 P2 + P2 P3 + P3 P1 of each sample, the same unit.
        triangles: ordered triples of modes (k1, k2, k3) in each bin.
        index: shells of the sides.
    """

    k: Float[Tensor, "bins 3"]
    bispectrum: Float[Tensor, "samples channels bins"]
    products: Float[Tensor, "samples channels bins"]
    triangles: Float[Tensor, " bins"]
    index: Int[Tensor, "bins 3"]

    @property
    def reduced(self) -> Float[Tensor, "channels bins"]:
        """Q of the ensemble, <B> / <P1 P2 + P2 P3 + P3 P1>: a ratio of means, which few modes do not bias."""
        return self.bispectrum.mean(0) / self.products.mean(0)


def bispectrum(
    fields: FieldArray, box: Box = None, bins: Edges = None, triangles: Triangles = "equilateral"
) -> Bispectrum:
    """Bispectrum of each sample and channel.

    Arguments:
        fields: ``(samples, channels, *grid)``, two or three axes.
        box: as in `power_spectrum`.
        bins: edges of the shells in radians per unit length, up to Nyquist; None for about 12 equal shells, a whole
            number of fundamentals wide, up to two thirds of Nyquist.
        triangles: "equilateral" (i, i, i); "squeezed" (i, i, 0), two equal sides and one of the longest wavelength;
            "all" with sides k1 <= k2 <= k3; several of these names, which costs less than separate calls; or triples of
            shell numbers.

    Raises:
        UsageError: if no triangle closes in a requested triple, its sides are too long for the grid, or the
            shape, the box or the bins make no sense.

    Example:
        >>> g = torch.randn(8, 1, 32, 32, generator=torch.Generator().manual_seed(0))
        >>> found = bispectrum(g + 0.1 * (g.square() - 1), triangles="squeezed")
        >>> found.k.shape, found.bispectrum.shape, found.reduced.shape
        (torch.Size([10, 3]), torch.Size([8, 1, 10]), torch.Size([1, 10]))
    """
    box = box_of(fields, box)
    fields = as_fields(fields, (2, 3))
    grid = tuple(fields.shape[2:])
    sides = box_sides(grid, box)
    nyquist = pi * min(n / side for n, side in zip(grid, sides, strict=True))
    edges = _edges(grid, sides, bins, nyquist)
    of = shells(grid, sides, edges, fields.device)
    wanted, plan = _closing(grid, sides, edges, _triples(edges, triangles, 2 * nyquist), fields.device)
    unit = binary_unit(fields)
    cubes, powers = [], []
    for rows in chunks(len(fields), len(of.k) * fields[0].numel()):
        modes = fluctuations(fields[rows], unit).flatten(2)
        powers.append(sum_over_shells(modes.real.square().addcmul_(modes.imag, modes.imag), of) / of.modes)
        cubes.append(_cubes(_by_shell(modes, of, grid), wanted))
    volume, cells = prod(sides), prod(grid)
    scale = unit.to(plan.k)[:, None]
    power = torch.cat(powers) * scale**2 * volume / cells**2
    # Both sums over cells carry the 1 / cells^2 of the inverse transforms.
    mean_triple = torch.cat(cubes) / (plan.triangles / cells**2)
    index = torch.tensor(wanted, device=fields.device)
    first, second, third = (power[..., side] for side in index.unbind(1))
    products = first * second + second * third + third * first
    return Bispectrum(plan.k, mean_triple * scale**3 * volume**2 / cells**3, products, plan.triangles, index)


@dataclass(frozen=True)
class _Plan:
    triangles: Float[Tensor, " bins"]
    k: Float[Tensor, "bins 3"]


def _edges(grid: tuple[int, ...], sides: tuple[float, ...], bins: Edges, nyquist: float) -> tuple[float, ...]:
    if bins is None:
        within = [edge for edge in edges_of(grid, sides) if edge <= 2 / 3 * nyquist * (1 + 1e-9)]
        if len(within) < 2:
            raise UsageError(f"a grid of {grid} cells is too small for a bispectrum")
        return tuple(within[:: max(1, (len(within) - 1) // SHELLS)])
    edges = edges_of(grid, sides, bins)
    if edges[-1] > nyquist * (1 + 1e-9):
        raise UsageError(f"bins reach to |k| = {edges[-1]:.4g}; a bispectrum needs shells below Nyquist, {nyquist:.4g}")
    return edges


def _triples(edges: tuple[float, ...], triangles: Triangles, sampling: float) -> list[Triple]:
    """Requested triples of shells, after a check that no triangle can close around the grid."""

    def fits(triple: Triple) -> bool:
        return sum(edges[side + 1] for side in triple) <= sampling * (1 + 1e-9)

    count = len(edges) - 1
    wanted: tuple[Any, ...] = (triangles,) if isinstance(triangles, str) else tuple(triangles)
    if wanted and all(isinstance(name, str) for name in wanted):
        named: dict[object, list[Triple]] = {
            "equilateral": [(i, i, i) for i in range(count)],
            "squeezed": [(i, i, 0) for i in range(count)],
            "all": list(combinations_with_replacement(range(count), 3)),
        }
        for name in wanted:
            if name not in named:
                known = ", ".join(map(str, named))
                raise UsageError(f"triangles={name!r} is unknown; give {known} or triples of shell numbers")
        return [triple for triple in dict.fromkeys(t for name in wanted for t in named[name]) if fits(triple)]
    triples = [(int(first), int(second), int(third)) for first, second, third in wanted]
    if not triples or any(min(triple) < 0 or max(triple) >= count for triple in triples):
        raise UsageError(f"triangles must be triples of shell numbers from 0 to {count - 1}")
    for triple in triples:
        if not fits(triple):
            raise UsageError(f"the sides of {triple} add up to more than 2 pi over a cell: their triangles are aliased")
    return triples


def _closing(
    grid: tuple[int, ...],
    sides: tuple[float, ...],
    edges: tuple[float, ...],
    triples: list[Triple],
    device: torch.device,
) -> tuple[list[Triple], _Plan]:
    """Triples in which a triangle of modes closes, with their plans."""
    plan = _plan(grid, sides, edges, tuple(triples), device)
    closes = plan.triangles > 0.5
    kept = [triple for triple, some in zip(triples, closes.tolist(), strict=True) if some]
    if not kept:
        raise UsageError(f"no triangle of modes closes in any of the shells {triples}")
    return kept, _Plan(plan.triangles[closes].round(), plan.k[closes])


@lru_cache(maxsize=16)
def _plan(
    grid: tuple[int, ...],
    sides: tuple[float, ...],
    edges: tuple[float, ...],
    triples: tuple[Triple, ...],
    device: torch.device,
) -> _Plan:
    """Triangles in each triple of shells, and the mean lengths of their sides."""
    of = shells(grid, sides, edges, device)
    magnitude = torch.stack(torch.broadcast_tensors(*(k.square() for k in wavenumbers(grid, sides)))).sum(0).sqrt()
    ones = torch.ones(1, 1, len(of.index), dtype=torch.complex128).to(device, _complex(of.weight))
    count = _by_shell(ones, of, grid)
    length = _by_shell(ones * magnitude.flatten().to(of.weight), of, grid)
    cells = prod(grid)
    number = _cubes(count, list(triples))[0, 0] * cells**2
    mean = []
    for turn in range(3):
        # The side whose length is averaged comes first; a triangle has the same number whatever side is named first.
        turned = [(*triple[turn:], *triple[:turn]) for triple in triples]
        total = torch.stack([(length[0, 0, a] * count[0, 0, b] * count[0, 0, c]).sum() for a, b, c in turned])
        mean.append(total * cells**2 / number)
    return _Plan(number, torch.stack(mean, 1))


def _by_shell(
    modes: Complex[Tensor, "samples channels stored"], of: Shells, grid: tuple[int, ...]
) -> Float[Tensor, "samples channels shells cells"]:
    """The fields that keep the modes of one shell each."""
    kept = modes.new_zeros(*modes.shape[:2], len(of.k) + 1, modes.shape[2])
    kept.scatter_(2, of.index.expand(*modes.shape[:2], 1, -1), modes[:, :, None])
    axes = tuple(range(-len(grid), 0))
    of_shells = kept[:, :, :-1].unflatten(-1, (*grid[:-1], grid[-1] // 2 + 1))
    return torch.fft.irfftn(of_shells, s=grid, dim=axes).flatten(3)


def _cubes(by_shell: Float[Tensor, "samples channels shells cells"], triples: list[Triple]) -> Tensor:
    """Sum over cells of the product of three shells' fields, for each triple.

    Products of a shell with others, times third shells, are a matrix product: most of the work runs at its speed.
    """
    sums = by_shell.new_empty(*by_shell.shape[:2], len(triples), dtype=wide_type(by_shell))
    order = sorted(range(len(triples)), key=lambda row: triples[row])
    for first, group in groupby(order, key=lambda row: triples[row][0]):
        rows = list(group)
        seconds, thirds = (sorted({triples[row][side] for row in rows}) for side in (1, 2))
        pairs = by_shell[:, :, first, None] * by_shell[:, :, seconds]
        table = pairs @ by_shell[:, :, thirds].transpose(2, 3)
        place = [(seconds.index(triples[row][1]), thirds.index(triples[row][2])) for row in rows]
        sums[:, :, rows] = table[:, :, [a for a, _ in place], [b for _, b in place]].to(sums.dtype)
    return sums


def _complex(like: Tensor) -> torch.dtype:
    return torch.complex64 if like.dtype == torch.float32 else torch.complex128
