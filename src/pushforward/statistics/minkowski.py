r"""Minkowski functionals of maps: area, boundary length and Euler characteristic of the region above a threshold.

For u = (f - mean) / sigma on a map of area A,

    V0(nu) = 1/A    int Theta(u - nu) da                                                   no unit
    V1(nu) = 1/(4A) int delta(u - nu) |grad u| da                                          1 / length
    V2(nu) = 1/(2 pi A) int delta(u - nu) kappa |grad u| da                                1 / length^2
    kappa |grad u| = (2 u_x u_y u_xy - u_x^2 u_yy - u_y^2 u_xx) / (u_x^2 + u_y^2)

(Schmalzing and Gorski 1998, https://arxiv.org/abs/astro-ph/9710185; V2 is the Euler characteristic per area: regions
minus holes). The delta function is a bin that reaches half way to the neighbouring thresholds, so V1 and V2 are means
over that bin; `gaussian_minkowski` gives what a Gaussian field would have, averaged over the same bins:

    V0 = erfc(nu / sqrt 2) / 2
    V1 = sigma_1 / (8 sqrt 2) e^{-nu^2/2}
    V2 = sigma_1^2 / (2 (2 pi)^{3/2}) nu e^{-nu^2/2}

with sigma_1^2 = <|grad u|^2> (Tomita 1986). Derivatives of a periodic map are taken mode by mode and are exact for what
the grid holds; of another map by central differences, whose gradients are short by sin(k h) / (k h) for a cell h, and
the two outermost layers are left out. Structure of the size of a cell has no contour: smooth it by about two cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.statistics.arrays import FieldArray, as_fields, chunks, wide, wide_type
from pushforward.statistics.levels import PerChannel, above_each, channel_scale, rising
from pushforward.statistics.modes import Box, box_sides, wavenumbers
from pushforward.statistics.smoothing import gaussian_smooth
from pushforward.tensors.samples import box_of

__all__ = ["MinkowskiFunctionals", "gaussian_minkowski", "minkowski_functionals"]


@dataclass(frozen=True)
class MinkowskiFunctionals:
    """Minkowski functionals of maps.

    Attributes:
        thresholds: nu, in units of sigma above the mean.
        v0: part of the area above the threshold.
        v1: a quarter of the boundary's length per area, 1 / length.
        v2: Euler characteristic per area, 1 / length^2.
        mean, sigma: of each channel (smoothed, if it was), in the field's unit.
        gradient: sigma_1, the root mean square of |grad u| over all samples, 1 / length.
    """

    thresholds: Float[Tensor, " thresholds"]
    v0: Float[Tensor, "*samples channels thresholds"]
    v1: Float[Tensor, "*samples channels thresholds"]
    v2: Float[Tensor, "*samples channels thresholds"]
    mean: Float[Tensor, " channels"]
    sigma: Float[Tensor, " channels"]
    gradient: Float[Tensor, " channels"]


def minkowski_functionals(
    fields: FieldArray,
    thresholds: Tensor | None = None,
    *,
    box: Box = None,
    periodic: bool = False,
    smoothing: float | None = None,
    mean: PerChannel = None,
    sigma: PerChannel = None,
) -> MinkowskiFunctionals:
    """Minkowski functionals V0, V1 and V2 of each map at each threshold.

    Arguments:
        fields: ``(samples, channels, height, width)``.
        thresholds: at least two, rising, in units of sigma; None for -3 to 3 in steps of one quarter.
        box: as in `power_spectrum`.
        periodic: whether the maps wrap around.
        smoothing: standard deviation of a Gaussian to smooth with first, in the box's unit of length; None for none.
        mean, sigma: ``(channels,)``; None for those of all samples together. Give those of a first set's result to
            measure a second set at the same values.

    Raises:
        UsageError: if the shape, the box or the thresholds make no sense.

    Example:
        >>> maps = torch.randn(4, 1, 64, 64)
        >>> found = minkowski_functionals(maps, periodic=True, smoothing=2.0)
        >>> expected = gaussian_minkowski(found.thresholds, found.gradient)
        >>> found.v1.shape, expected.v1.shape
        (torch.Size([4, 1, 25]), torch.Size([1, 25]))
    """
    box = box_of(fields, box)
    fields = as_fields(fields, (2,))
    sides = box_sides(tuple(fields.shape[2:]), box)
    if smoothing is not None:
        fields = gaussian_smooth(fields, smoothing, box, periodic=periodic)
    nu = rising(thresholds, torch.linspace(-3, 3, 25), fields.device, least=2)
    mean, sigma = channel_scale(fields, mean, sigma)
    derivatives = _spectral_derivatives if periodic else _central_derivatives
    parts, squares = [], []
    for rows in chunks(len(fields), 4 * fields[0].numel()):
        u = ((wide(fields[rows]) - mean[:, None, None]) / sigma[:, None, None]).to(fields.dtype)
        inner, *slopes = derivatives(u, sides)
        part, square = _integrals(inner, slopes, nu)
        parts.append(torch.cat([_area_above(u, nu)[None], part]))
        squares.append(square)
    v0, v1, v2 = torch.cat(parts, 1)
    gradient = torch.cat(squares).mean(0).sqrt()
    return MinkowskiFunctionals(nu, v0, v1, v2, mean, sigma, gradient)


def gaussian_minkowski(
    thresholds: Float[Tensor, " thresholds"], gradient: Float[Tensor, " channels"]
) -> MinkowskiFunctionals:
    """Expected functionals of Gaussian maps: V1 and V2 averaged over the bins of `minkowski_functionals`.

    Arguments:
        thresholds: nu, at least two, rising.
        gradient: sigma_1 of each channel in units of its sigma, 1 / length.

    Returns:
        `MinkowskiFunctionals` without the axis of samples, of mean 0 and sigma 1.
    """
    nu, sigma_1 = wide(thresholds), wide(gradient)[:, None]
    edges = _bins_around(nu)
    width = edges.diff()
    v0 = torch.special.erfc(nu / 2**0.5) / 2
    bell = (pi / 2) ** 0.5 * torch.special.erf(edges / 2**0.5).diff() / width
    slope = -torch.exp(-edges.square() / 2).diff() / width
    v1 = sigma_1 / (8 * 2**0.5) * bell
    v2 = sigma_1.square() / (2 * (2 * pi) ** 1.5) * slope
    ones = torch.ones_like(sigma_1[:, 0])
    return MinkowskiFunctionals(nu, v0.expand_as(v1), v1, v2, 0 * ones, ones, sigma_1[:, 0])


def _bins_around(nu: Tensor) -> Tensor:
    middles = (nu[1:] + nu[:-1]) / 2
    return torch.cat([(2 * nu[:1] - middles[:1]), middles, (2 * nu[-1:] - middles[-1:])])


def _spectral_derivatives(u: Tensor, sides: tuple[float, ...]) -> list[Tensor]:
    """u, u_y, u_x, u_yy, u_xx, u_xy of a periodic map (y first axis, x second)."""
    grid = tuple(u.shape[2:])
    modes = torch.fft.rfftn(u, dim=(2, 3))
    components = []
    for k, cells, axis in zip(wavenumbers(grid, sides, u.device), grid, (0, 1), strict=True):
        if cells % 2 == 0:
            # The mode at Nyquist has no sign of k: its derivative is zero on the grid.
            k = k.index_fill(axis, torch.tensor([cells // 2], device=k.device), 0.0)
        components.append(k.to(u.dtype))
    ky, kx = components
    factors = (1j * ky, 1j * kx, -ky * ky, -kx * kx, -ky * kx)
    return [u, *(torch.fft.irfftn(modes * factor, s=grid, dim=(2, 3)) for factor in factors)]


def _central_derivatives(u: Tensor, sides: tuple[float, ...]) -> list[Tensor]:
    """As `_spectral_derivatives`, away from the borders.

    Second derivatives are first ones taken twice: then <u u_xx> = -<u_x^2> holds on the grid as it does in the
    continuum, and the relation between V1 and V2 of a Gaussian field survives the discretisation.
    """
    hy, hx = (side / cells for side, cells in zip(sides, u.shape[2:], strict=True))
    uy = (u[..., 2:, :] - u[..., :-2, :]) / (2 * hy)
    ux = (u[..., :, 2:] - u[..., :, :-2]) / (2 * hx)
    uyy = (uy[..., 2:, :] - uy[..., :-2, :]) / (2 * hy)
    uxx = (ux[..., :, 2:] - ux[..., :, :-2]) / (2 * hx)
    uxy = (ux[..., 2:, :] - ux[..., :-2, :]) / (2 * hy)
    inside = slice(2, -2)
    return [
        u[..., inside, inside],
        uy[..., 1:-1, inside],
        ux[..., inside, 1:-1],
        uyy[..., :, inside],
        uxx[..., inside, :],
        uxy[..., 1:-1, 1:-1],
    ]


def _area_above(u: Tensor, nu: Tensor) -> Tensor:
    below = torch.bucketize(u, nu.to(u.dtype)).flatten(2)
    samples, channels, cells = below.shape
    owner = torch.arange(samples * channels, device=u.device).repeat_interleave(cells)
    counts = above_each(owner, below.flatten(), samples * channels, len(nu))
    return counts.unflatten(0, (samples, channels)) / cells


def _integrals(u: Tensor, slopes: list[Tensor], nu: Tensor) -> tuple[Tensor, Tensor]:
    uy, ux, uyy, uxx, uxy = slopes
    square = ux.square() + uy.square()
    turning = 2 * ux * uy * uxy - ux.square() * uyy - uy.square() * uxx
    turning = torch.where(square > 0, turning / square.clamp_min(torch.finfo(u.dtype).tiny), 0.0)
    edges = _bins_around(nu)
    index = torch.bucketize(u.contiguous(), edges.to(u.dtype), right=True).flatten(2)
    scale = edges.diff() * index.shape[2]
    v1 = _histogram(index, wide(square.sqrt().flatten(2)), len(nu) + 2)[..., 1:-1] / (4 * scale)
    v2 = _histogram(index, wide(turning.flatten(2)), len(nu) + 2)[..., 1:-1] / (2 * pi * scale)
    return torch.stack([v1, v2]), square.mean((2, 3), dtype=wide_type(u))


def _histogram(index: Tensor, weight: Tensor, bins: int) -> Tensor:
    return weight.new_zeros(*index.shape[:2], bins).scatter_add_(2, index, weight)
