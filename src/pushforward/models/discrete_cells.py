"""Cells that discrete values are spread over, in network units, and the way they are spread."""

from __future__ import annotations

from typing import Any, Literal

import torch

from pushforward.models.settings import Settings

__all__ = ["MOST_CELLS", "DiscreteSettings", "cells_of"]

MOST_CELLS = 256
"""Largest number of values of a channel whose cells are listed."""


class DiscreteSettings(Settings):
    """
    Attributes:
        dequantisation: places of discrete values within their cells: "uniform", or drawn from a density that is learned
            with the flow, "variational", which bounds log-probabilities closer.
        cells: edges of the cells that discrete values are spread over, of each channel, in network units; empty for a
            channel that is continuous. Found from the data.
    """

    dequantisation: Literal["uniform", "variational"] = "uniform"
    cells: tuple[tuple[float, ...], ...] = ()


def cells_of(preprocessing: Any) -> tuple[tuple[float, ...], ...]:
    """Edges of the cells of each channel's discrete values; empty where no channel is discrete."""
    levels, space = getattr(preprocessing, "levels", None), preprocessing.space
    channels = space.shape[0]
    if not levels:
        return ()
    allowed = levels.allowed if len(levels.allowed) > 1 else levels.allowed * channels
    found: list[tuple[float, ...]] = []
    for number, each in enumerate(allowed):
        values = [] if each is None else list(each.values) or _whole(each.least, each.most)
        if not 1 < len(values) <= MOST_CELLS:
            found.append(())
            continue
        x = torch.zeros(len(values) + 1, *space.shape)
        x[:, number] = torch.tensor([*values, values[-1]]).view(-1, *[1] * (len(space.shape) - 1))
        u = torch.zeros_like(x)
        u[-1] = 1.0
        with torch.no_grad():
            edges = preprocessing(x, None, u=u)[:, number].reshape(len(x), -1)[:, 0]
        found.append(tuple(edges.tolist()))
    return tuple(found) if any(found) else ()


def _whole(least: int | None, most: int | None) -> list[float]:
    if least is None or most is None or most - least >= MOST_CELLS:
        return []
    return [float(value) for value in range(least, most + 1)]
