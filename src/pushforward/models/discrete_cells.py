"""Cells over which discrete values are spread, in network units, and the settings of that dequantisation."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import torch
from pydantic import Field as Setting

from pushforward.models.settings import Settings

__all__ = ["MOST_CELLS", "DiscreteCells", "DiscreteSettings", "cells_of"]

DiscreteCells = tuple[tuple[Annotated[float, Setting(allow_inf_nan=True)], ...], ...]
"""Edges of the cells of each channel; empty for a continuous one, infinity as the last of an unbounded one."""

MOST_CELLS = 256
"""Largest number of values of a discrete channel; one with more counts as continuous."""
_FARTHEST = 16.0
"""Largest edge of the cells of unbounded counts, in network units."""


class DiscreteSettings(Settings):
    """
    Attributes:
        dequantisation: distribution of discrete values within their cells, "uniform", or "variational", a density that
            is learned with the flow and gives a tighter bound on log-probabilities.
        cells: edges of the cells of discrete values, for each channel, in network units; empty for a continuous
            channel. Determined from the data.
    """

    dequantisation: Literal["uniform", "variational"] = "uniform"
    cells: DiscreteCells = ()


def cells_of(preprocessing: Any, *, unbounded: bool = False) -> DiscreteCells:
    """The `DiscreteSettings.cells` of a fitted preprocessing, in network units; empty if no channel is discrete.

    Arguments:
        unbounded: also the cells of whole numbers without a largest one, with infinity as the last edge.
    """
    levels, space = getattr(preprocessing, "levels", None), preprocessing.space
    channels = space.shape[0]
    if not levels:
        return ()
    allowed = levels.allowed if len(levels.allowed) > 1 else levels.allowed * channels
    found: list[tuple[float, ...]] = []
    for channel, each in enumerate(allowed):
        counts = unbounded and each is not None and each.least is not None and each.most is None
        values = [] if each is None else list(each.values) or _whole_numbers(each.least, each.most, unbounded=counts)
        gap = bool(values) and each is not None and each.gap
        values = [math.nan, *values] if gap else values
        if not 1 < len(values) <= MOST_CELLS + gap:
            found.append(())
            continue
        # The lower edge of each cell (u = 0), and the upper edge of the last (u = 1).
        x = torch.zeros(len(values) + 1, *space.shape)
        x[:, channel] = torch.tensor([*values, values[-1]]).view(-1, *[1] * (len(space.shape) - 1))
        u = torch.zeros_like(x)
        u[-1] = 1.0
        with torch.no_grad():
            edges = preprocessing(x, None, u=u)[:, channel].reshape(len(x), -1)[:, 0]
        found.append((*edges[edges < _FARTHEST].tolist(), math.inf) if counts else tuple(edges.tolist()))
    return tuple(found) if any(found) else ()


def _whole_numbers(least: int | None, most: int | None, *, unbounded: bool) -> list[float]:
    if least is not None and unbounded:
        most = least + MOST_CELLS - 1
    if least is None or most is None or most - least >= MOST_CELLS:
        return []
    return [float(value) for value in range(least, most + 1)]
