"""Levels, support and pointwise function of each channel of an ensemble, with the reason for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.ensembles.amplitude import Amplitude
from pushforward.ensembles.channels import (
    channel_axis,
    channel_name,
    channel_values,
    suited,
    time_channels,
    trailing_axes,
    transforms_wanted,
)
from pushforward.ensembles.ensemble import Ensemble
from pushforward.ensembles.levels import Levels, allowed_values
from pushforward.ensembles.pointwise_selection import Choice, choose, span_of
from pushforward.ensembles.recognised_supports import needed, support_of
from pushforward.ensembles.supports import Angle, Support, Supports, Zeros
from pushforward.spaces import Space

__all__ = ["ChannelFit", "fit_channels"]


@dataclass(frozen=True)
class ChannelFit:
    """Choices for the channels of an ensemble.

    Attributes:
        levels: allowed values of discrete channels.
        supports: supports of other channels, if not the real line.
        amplitude: amplitude that values are divided by, predicted from conditions; None if they are not.
        choices: pointwise function of each channel.
        values: of each channel, that these functions are applied to.
        scored: numbers of the channels whose results are mapped to normal scores.
        banded: numbers of the continuous columns with missing values.
    """

    levels: Levels
    supports: Supports
    amplitude: Amplitude | None
    choices: list[Choice]
    values: list[np.ndarray]
    scored: list[int]
    banded: list[int]


def fit_channels(
    ensemble: Ensemble,
    index: NDArray[np.int64],
    x: np.ndarray,
    transform: str | Sequence[str],
    *,
    scale_by_condition: bool,
    discrete: bool,
) -> ChannelFit:
    """Inspect members and choose for each channel.

    Arguments:
        ensemble: training members.
        index: the members to inspect.
        x: their samples, without the origin of each channel.
        transform, scale_by_condition, discrete: see `Preprocessing.fit`.

    Raises:
        DataError, UsageError: as `channels.suited`.
    """
    space, channels = ensemble.space, channel_values(ensemble.space, x)
    wanted, scored = transforms_wanted(transform, space, len(channels))
    names = [channel_name(space, number) for number in range(len(channels))]
    levels, supports = _recognised(space, channels, wanted, names, discrete=discrete)
    reshaped = bool(levels or supports.reshapes)
    if reshaped:
        channels = channel_values(space, _on_the_real_line(x, levels, supports))
    choices = _choices(space, channels, wanted, names, supports.supports)
    amplitude = None
    if scale_by_condition and trailing_axes(space) and not reshaped:
        amplitude = _amplitude(ensemble, index, channels, choices)
    if amplitude is not None:
        scales = amplitude(torch.from_numpy(ensemble.condition_rows(index))).float().numpy()
        channels = [values / scales[:, number, None] for number, values in enumerate(channels)]
        choices = [choose(*each) for each in zip(channels, wanted, names, strict=True)]
    return ChannelFit(
        levels,
        supports,
        amplitude,
        choices,
        channels,
        [n for n in scored if levels.allowed[n] is None and not isinstance(supports.supports[n], Zeros | Angle)],
        [n for n in getattr(space, "gaps", ()) if levels.allowed[n] is None],
    )


def _recognised(
    space: Space, channels: Sequence[np.ndarray], wanted: Sequence[str], names: Sequence[str], *, discrete: bool
) -> tuple[Levels, Supports]:
    """Allowed values of the discrete channels, if ``discrete``, and supports of the others; see `_choices`."""
    gaps = getattr(space, "gaps", ())
    allowed = [
        each if each is None else replace(each, gap=number in gaps)
        for number, each in enumerate(map(allowed_values, channels))
    ]
    supports = [
        None if few or kind != "auto" else support_of(space, values, number)
        for number, (few, kind, values) in enumerate(zip(allowed, wanted, channels, strict=True))
    ]
    axis = channel_axis(space)
    levels = Levels(allowed if discrete else [None] * len(channels), axis)
    return levels, needed(Supports(supports, axis), channels, wanted, names)


def _on_the_real_line(x: np.ndarray, levels: Levels, supports: Supports) -> np.ndarray:
    """Samples with discrete values dequantised, and other values mapped from their supports."""
    u = torch.from_numpy(np.random.default_rng(1).random(x.shape, dtype=np.float32))
    return supports(levels(torch.from_numpy(x), u), u).numpy()


def _amplitude(
    ensemble: Ensemble, index: NDArray[np.int64], channels: list[np.ndarray], choices: Sequence[Choice]
) -> Amplitude | None:
    """Amplitude of each channel predicted from the conditions of some members, if it varies strongly with them."""
    conditions = ensemble.condition_rows(index)
    if conditions is None:
        return None
    classes = [len(parameter.classes) for parameter in ensemble.parameters]
    # The logarithm turns a factor into a shift, so the division would gain nothing.
    useful = [choice.kind not in ("log", "none") for choice in choices]
    return Amplitude.fit(conditions, classes, channels, useful)


def _choices(
    space: Space,
    channels: Sequence[np.ndarray],
    wanted: Sequence[str],
    names: Sequence[str],
    supports: Sequence[Support | None],
) -> list[Choice]:
    """Functions of the channels, on the real line, of samples.

    Arguments:
        channels: values of each.
        wanted: function requested for each, or ``"auto"``.
        names: of the channels, in messages.
        supports: support of each.

    Raises:
        DataError, UsageError: as `channels.suited`.
    """
    wanted = ["standardise" if isinstance(s, Zeros | Angle) else w for s, w in zip(supports, wanted, strict=True)]
    timed = time_channels(space)
    choices = [span_of(channels[0])] if timed else []
    choices += [suited(space, *each) for each in zip(channels[timed:], wanted[timed:], names[timed:], strict=True)]
    return [_explained(*each) for each in zip(choices, supports, channels, strict=True)]


def _explained(choice: Choice, support: Support | None, values: np.ndarray) -> Choice:
    """The choice, with the reason that its support gives if it has one; zeros are the negative values."""
    if isinstance(support, Zeros):
        return replace(choice, reason=f"{100 * np.mean(values < 0):.2g} % zeros")
    return replace(choice, reason="angles are only scaled") if isinstance(support, Angle) else choice
