"""Figure of a report for a notebook: all discrepancies, and some curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pushforward.validation.curves import Curve
from pushforward.validation.figures import discrepancies, draw_overview
from pushforward.validation.style import GENERATED, REAL, styled
from pushforward.validation.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["report_figure"]

CURVES = 2


def report_figure(verdicts: Sequence[Verdict], curves: Sequence[Curve], title: str) -> Figure:
    """All discrepancies in units of their floors, and the first curves of real and generated samples."""
    from matplotlib.figure import Figure

    shown, drawn = discrepancies(verdicts), curves[:CURVES]
    with styled():
        figure = Figure(figsize=(4.8 * (1 + bool(drawn)), max(3.0, 0.8 + 0.25 * len(shown))), layout="constrained")
        left, *right = figure.subfigures(1, 1 + bool(drawn), squeeze=False)[0]
        axes = left.subplots()
        if shown:
            draw_overview(axes, shown)
        else:
            axes.set_axis_off()
        for each in right:
            for panel, curve in zip(each.subplots(len(drawn), 1, squeeze=False)[:, 0], drawn, strict=True):
                panel.plot(curve.x, curve.real, color=REAL, lw=2.2, label="real")
                panel.plot(curve.x, curve.generated, color=GENERATED, ls="--", label="generated")
                panel.set(xlabel=curve.x_label, ylabel=curve.y_label)
                panel.set_title(f"{curve.title}: {curve.channel}" if curve.channel else curve.title)
                if curve.log_x:
                    panel.set_xscale("log")
                if curve.log_y:
                    panel.set_yscale("log", nonpositive="mask")
            each.axes[0].legend()
        figure.suptitle(title)
    return figure
