"""Levels, support and pointwise function of each channel of an ensemble, with the reason for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pushforward.ensembles.channels import channel_axis, suited, time_channels
from pushforward.ensembles.levels import Levels, allowed_values
from pushforward.ensembles.pointwise_selection import Choice, span_of
from pushforward.ensembles.recognised_supports import needed, support_of
from pushforward.ensembles.supports import Angle, Support, Supports, Zeros
from pushforward.spaces import Space

__all__ = ["channel_choices", "recognised"]


def recognised(
    space: Space, channels: Sequence[np.ndarray], wanted: Sequence[str], names: Sequence[str], *, discrete: bool
) -> tuple[Levels, Supports]:
    """Allowed values of the discrete channels, if ``discrete``, and supports of the others; arguments as below."""
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


def channel_choices(
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
