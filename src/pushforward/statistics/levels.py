"""Thresholds on a field in units of its standard deviation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import as_tensor, chunks, wide, wide_type

__all__ = ["PerChannel", "above_each", "channel_scale", "rising"]


PerChannel = Tensor | Sequence[float] | None


def rising(
    thresholds: Tensor | None, default: Tensor, device: torch.device, least: int = 1
) -> Float[Tensor, " thresholds"]:
    """Thresholds in float64 on ``device``, or the default ones.

    Raises:
        UsageError: if they are not a rising row of at least ``least`` numbers.
    """
    nu = wide(as_tensor(default if thresholds is None else thresholds).to(device))
    if nu.ndim != 1 or len(nu) < least or not bool((nu.diff() > 0).all()):
        raise UsageError(
            f"thresholds of shape {tuple(nu.shape)} were given; give at least {least} rising numbers, "
            "in units of the field's standard deviation"
        )
    return nu


def above_each(
    owner: Int[Tensor, " values"], below: Int[Tensor, " values"], owners: int, thresholds: int
) -> Float[Tensor, "owners thresholds"]:
    """Number of values of each owner above each threshold, from the number of thresholds ``below`` each value."""
    histogram = torch.bincount(owner * (thresholds + 1) + below, minlength=owners * (thresholds + 1))
    return wide(histogram.reshape(owners, thresholds + 1).flip(-1).cumsum(-1).flip(-1)[..., 1:])


def channel_scale(fields: Tensor, mean: PerChannel, sigma: PerChannel) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over all samples and cells, where they are not given; float64.

    Raises:
        UsageError: if what is given does not fit the channels.
    """
    channels = fields.shape[1]
    if mean is None or sigma is None:
        axes = tuple(i for i in range(fields.ndim) if i != 1)
        own_mean = fields.mean(axes, dtype=wide_type(fields))
        shape = (1, channels, *[1] * (fields.ndim - 2))
        square = own_mean.new_zeros(channels)
        for rows in chunks(len(fields), fields[0].numel()):
            square += (wide(fields[rows]) - own_mean.reshape(shape)).square_().sum(axes)
        mean = own_mean if mean is None else mean
        sigma = (square * channels / fields.numel()).sqrt() if sigma is None else sigma
    scale = []
    for name, values in (("mean", mean), ("sigma", sigma)):
        values = wide(as_tensor(values).to(fields.device))
        if values.ndim > 1 or values.numel() not in (1, channels):
            raise UsageError(f"{name} of shape {tuple(values.shape)} was given for {channels} channels; give one each")
        scale.append(values.expand(channels))
    return scale[0], scale[1]
