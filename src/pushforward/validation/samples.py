"""Pictures of samples and data: panels of vectors, and configurations of particles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pushforward.spaces import Vector
from pushforward.validation.coordinate_axes import CoordinateAxis
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.labels import column_labels, labelled, length_unit
from pushforward.validation.style import GENERATED, REAL, Picture, encode, styled

__all__ = ["density_picture", "particle_pictures", "vector_pictures"]

SHOWN = 4
DRAWN_POINTS = 3000
CORNER = 6


def vector_pictures(data: EvaluationData[Vector]) -> list[Picture]:
    """Scatter of real and generated points: two panels in two dimensions, a corner of the worst coordinates in more."""
    from matplotlib.figure import Figure

    from pushforward.validation.vectors import worst_columns

    dim = data.space.dim
    if dim == 1:
        return []
    shown, labels = worst_columns(data, CORNER), column_labels(data)
    rulers = [CoordinateAxis.of(data.test[:, column], labels[column], 0.12) for column in shown]
    real, generated = (
        np.stack([ruler.clipped(x[:DRAWN_POINTS, column]) for ruler, column in zip(rulers, shown, strict=True)], 1)
        for x in (data.test, data.generated)
    )
    size = float(np.clip(90 / np.sqrt(len(real)), 0.8, 8))
    dots: dict[str, Any] = {"s": size, "lw": 0, "alpha": 0.6}
    with styled():
        if dim == 2:
            figure = Figure(figsize=(8.6, 4.3))
            _two_panels(figure, real, generated, rulers, dots)
            caption = "As many generated points as real ones. Look for bridges between modes, missing arms, and blur."
        else:
            figure = Figure(figsize=(8.6, 8.6))
            _corner(figure, real, generated, rulers, dots)
            caption = (
                "Below the diagonal: real (black); above it: generated (blue); on it: both. Panels that mirror each "
                "other should look the same."
            )
            if dim > len(shown):
                caption = f"Those whose marginals differ most. {caption}"
        if any(ruler.logarithmic for ruler in rulers):
            caption += " Zeros lie at the lower end of a logarithmic axis."
        title = f"{len(shown)} of {dim} coordinates" if dim > len(shown) else "Samples beside data"
        return [Picture(title, encode(figure), caption, "Scatter of real and generated points", wide=True)]


def _two_panels(
    figure: Any, real: np.ndarray, generated: np.ndarray, rulers: list[CoordinateAxis], dots: dict[str, Any]
) -> None:
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, points, colour, title in zip(
        panels, (real, generated), (REAL, GENERATED), ("Real", "Generated"), strict=True
    ):
        axes.scatter(points[:, 0], points[:, 1], color=colour, **dots)
        axes.set_title(title)
        rulers[0].apply(axes, "x")
        rulers[1].apply(axes, "y")
        axes.set_xlabel(rulers[0].label)
    panels[0].set_ylabel(rulers[1].label)


def _corner(
    figure: Any, real: np.ndarray, generated: np.ndarray, rulers: list[CoordinateAxis], dots: dict[str, Any]
) -> None:
    count = len(rulers)
    panels = figure.subplots(count, count, squeeze=False)
    for row in range(count):
        for column in range(count):
            axes = panels[row, column]
            if row == column:
                bins = rulers[row].edges(40)
                width = np.diff(np.log(bins) if rulers[row].logarithmic else bins)
                for points, colour in ((real, REAL), (generated, GENERATED)):
                    counts = np.histogram(points[:, row], bins)[0] / (len(points) * width)
                    axes.stairs(counts, bins, color=colour, lw=1.4)
                axes.set_yticks([])
            else:
                points, colour = (real, REAL) if row > column else (generated, GENERATED)
                axes.scatter(points[:, column], points[:, row], color=colour, **dots)
                rulers[row].apply(axes, "y")
            rulers[column].apply(axes, "x")
            axes.tick_params(which="both", labelsize=6, labelbottom=row == count - 1, labelleft=column == 0 and row > 0)
            if row == count - 1:
                axes.set_xlabel(rulers[column].label)
            if column == 0:
                axes.set_ylabel(rulers[row].label)


def density_picture(
    data: EvaluationData[Vector], log_prob: Callable[[np.ndarray], np.ndarray], cells: int = 160
) -> Picture:
    """Map of the model's log-density over the plane, with real points on it."""
    from matplotlib.figure import Figure

    names = column_labels(data)
    low, high = np.quantile(data.test, [0.001, 0.999], axis=0)
    margin = 0.25 * (high - low)
    low, high = low - margin, high + margin
    axes_values = [np.linspace(low[i], high[i], cells) for i in range(2)]
    grid = np.stack(np.meshgrid(*axes_values, indexing="xy"), axis=-1).reshape(-1, 2).astype(np.float32)
    values = log_prob(grid).reshape(cells, cells)
    top = float(np.nanmax(values))
    with styled():
        figure = Figure(figsize=(4.6, 3.9))
        axes = figure.add_subplot()
        extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
        image = axes.imshow(
            values, origin="lower", extent=extent, aspect="auto", cmap="viridis", vmin=top - 10, vmax=top
        )
        axes.scatter(data.test[:400, 0], data.test[:400, 1], s=2, color="white", lw=0, alpha=0.7)
        axes.set_xlabel(names[0])
        axes.set_ylabel(names[1])
        figure.colorbar(image, ax=axes, label="log-density [nats]")
        return Picture(
            "Log-density of the model",
            encode(figure),
            "The model's own log-density, down to ten nats below its maximum, with unseen real points. Bright ground "
            "without points is probability wasted; points on dark ground are surprises.",
            "Map of the model's log-density",
        )


def particle_pictures(data: EvaluationData) -> list[Picture]:
    """A few configurations, particles as dots in the plane of the first two axes."""
    from matplotlib.figure import Figure

    if data.real.shape[2] < 2:
        return []
    with styled():
        figure = Figure(figsize=(8.6, 4.6))
        panels = figure.subplots(2, SHOWN, sharex=True, sharey=True)
        for row, (x, colour, title) in enumerate(((data.test, REAL, "Real"), (data.generated, GENERATED, "Generated"))):
            for axes, each in zip(panels[row], x[:SHOWN], strict=False):
                axes.scatter(each[:, 0], each[:, 1], color=colour, s=14, lw=0)
                axes.set_aspect("equal", adjustable="box")
            panels[row, 0].set_ylabel(labelled(f"{title}: second axis", length_unit(data)))
        panels[-1, 0].set_xlabel(labelled("first axis", length_unit(data)))
        return [
            Picture(
                "Samples beside data",
                encode(figure),
                "Configurations picked at random, seen along the remaining axes. Look for particles that overlap.",
                "Real and generated configurations of particles",
                wide=True,
            )
        ]
