r"""Gaussian smoothing, so that peaks and contours are those of the scales that the grid resolves.

    f_R(k) = f(k) exp(-k^2 R^2 / 2)

A field that does not wrap around is continued past its borders by the mean of what lies inside the kernel.
"""

from __future__ import annotations

from math import ceil

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv1d

from pushforward.errors import UsageError
from pushforward.statistics.arrays import FieldArray, as_fields, chunks
from pushforward.statistics.modes import Box, box_sides, wavenumbers
from pushforward.tensors.samples import box_of

__all__ = ["gaussian_smooth"]

# The kernel of a field with borders ends where it has fallen to exp(-8).
REACH = 4.0


def gaussian_smooth(
    fields: FieldArray, scale: float, box: Box = None, *, periodic: bool = False
) -> Float[Tensor, "samples channels *grid"]:
    """Fields smoothed with a Gaussian of standard deviation ``scale`` along each axis.

    Arguments:
        fields: ``(samples, channels, *grid)``.
        scale: R, in the box's unit of length (cells when ``box`` is None).
        box: as in `power_spectrum`.
        periodic: whether the fields wrap around.

    Raises:
        UsageError: if the scale is not positive, or the shape or the box make no sense.
    """
    box = box_of(fields, box)
    fields = as_fields(fields)
    if not 0 < scale < float("inf"):
        raise UsageError(f"a smoothing scale of {scale} was given; it must be a positive length")
    grid = tuple(fields.shape[2:])
    sides = box_sides(grid, box)
    smooth = _smooth_periodic if periodic else _smooth_bounded
    parts = [smooth(fields[rows], scale, sides) for rows in chunks(len(fields), fields[0].numel())]
    return torch.cat(parts)


def _smooth_periodic(fields: Tensor, scale: float, sides: tuple[float, ...]) -> Tensor:
    grid = tuple(fields.shape[2:])
    axes = tuple(range(2, fields.ndim))
    modes = torch.fft.rfftn(fields, dim=axes)
    for k in wavenumbers(grid, sides):
        modes = modes * torch.exp(-0.5 * (k * scale).square()).to(fields)
    return torch.fft.irfftn(modes, s=grid, dim=axes)


def _smooth_bounded(fields: Tensor, scale: float, sides: tuple[float, ...]) -> Tensor:
    smoothed = fields
    for axis, side in enumerate(sides, start=2):
        cells = fields.shape[axis]
        width = scale * cells / side
        reach = min(cells - 1, ceil(REACH * width))
        offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
        kernel = torch.exp(-0.5 * (offsets / width).square())[None, None].to(fields)
        lines = smoothed.movedim(axis, -1)
        flat = lines.reshape(-1, 1, cells)
        inside = conv1d(torch.ones_like(flat[:1]), kernel, padding=reach)
        smoothed = (conv1d(flat, kernel, padding=reach) / inside).reshape(lines.shape).movedim(-1, axis)
    return smoothed
