"""A few numbers that describe a field, for statistics of vectors: neighbours, precision and recall, classifiers."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d

from pushforward.errors import UsageError
from pushforward.statistics.arrays import FieldArray, as_fields
from pushforward.statistics.modes import Box, box_sides, edges_of
from pushforward.statistics.one_point import field_moments
from pushforward.statistics.power_spectrum import Window, power_spectrum

__all__ = ["low_pass", "summary_features"]

_POOLS: dict[int, Callable[..., Tensor]] = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


def low_pass(fields: FieldArray, cells: int = 16) -> Float[Tensor, "samples dim"]:
    """Fields averaged over blocks to ``cells`` along each axis (at most), flattened.

    Large scales alone decide the distance between two such vectors, so a copy with new small-scale noise is found.

    Raises:
        UsageError: if the shape makes no sense or ``cells`` is not positive.
    """
    if cells < 1:
        raise UsageError(f"cells={cells} was given; at least one cell must be left along each axis")
    fields = as_fields(fields)
    grid = fields.shape[2:]
    pooled: Tensor = _POOLS[len(grid)](fields, tuple(min(cells, n) for n in grid))
    return pooled.flatten(1)


def summary_features(
    fields: FieldArray, box: Box = None, *, shells: int = 12, window: Window = None
) -> Float[Tensor, "samples features"]:
    """Summary of each field: log P(k) in logarithmic shells, and mean, log standard deviation, skewness and kurtosis.

    Arguments:
        fields: ``(samples, channels, *grid)``.
        box, window: as in `power_spectrum`.
        shells: at most, equal in log k between the fundamental and Nyquist.

    Returns:
        ``(samples, channels * (shells + 4))`` in float64; logarithms are floored, so constant fields stay finite.
    """
    fields = as_fields(fields)
    edges = torch.tensor(edges_of(tuple(fields.shape[2:]), box_sides(tuple(fields.shape[2:]), box)))
    grid_edges = torch.logspace(log(edges[0]), log(edges[-1]), shells + 1, base=torch.e, dtype=torch.float64)
    # Logarithmic edges moved to those of whole shells, so that no shell is empty.
    nearest = (grid_edges[:, None] - edges[None, :].double()).abs().argmin(1).unique()
    power = power_spectrum(fields, box, edges[nearest].tolist(), window=window).power
    mean, variance, skewness, kurtosis = field_moments(fields)
    tiny = torch.finfo(power.dtype).tiny
    columns = [
        power.clamp_min(tiny).log(),
        mean[..., None],
        variance.clamp_min(tiny).log()[..., None] / 2,
        skewness.nan_to_num(0.0)[..., None],
        kurtosis.nan_to_num(0.0)[..., None],
    ]
    return torch.cat(columns, -1).flatten(1)
