"""Table columns and figure of the parameters recovered from translations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pushforward.validation.recovered_parameters import CREDIBILITY, Recovered
from pushforward.validation.style import FLOOR, GENERATED, Picture, encode, styled

__all__ = ["RECOVERED", "RECOVERED_MEANING", "recovered_picture"]

RECOVERED = ("parameter", "error", "true", "as is", "shift", "apart", "width", "inside", "true")
"""Headings of the table, in the order of `TruePairsReport.recovered_lines`."""

RECOVERED_MEANING = (
    "Posteriors learnt from true members are applied to unseen members of other simulations. Error: rms of the "
    "posterior mean, relative to the scatter of the parameter (1 if nothing is known), of translations, of true "
    "partners, and of members as they are. Shift and apart: mean and rms difference between the posterior means of a "
    "translation and of its true partner, in widths of the latter. Width: relative to that of true partners. Inside: "
    f"share of parameters within central {100 * CREDIBILITY:.0f} % intervals."
)


def recovered_picture(found: Sequence[Recovered]) -> Picture:
    """Posterior means of translations over those of their true partners, a panel per direction and parameter."""
    from matplotlib.figure import Figure as Canvas

    with styled():
        columns = min(2, len(found))
        rows = -(-len(found) // columns)
        canvas = Canvas(figsize=(4.3 * columns, 3.2 * rows))
        for axes, each in zip(canvas.subplots(rows, columns, squeeze=False).flat, found, strict=False):
            ends = np.quantile(np.concatenate([each.means, each.means_true]), [0.0, 1.0])
            axes.plot(ends, ends, color=FLOOR, linewidth=3)
            axes.plot(each.means_true, each.means, ".", color=GENERATED, markersize=3, alpha=0.5)
            axes.set(
                xlabel=f"{each.parameter} from the true partner",
                ylabel=f"{each.parameter} from the translation",
                title=f"{each.parameter}, {each.direction}",
            )
        for axes in canvas.axes[len(found) :]:
            axes.remove()
        source = encode(canvas)
    return Picture(
        "Recovered parameters", source, "Posterior means, one point per member. On the diagonal, a translation says of "
        "the parameter what its true partner says.",
        "Posterior means of translations over those of true partners", wide=True,
    )  # fmt: skip
