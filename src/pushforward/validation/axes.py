"""Axes shared by figures of one and of several models: rows of statistics, ratios to a floor, a curve and its ratio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pushforward.validation.curves import Curve
from pushforward.validation.style import FLOOR, REAL
from pushforward.validation.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FAINT", "MOST_RATIO", "compared_limits", "curve_axes", "draw_floor", "name_rows", "ratio_axis"]

FAINT = "#8a9099"
MOST_RATIO = 1000.0
"""Largest discrepancy in units of its floor that has a place on an axis."""


def name_rows(axes: Axes, labels: Sequence[str]) -> None:
    """Label the rows of the vertical axis, the first on top."""
    axes.set_yticks(range(len(labels)), list(reversed(labels)))
    axes.set_ylim(-0.6, len(labels) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def draw_floor(axes: Axes, row: int, low: float, high: float, width: float) -> None:
    """Draw the range of real data against real data as a bar behind a row; ``width`` in points."""
    axes.plot([low, high], [row, row], color=FLOOR, lw=width, solid_capstyle="butt", zorder=1)


def ratio_axis(axes: Axes, low: float, high: float) -> None:
    """A logarithmic horizontal axis of discrepancies in units of their floor."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    _plain_log_ticks(axes, (low, high))
    # Flush right, it has room below the names of the rows where these are long.
    axes.set_xlabel("discrepancy  /  that of real data against real data", loc="right")
    axes.axvline(1, color=REAL, lw=0.7)


def curve_axes(curves: Sequence[Curve], height: float, shares: tuple[float, float]) -> tuple[Figure, Axes, Axes]:
    """A panel with the real mean of a statistic, and one below with the floor, into which models are drawn.

    Arguments:
        curves: the same statistic of each model; what is real is taken from the first.
        height: of the figure, inches; shares: of the two panels.
    """
    from matplotlib.figure import Figure

    first = curves[0]
    figure = Figure(figsize=(4.6, height))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=shares)
    upper.plot(first.x, first.real, color=REAL, lw=2.2, label="real")
    upper.set_ylabel(first.y_label)
    if first.log_y:
        upper.set_yscale("log", nonpositive="mask")
    lower.fill_between(first.x, first.floor_low, first.floor_high, color=FLOOR, lw=0)
    lower.axhline(1.0 if first.versus == "ratio" else 0.0, color=REAL, lw=0.8)
    lower.set_ylim(*compared_limits(curves))
    lower.set_ylabel("ratio" if first.versus == "ratio" else "difference / σ")
    lower.set_xlabel(first.x_label)
    if first.log_x:
        lower.set_xscale("log")
        _plain_log_ticks(lower, (float(first.x.min()), float(first.x.max())))
    if first.cut is not None and first.cut < first.x.max():
        for axes in (upper, lower):
            axes.axvline(first.cut, color=FAINT, lw=0.8, ls=":")
    figure.align_ylabels()
    return figure, upper, lower


def compared_limits(curves: Sequence[Curve]) -> tuple[float, float]:
    """Limits of a panel of ratios or differences that show the floor band and nearly all of the curves."""
    one = 1.0 if curves[0].versus == "ratio" else 0.0
    below, above = 0.02, 0.02
    for curve in curves:
        inside = np.ones(len(curve.x), bool) if curve.cut is None else curve.x <= 1.5 * curve.cut
        # Ratios of two tails may be arbitrarily large; they may be clipped.
        level = 0.9 if curve.versus == "ratio" and curve.cut is None else 1.0
        for values in (curve.floor_low, curve.floor_high, curve.compared):
            distance = values[inside] - one
            distance = distance[np.isfinite(distance)]
            if len(distance):
                below = max(below, -float(np.quantile(distance, 1 - level)))
                above = max(above, float(np.quantile(distance, level)))
    margin = 0.2 * max(below, above)
    low, high = one - below - margin, one + above + margin
    return (max(low, -0.03), min(high, 5.0)) if one else (low, high)


def _plain_log_ticks(axes: Axes, limits: tuple[float, float]) -> None:
    """Ticks at 1, 2, 5 times powers of ten, written out."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    decades = np.arange(np.floor(np.log10(limits[0])), np.ceil(np.log10(limits[1])) + 1)
    steps = (1, 2, 5) if limits[1] / limits[0] < 300 else (1,)
    ticks = np.array([step * 10.0**decade for decade in decades for step in steps])
    ticks = ticks[(ticks >= 0.999 * limits[0]) & (ticks <= 1.001 * limits[1])]
    axes.xaxis.set_major_locator(FixedLocator(ticks.tolist()))
    axes.xaxis.set_major_formatter(lambda tick, _: number(tick, 1))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
