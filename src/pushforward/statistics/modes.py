r"""Fourier modes of a grid, and the isotropic shells that statistics average them over.

A field on a periodic box of sides L_i with N_i cells has the wavenumbers k_i = 2 pi n_i / L_i, |n_i| <= N_i / 2. For a
real field only the half with n_last >= 0 is stored (`torch.fft.rfftn`); a stored mode whose conjugate is not stored
stands for two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import ceil, pi
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import wide_type

__all__ = ["Shells", "box_sides", "edges_of", "fluctuations", "shells", "sum_over_shells", "wavenumbers"]

Box = float | Sequence[float] | np.ndarray | Tensor | None
Edges = Float[Tensor, " edges"] | Sequence[float] | Literal["all"] | None


def box_sides(grid: tuple[int, ...], box: Box) -> tuple[float, ...]:
    """Side lengths of the box, one for each axis of ``grid``.

    Arguments:
        grid: cells along each axis.
        box: None for lengths in cells; a number for the side along the first axis, with cubic cells; or all the sides.

    Raises:
        UsageError: if a side is not positive, or there are not as many as axes.
    """
    if box is None:
        sides = tuple(float(n) for n in grid)
    elif np.ndim(box) == 0:
        sides = tuple(float(box) * n / grid[0] for n in grid)  # type: ignore[arg-type]
    else:
        sides = tuple(float(side) for side in box)  # type: ignore[union-attr]
    if len(sides) != len(grid) or not all(0 < side < float("inf") for side in sides):
        raise UsageError(f"box={box!r} was given for a grid of {grid}; give one positive length, or one for each axis")
    return sides


def edges_of(grid: tuple[int, ...], sides: tuple[float, ...], bins: Edges = None, width: int = 1) -> tuple[float, ...]:
    r"""Edges of isotropic shells in |k|.

    By default the shells are centred on the multiples of the fundamental k_f = 2 pi / max(L), k_f wide, and all lie
    below the Nyquist frequency pi min(N / L): no mode of a cubic box falls on an edge, so rounding moves none.

    Arguments:
        bins: edges, rising, in radians per unit length; None for the default; "all" for shells of the same width up to
            the corner of the grid's modes, sqrt(d) Nyquist in a cubic box.
        width: of the default shells, in fundamentals.

    Raises:
        UsageError: if the edges do not rise or the grid is too small to have a shell.
    """
    if isinstance(bins, str) and bins != "all":
        raise UsageError(f"bins={bins!r} is unknown; give edges in |k|, 'all', or None")
    if bins is not None and not isinstance(bins, str):
        edges = tuple(float(edge) for edge in bins)
        if len(edges) < 2 or edges[0] < 0 or any(low >= high for low, high in pairwise(edges)):
            raise UsageError("bins must be at least two edges in |k| that are not negative and rise")
        return edges
    fundamental = 2 * pi / max(sides)
    nyquist = pi * min(n / side for n, side in zip(grid, sides, strict=True))
    count = int((nyquist / fundamental - 0.5) / width + 1e-9)
    if bins == "all":
        corner = pi * sum((n / side) ** 2 for n, side in zip(grid, sides, strict=True)) ** 0.5
        count = max(1, ceil((corner / fundamental - 0.5) / width + 1e-9))
    if count < 1:
        raise UsageError(f"a grid of {grid} cells has no complete shell of modes below its Nyquist frequency")
    return tuple(fundamental * (0.5 + width * i) for i in range(count + 1))


@dataclass(frozen=True)
class Shells:
    """The stored half of a grid's modes, sorted into shells.

    Attributes:
        index: shell of each stored mode, flattened; ``len(k)`` for modes in no shell, the zero mode among them.
        weight: modes that each stored mode stands for, 1 or 2.
        k: mean wavenumber over the modes of each shell, radians per unit length (the middle where there is no mode).
        modes: modes in each shell, conjugates counted.
    """

    index: Int[Tensor, " stored"]
    weight: Float[Tensor, " stored"]
    k: Float[Tensor, " bins"]
    modes: Float[Tensor, " bins"]


def wavenumbers(grid: tuple[int, ...], sides: tuple[float, ...], device: torch.device | str = "cpu") -> list[Tensor]:
    """Components of the wavenumber of the stored modes along each axis, float64, shaped to broadcast over them."""
    components = []
    for axis, (cells, side) in enumerate(zip(grid, sides, strict=True)):
        frequencies = torch.fft.rfftfreq if axis == len(grid) - 1 else torch.fft.fftfreq
        k = 2 * pi * frequencies(cells, d=side / cells, dtype=torch.float64)
        components.append(k.reshape([-1 if i == axis else 1 for i in range(len(grid))]).to(device))
    return components


@lru_cache(maxsize=32)
def shells(grid: tuple[int, ...], sides: tuple[float, ...], edges: tuple[float, ...], device: torch.device) -> Shells:
    """Shells ``edges[i] <= |k| < edges[i + 1]`` of a grid. Worked out once for each grid, box, edges and device.

    The zero mode belongs to no shell, not even to one whose lower edge is 0: it holds the mean, which has been taken
    away. A mode within a part in 10^10 of an edge belongs to the shell above it, whichever way its wavenumber was
    rounded.
    """
    magnitude = torch.stack(torch.broadcast_tensors(*(k.square() for k in wavenumbers(grid, sides)))).sum(0).sqrt()
    weight = torch.full(magnitude.shape, 2.0, dtype=torch.float64)
    weight[..., 0] = 1.0
    if grid[-1] % 2 == 0:
        weight[..., -1] = 1.0
    magnitude, weight = magnitude.flatten(), weight.flatten()
    boundaries = torch.tensor(edges, dtype=torch.float64) * (1 - 1e-10)
    count = len(edges) - 1
    index = torch.bucketize(magnitude, boundaries, right=True) - 1
    index = torch.where((index < 0) | (index >= count) | (magnitude == 0), count, index)
    modes = torch.bincount(index, weights=weight, minlength=count + 1)[:count]
    total = torch.bincount(index, weights=weight * magnitude, minlength=count + 1)[:count]
    k = torch.where(modes > 0, total / modes.clamp_min(1), (boundaries[1:] + boundaries[:-1]) / 2)
    dtype = torch.float32 if device.type == "mps" else torch.float64
    return Shells(index.to(device), weight.to(device, dtype), k.to(device, dtype), modes.to(device, dtype))


def fluctuations(fields: Float[Tensor, "samples channels *grid"], unit: Tensor, taper: Tensor | None = None) -> Tensor:
    """Stored modes of the fields less their means, in units of ``unit`` (channels,), times a window where one is given.

    The mean is taken away before the transform: a large one would cost the small modes their digits.
    """
    axes = tuple(range(2, fields.ndim))
    kind = wide_type(fields)
    if taper is None:
        mean = fields.mean(axes, keepdim=True, dtype=kind)
    else:
        mean = (fields * taper).sum(axes, keepdim=True, dtype=kind) / taper.sum(dtype=kind)
    part = (fields - mean.to(fields.dtype)).mul_(unit.reciprocal().reshape(-1, *[1] * len(axes)))
    return torch.fft.rfftn(part if taper is None else part.mul_(taper), dim=axes)


def sum_over_shells(values: Float[Tensor, "*batch stored"], of: Shells) -> Float[Tensor, "*batch bins"]:
    """Sum of ``values`` over the modes of each shell, conjugates included (``values`` must be the same for both)."""
    flat = values.flatten(0, -2).to(of.weight.dtype) * of.weight
    sums = flat.new_zeros(len(flat), len(of.k) + 1).index_add_(1, of.index, flat)
    return sums[:, :-1].unflatten(0, values.shape[:-1])
