"""A look at an emulator: its training curves and some of its samples, by their kind."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pushforward.spaces import Field, Particles, Series, Space, Vector

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["picture"]

_SHOWN = 9
"""Fields that are drawn, at most."""
_LINES = 24
"""Series that are drawn, at most."""


def picture(space: Space, samples: NDArray[np.float32], curves: pd.DataFrame | None, title: str) -> Figure:
    """A figure with the losses, if there are any, beside the samples.

    Arguments:
        space: of the samples.
        samples: shape ``(n, *space.shape)``.
        curves: as of `runs.curves.training_curves`; None where there are none.
        title: of the samples.
    """
    from matplotlib.figure import Figure

    losses = [] if curves is None else [name for name in curves.columns if "loss" in name]
    figure = Figure(figsize=(9.0 if losses else 4.5, 4.0), layout="constrained")
    parts = figure.subfigures(1, 2 if losses else 1, squeeze=False)[0]
    if losses and curves is not None:
        axes = parts[0].subplots()
        for name in losses:
            known = curves[name].dropna()
            axes.plot(known.index, known, label=name.removesuffix("/loss"))
        axes.set(xlabel="step", ylabel="loss", title="training")
        if len(losses) > 1:
            axes.legend(frameon=False)
    draw(space, parts[-1], samples)
    parts[-1].suptitle(title)
    return figure


@singledispatch
def draw(space: Space, figure: Any, samples: NDArray[np.float32]) -> None:
    """Draw samples: by default, the distribution of all of their values."""
    axes = figure.subplots()
    axes.hist(samples.reshape(-1), bins=50, density=True)
    axes.set(xlabel="value", ylabel="density")


@draw.register
def _(space: Vector, figure: Any, samples: NDArray[np.float32]) -> None:
    axes = figure.subplots()
    names = space.names or tuple(f"x{number + 1}" for number in range(space.dim))
    if space.dim == 1:
        axes.hist(samples[:, 0], bins=50, density=True)
        axes.set(xlabel=names[0], ylabel="density")
        return
    axes.scatter(samples[:, 0], samples[:, 1], s=4, linewidths=0)
    axes.set(xlabel=names[0], ylabel=names[1])


@draw.register
def _(space: Field, figure: Any, samples: NDArray[np.float32]) -> None:
    """First channels; of cubes, their middle slices."""
    maps = samples[:_SHOWN, 0]
    while maps.ndim > 3:
        maps = maps[:, maps.shape[1] // 2]
    if maps.ndim == 2:
        figure.subplots().plot(maps.T)
        return
    low, high = np.quantile(maps, [0.005, 0.995])
    side = int(np.ceil(len(maps) ** 0.5))
    for axes, each in zip(figure.subplots(side, side, squeeze=False).flat, maps, strict=False):
        axes.imshow(each, vmin=low, vmax=high, origin="lower")
    for axes in figure.axes:
        axes.set_axis_off()


@draw.register
def _(space: Particles, figure: Any, samples: NDArray[np.float32]) -> None:
    axes = figure.subplots()
    for each in samples[:_SHOWN]:
        axes.scatter(each[:, 0], each[:, 1 % space.dim], s=12)
    axes.set(xlabel="x", ylabel="y", aspect="equal")


@draw.register
def _(space: Series, figure: Any, samples: NDArray[np.float32]) -> None:
    axes = figure.subplots()
    for each in samples[:_LINES]:
        times = each[:, 0] if space.timed else np.arange(len(each))
        axes.plot(times, each[:, int(space.timed)], marker=".", linewidth=0.8)
    axes.set(xlabel="time", ylabel=space.names[0] if space.names else "value")
