r"""Peak counts: local maxima above a threshold, as in lensing surveys.

    N(nu) = number of cells with f > all 8 (in 3-D 26, in 1-D 2) neighbours and (f - mean) / sigma > nu

A plateau of equal values is not a peak. Without periodic borders the cells of the outermost layer, which lack
neighbours, are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from pushforward.statistics.arrays import FieldArray, as_fields, chunks, wide
from pushforward.statistics.levels import PerChannel, above_each, channel_scale, rising

__all__ = ["PeakCounts", "peak_counts"]


@dataclass(frozen=True)
class PeakCounts:
    """Peaks above thresholds.

    Attributes:
        thresholds: nu, in units of sigma above the mean.
        counts: peaks above each threshold, of each sample.
        mean, sigma: of each channel, in the field's unit: what the thresholds are measured from and in.
    """

    thresholds: Float[Tensor, " thresholds"]
    counts: Float[Tensor, "samples channels thresholds"]
    mean: Float[Tensor, " channels"]
    sigma: Float[Tensor, " channels"]


def peak_counts(
    fields: FieldArray,
    thresholds: Tensor | None = None,
    *,
    periodic: bool = False,
    mean: PerChannel = None,
    sigma: PerChannel = None,
) -> PeakCounts:
    """Number of local maxima above each threshold.

    Arguments:
        fields: ``(samples, channels, *grid)``, at least three cells along each axis.
        thresholds: rising, in units of sigma; None for -2 to 6 in steps of one half.
        periodic: whether the fields wrap around.
        mean, sigma: ``(channels,)``; None for those of all samples together. Give those of a first set's result to
            count a second set at the same values.

    Raises:
        UsageError: if the shape or the thresholds make no sense.

    Example:
        >>> maps = torch.randn(4, 1, 32, 32)
        >>> peaks = peak_counts(maps, periodic=True)
        >>> peaks.counts.shape
        torch.Size([4, 1, 17])
    """
    fields = as_fields(fields)
    nu = rising(thresholds, torch.linspace(-2, 6, 17), fields.device)
    mean, sigma = channel_scale(fields, mean, sigma)
    levels = mean[:, None] + sigma[:, None] * nu
    counts = [_count(fields[rows], levels, periodic) for rows in chunks(len(fields), fields[0].numel(), budget=1 << 19)]
    return PeakCounts(nu, torch.cat(counts), mean, sigma)


def _view(padded: Tensor, shift: tuple[int, ...], cells: list[int]) -> Tensor:
    for axis, (start, length) in enumerate(zip(shift, cells, strict=True), start=2):
        padded = padded.narrow(axis, start, length)
    return padded


def _count(fields: Tensor, levels: Float[Tensor, "channels thresholds"], periodic: bool) -> Tensor:
    axes = fields.ndim - 2
    padded = pad(fields, [1, 1] * axes, mode="circular") if periodic else fields
    inner = [n - 2 for n in padded.shape[2:]]
    views = {shift: _view(padded, shift, inner) for shift in product(range(3), repeat=axes)}
    centre = views.pop((1,) * axes)
    neighbours = iter(views.values())
    highest = next(neighbours).clone()
    for neighbour in neighbours:
        torch.maximum(highest, neighbour, out=highest)
    peak = centre > highest
    sample, channel = peak.nonzero(as_tuple=True)[:2]
    below = (wide(centre[peak])[:, None] > levels[channel]).sum(1)
    samples, channels = fields.shape[:2]
    counts = above_each(sample * channels + channel, below, samples * channels, levels.shape[1])
    return counts.unflatten(0, (samples, channels))
