"""Corner figure of posterior samples: each parameter, and each pair of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["corner"]

MASSES = (0.864, 0.393)
"""Mass within the contours: that within two and one standard deviations of a normal distribution in the plane."""
BINS, MARGIN, SMOOTHING = 48, 3, 1.2
"""Bins per parameter, empty bins around them, and width of the kernel that smooths a histogram, in bins."""
_COLOUR, _TRUTH = "#0072b2", "#d55e00"


def corner(samples: NDArray[np.float64], names: Sequence[str], truth: Sequence[float] | None = None) -> Figure:
    """Histograms of the parameters on the diagonal, contours of 39 and 86 % of the mass of each pair below it.

    Arguments:
        samples: shape ``(n, P)``.
        names: of the parameters.
        truth: values to mark, one per parameter; None marks none.
    """
    from matplotlib.figure import Figure

    count = len(names)
    figure = Figure(figsize=(1.2 + 1.9 * count, 1.0 + 1.9 * count), layout="constrained")
    panels = figure.subplots(count, count, squeeze=False, sharex="col")
    for row in range(count):
        for column in range(count):
            axes = panels[row, column]
            if column > row:
                axes.set_visible(False)
                continue
            if row == column:
                axes.hist(samples[:, row], BINS, density=True, histtype="stepfilled", color=_COLOUR, alpha=0.35)
                axes.set_yticks([])
                axes.spines[["left", "top", "right"]].set_visible(False)
            else:
                _pair(axes, samples[:, column], samples[:, row])
                if truth is not None:
                    axes.axhline(truth[row], color=_TRUTH, linewidth=0.9)
            if truth is not None:
                axes.axvline(truth[column], color=_TRUTH, linewidth=0.9)
            axes.tick_params(labelsize=8, labelleft=column == 0 and row > 0)
            if row == count - 1:
                axes.set_xlabel(names[column])
            if column == 0 and row > 0:
                axes.set_ylabel(names[row])
    return figure


def _pair(axes: Any, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """Contours of the smoothed histogram of two parameters; points if there is none."""
    if not (np.ptp(x) > 0 and np.ptp(y) > 0):
        axes.plot(x, y, ".", color=_COLOUR, markersize=1.5)
        return
    counts, *edges = np.histogram2d(x, y, BINS)
    # Empty bins around the samples close the contours.
    mass = ndimage.gaussian_filter(np.pad(counts, MARGIN), SMOOTHING)
    bins = np.arange(-MARGIN, BINS + MARGIN) + 0.5
    places = [ends[0] + bins * (ends[1] - ends[0]) for ends in edges]
    ordered = np.sort(mass.ravel())[::-1]
    within = np.cumsum(ordered) / ordered.sum()
    levels = [float(ordered[np.searchsorted(within, share)]) for share in MASSES]
    if levels[0] < levels[1]:
        axes.contourf(*places, mass.T, [*levels, 2 * float(mass.max())], colors=["#9cc7e4", _COLOUR])
    else:
        axes.plot(x, y, ".", color=_COLOUR, markersize=1.5)
