r"""Mean and variance of a field as functions of the distance from its border.

Networks pad fields that are not periodic: a dim or noisy margin is their usual defect, which averages over all cells do
not show. With R_d the cells whose distance to the nearest border lies in ring d,

    m(d) = < x >_{R_d},        v(d) = < (x - m(d))^2 >_{R_d},

of each sample, m(d) in v the mean over all samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import FieldArray, as_fields, chunks, wide
from pushforward.statistics.modes import Box, box_sides
from pushforward.tensors.samples import box_of

__all__ = ["BorderProfile", "border_profile"]


@dataclass(frozen=True)
class BorderProfile:
    """Moments in rings along the border, of each sample: compare them by `mean_difference`.

    Attributes:
        distance: mean distance of each ring's cells from the border, in the box's unit (cells when there is none).
        mean: m(d), in the field's unit.
        variance: v(d), in its square; compare it with ``relative=True``.
        cells: cells in each ring.
    """

    distance: Float[Tensor, " rings"]
    mean: Float[Tensor, "samples channels rings"]
    variance: Float[Tensor, "samples channels rings"]
    cells: Int[Tensor, " rings"]


def border_profile(fields: FieldArray, box: Box = None, widths: tuple[int, ...] = (1, 1, 2, 4)) -> BorderProfile:
    """Mean and variance of each sample and channel in rings along the border, and in the interior.

    Arguments:
        fields: ``(samples, channels, *grid)``, one to three axes.
        box: as in `power_spectrum`.
        widths: of the rings in cells, from the border inward; what they leave is the last ring. Rings that the grid has
            no room for are left out.

    Raises:
        UsageError: if a width is not positive, or the shape or the box make no sense.

    Example:
        >>> fields = torch.ones(5, 1, 32, 32)
        >>> fields[:, :, 0] = 0.85
        >>> border_profile(fields).mean[0, 0].round(decimals=3)
        tensor([0.9610, 1.0000, 1.0000, 1.0000, 1.0000], dtype=torch.float64)
    """
    box = box_of(fields, box)
    fields = as_fields(fields)
    if not widths or min(widths) < 1:
        raise UsageError(f"widths={widths} were given; rings are at least one cell wide")
    grid = tuple(fields.shape[2:])
    depth, distance = _depth(grid, box_sides(grid, box))
    edges = [0, *torch.tensor(widths).cumsum(0).tolist()]
    rings = [(depth >= low) & (depth < high) for low, high in pairwise([*edges, max(grid)])]
    rings = [ring.flatten() for ring in rings if bool(ring.any())]
    masks = torch.stack(rings).double()
    cells = masks.sum(1)
    share = wide((masks / cells[:, None]).to(fields.device))
    mean = torch.cat([wide(fields[rows]).flatten(2) @ share.T for rows in chunks(len(fields), fields[0].numel())])
    centre = mean.mean(0)
    square = [wide(fields[rows]).flatten(2).square() @ share.T for rows in chunks(len(fields), fields[0].numel())]
    variance = torch.cat(square) - 2 * mean * centre + centre.square()
    away = (masks * distance.flatten()).sum(1) / cells
    return BorderProfile(wide(away.to(fields.device)), mean, variance.clamp_min(0), cells.long().to(fields.device))


def _depth(grid: tuple[int, ...], sides: tuple[float, ...]) -> tuple[Int[Tensor, "*grid"], Float[Tensor, "*grid"]]:
    """Whole cells between each cell and the nearest border, and the length to that border from the cell's middle."""
    depth, distance = [], []
    for axis, (cells, side) in enumerate(zip(grid, sides, strict=True)):
        index = torch.arange(cells)
        steps = torch.minimum(index, cells - 1 - index).reshape([-1 if i == axis else 1 for i in range(len(grid))])
        depth.append(steps)
        distance.append((steps.double() + 0.5) * side / cells)
    nearest = torch.stack(torch.broadcast_tensors(*depth)).amin(0)
    return nearest, torch.stack(torch.broadcast_tensors(*distance)).amin(0)
