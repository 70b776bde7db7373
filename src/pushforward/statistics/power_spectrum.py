r"""Power spectra and cross spectra, averaged over isotropic shells.

With the fluctuation delta(x) = f(x) - <f> on the N cells of a box of volume V, and delta_k = sum_x delta(x) e^{-ikx},

    P(k) = V <|delta_k|^2> / N^2,

the mean over the modes of a shell: the continuum's Fourier convention in which <delta(k) delta*(k')> =
(2 pi)^d delta_D(k - k') P(k). Its unit is the field's unit squared times the unit of length to the power d. The field
is not divided by its mean. For a Gaussian field the standard error of P in a shell of ``modes`` modes is
P sqrt(2 / modes), since a mode and its conjugate are not independent.

A field that is not periodic leaks power between scales; a Hann window before the transform suppresses this at the price
of mixing neighbouring modes, and 1 / <w^2> restores the power that it removes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import pi, prod
from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from pushforward.arguments import checked
from pushforward.errors import UsageError
from pushforward.statistics.arrays import FieldArray, as_fields, binary_unit, chunks, same_device
from pushforward.statistics.modes import Box, Edges, Shells, box_sides, edges_of, fluctuations, shells, sum_over_shells
from pushforward.tensors.samples import box_of

__all__ = [
    "CrossSpectrum",
    "PowerSpectrum",
    "cross_power_spectrum",
    "mode_products",
    "power_spectrum",
    "weighted_powers",
]

Window = Literal["hann"] | None


@dataclass(frozen=True)
class PowerSpectrum:
    """Power in isotropic shells.

    Attributes:
        k: mean wavenumber of the modes of each shell, radians per unit length.
        power: for each sample and channel; NaN in a shell without modes.
        modes: modes in each shell, conjugates counted.
    """

    k: Float[Tensor, " bins"]
    power: Float[Tensor, "samples channels bins"]
    modes: Float[Tensor, " bins"]


@dataclass(frozen=True)
class CrossSpectrum:
    """Comparison of two fields mode by mode.

    Attributes:
        k, modes: as in `PowerSpectrum`.
        power: real part of the cross spectrum P_ab(k).
        correlation: r(k) = P_ab / sqrt(P_a P_b), in [-1, 1]; 1 - r^2 is the stochasticity.
        transfer: T(k) = sqrt(P_b / P_a).
    """

    k: Float[Tensor, " bins"]
    power: Float[Tensor, "samples channels bins"]
    correlation: Float[Tensor, "samples channels bins"]
    transfer: Float[Tensor, "samples channels bins"]
    modes: Float[Tensor, " bins"]


@checked()
def power_spectrum(fields: FieldArray, box: Box = None, bins: Edges = None, *, window: Window = None) -> PowerSpectrum:
    """Isotropic power spectrum of each sample and channel.

    Arguments:
        fields: ``(samples, channels, *grid)``, one to three axes of any length.
        box: side along the first axis (cells are cubic) or all sides; None measures lengths in cells.
        bins: edges of the shells in radians per unit length; None for shells one fundamental wide, centred on its
            multiples, up to the Nyquist frequency; "all" for the same up to the corner of the grid's modes.
        window: None for a periodic field, "hann" for a crop.

    Returns:
        `PowerSpectrum` in float64, on the fields' device.

    Raises:
        UsageError: if the shape, the box, the bins or the window make no sense.

    Example:
        >>> white = torch.randn(100, 1, 64, 64, generator=torch.Generator().manual_seed(0))
        >>> spectrum = power_spectrum(white, box=64.0)
        >>> spectrum.k.shape, spectrum.power.shape
        (torch.Size([31]), torch.Size([100, 1, 31]))
        >>> bool((spectrum.power.mean((0, 1)) - 1).abs().max() < 0.1)
        True
    """
    box = box_of(fields, box)
    fields = as_fields(fields)
    grid, sides, of = _setting(fields, box, bins)
    unit = binary_unit(fields)
    sums = torch.cat([sum_over_shells(_squared(modes), of) for modes in _transforms(fields, window, unit)])
    scale = _normalisation(grid, sides, window) * unit.to(sums)[:, None].square()
    return PowerSpectrum(of.k, sums / of.modes * scale, of.modes)


def cross_power_spectrum(
    a: FieldArray, b: FieldArray, box: Box = None, bins: Edges = None, *, window: Window = None
) -> CrossSpectrum:
    """Cross spectrum, correlation and transfer of pairs of fields ``a[i], b[i]``.

    Arguments:
        a, b: ``(samples, channels, *grid)`` of the same shape: a truth and its reconstruction, or two physical fields.
        box, bins, window: as in `power_spectrum`.

    Raises:
        UsageError: if the shapes differ, or as in `power_spectrum`.

    Example:
        >>> a = torch.randn(2, 1, 32, 32)
        >>> cross = cross_power_spectrum(a, -2 * a)
        >>> torch.allclose(cross.correlation, torch.tensor(-1.0).double())
        True
        >>> torch.allclose(cross.transfer, torch.tensor(2.0).double())
        True
    """
    box = box_of(a, box)
    a, b = same_device(as_fields(a), as_fields(b))
    if a.shape != b.shape:
        raise UsageError(f"{len(a)} and {len(b)} fields were given; a cross spectrum is of pairs")
    grid, sides, of = _setting(a, box, bins)
    sums: list[list[Tensor]] = [[], [], []]
    unit_a, unit_b = binary_unit(a), binary_unit(b)
    for modes_a, modes_b in zip(_transforms(a, window, unit_a), _transforms(b, window, unit_b), strict=True):
        for into, product in zip(sums, (_squared(modes_a), _squared(modes_b), _product(modes_a, modes_b)), strict=True):
            into.append(sum_over_shells(product, of))
    power_a, power_b, power_ab = (torch.cat(parts) for parts in sums)
    scale_a, scale_b = unit_a.to(power_a)[:, None], unit_b.to(power_b)[:, None]
    return CrossSpectrum(
        of.k,
        power_ab / of.modes * _normalisation(grid, sides, window) * scale_a * scale_b,
        power_ab / (power_a * power_b).sqrt(),
        (power_b / power_a).sqrt() * scale_b / scale_a,
        of.modes,
    )


def mode_products(
    fields: Float[Tensor, "samples channels *grid"],
    box: Box,
    bins: Edges,
    window: Window,
    pairs: Sequence[tuple[int, int]],
) -> tuple[Shells, Float[Tensor, "samples pairs bins"]]:
    """Shells, and Re delta_a delta_b* of pairs of channels averaged over them, normalised as P(k) is.

    Each channel is in units of its `binary_unit`.
    """
    grid, sides, of = _setting(fields, box, bins)
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    sums = [
        sum_over_shells(_product(modes[:, first], modes[:, second]), of)
        for modes in _transforms(fields, window, binary_unit(fields))
    ]
    return of, torch.cat(sums) / of.modes * _normalisation(grid, sides, window)


def weighted_powers(
    fields: Float[Tensor, "samples channels *grid"],
    box: Box,
    bins: Edges,
    window: Window,
    weights: Float[Tensor, "weights stored"],
) -> tuple[Shells, Float[Tensor, "samples channels bins"], Float[Tensor, "samples channels weights bins"]]:
    """Shells, P(k), and the mean over each shell of P times each weight, the same for a mode and its conjugate.

    Each channel is in units of its `binary_unit`.
    """
    grid, sides, of = _setting(fields, box, bins)
    powers, moments = [], []
    for modes in _transforms(fields, window, binary_unit(fields)):
        squared = _squared(modes)
        powers.append(sum_over_shells(squared, of))
        moments.append(sum_over_shells(squared[:, :, None] * weights, of))
    scale = _normalisation(grid, sides, window) / of.modes
    return of, torch.cat(powers) * scale, torch.cat(moments) * scale


def _setting(fields: Tensor, box: Box, bins: Edges) -> tuple[tuple[int, ...], tuple[float, ...], Shells]:
    grid = tuple(fields.shape[2:])
    sides = box_sides(grid, box)
    return grid, sides, shells(grid, sides, edges_of(grid, sides, bins), fields.device)


def _transforms(fields: Tensor, window: Window, unit: Tensor) -> Iterator[Complex[Tensor, "chunk channels stored"]]:
    """Modes of the fluctuations of a few samples at a time, so that the memory needed does not grow with them."""
    taper = None if window is None else _taper(tuple(fields.shape[2:]), window, fields.device, fields.dtype)
    for rows in chunks(len(fields), fields[0].numel()):
        yield fluctuations(fields[rows], unit, taper).flatten(2)


def _squared(modes: Complex[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    return modes.real.square().addcmul_(modes.imag, modes.imag)


def _product(a: Complex[Tensor, "*shape"], b: Complex[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    return (a.real * b.real).addcmul_(a.imag, b.imag)


@lru_cache(maxsize=8)
def _taper(grid: tuple[int, ...], window: str, device: torch.device, dtype: torch.dtype) -> Tensor:
    if window != "hann":
        raise UsageError(f"window {window!r} is unknown; give None (periodic) or 'hann'")
    taper = torch.ones((), dtype=torch.float64)
    for cells in grid:
        # Sampled at the middles of the cells, so that no cell is thrown away.
        taper = taper[..., None] * torch.sin(pi * (torch.arange(cells, dtype=torch.float64) + 0.5) / cells).square()
    return taper.to(device, dtype)


def _normalisation(grid: tuple[int, ...], sides: tuple[float, ...], window: Window) -> float:
    lost = 1.0 if window is None else float(_taper(grid, window, torch.device("cpu"), torch.float64).square().mean())
    return prod(sides) / prod(grid) ** 2 / lost
