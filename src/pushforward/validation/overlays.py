"""Figures of several models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pushforward.validation.axes import FAINT, MOST_RATIO, curve_axes, draw_floor, name_rows, ratio_axis
from pushforward.validation.coordinate_axes import CoordinateAxis
from pushforward.validation.galleries import ColourScale
from pushforward.validation.labels import labelled, units_of_each
from pushforward.validation.model_result import ModelResult
from pushforward.validation.style import REAL, Picture, encode, styled
from pushforward.validation.verdict import CLOSE

__all__ = ["Strips", "curve_pictures", "overview_picture", "scatter_panels", "scores_picture", "strips"]

MARKERS = "osD^vP*X"
LEAST_RATIO = 0.3
"""Smallest ratio that is drawn; smaller ones are chance, and count as one in the quality."""


@dataclass(frozen=True)
class Strips:
    """Samples of every model at the same conditions, one row each, real ones first; pictures are data URIs."""

    rows: list[tuple[str, list[str]]]
    texts: tuple[str, ...]
    scale: str


def strips(results: Sequence[ModelResult]) -> Strips | None:
    """Rows of pictures, for fields."""
    shown = [result for result in results if result.generated is not None and result.generated.ndim >= 4]
    if not shown or shown[0].real is None:
        return None
    scale = ColourScale(shown[0].real)
    rows = [("real", [scale.picture(sample) for sample in shown[0].real])]
    rows += [(e.model, [scale.picture(sample) for sample in e.generated]) for e in shown if e.generated is not None]
    return Strips(rows, shown[0].texts, scale.bar())


def scatter_panels(results: Sequence[ModelResult], colours: Mapping[str, str]) -> Picture | None:
    """The first two coordinates of real and generated points, for vectors; one panel a model."""
    from matplotlib.figure import Figure

    shown = [e for e in results if e.generated is not None and e.generated.ndim == 2 and e.generated.shape[1] > 1]
    if not shown or shown[0].real is None:
        return None
    panels = [("real", shown[0].real, REAL)]
    panels += [(e.model, e.generated, colours[e.model]) for e in shown if e.generated is not None]
    report = shown[0].report
    names, dim = report["space"].get("names") or [], shown[0].real.shape[1]
    units = units_of_each(report.get("units") or (), dim)
    rulers = [
        CoordinateAxis.of(shown[0].real[:, i], labelled(names[i] if names else f"x{i + 1}", units[i]), 0.15)
        for i in range(2)
    ]
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    with styled():
        figure = Figure(figsize=(3.0 * columns, 2.9 * rows))
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for panel, (name, points, colour) in zip(axes, panels, strict=False):
            x, y = (ruler.clipped(points[:, i]) for i, ruler in enumerate(rulers))
            panel.scatter(x, y, s=2.5, lw=0, alpha=0.6, color=colour)
            panel.set_title(name)
            rulers[0].apply(panel, "x")
            rulers[1].apply(panel, "y")
            panel.set_xlabel(rulers[0].label)
        axes[0].set_ylabel(rulers[1].label)
        for panel in axes[len(panels) :]:
            panel.set_visible(False)
        return Picture(
            "Samples of every model",
            encode(figure),
            ("As many points in each panel" if dim == 2 else f"The first two of {dim} coordinates")
            + ". Look for bridges between modes, missing arms, and blur.",
            "Scatter of real points and of every model's",
            wide=True,
        )


def overview_picture(results: Sequence[ModelResult], colours: Mapping[str, str]) -> Picture | None:
    """Every headline discrepancy of every model in units of its floor."""
    from matplotlib.figure import Figure

    keys = {
        v["statistic"]: v["label"]
        for e in results
        for v in e.report["verdicts"]
        if v["headline"] and v["kind"] == "discrepancy" and v["ratio"] is not None
    }
    if not keys:
        return None
    with styled():
        figure = Figure(figsize=(5.2, 1.4 + 0.42 * len(keys)))
        axes = figure.add_subplot()
        ratios = []
        for row, key in enumerate(reversed(keys)):
            first = next(v for e in results if (v := e.verdict(key)))
            ends = [first["floor_low"], first["floor_high"]]
            if None not in ends:
                draw_floor(axes, row, ends[0] / first["floor"], ends[1] / first["floor"], width=11)
            for index, result in enumerate(results):
                verdict = result.verdict(key)
                if verdict is None or not verdict["ratio"]:
                    continue
                ratios.append(min(verdict["ratio"], MOST_RATIO))
                offset = 0.13 * (0.5 * (len(results) - 1) - index)
                axes.plot(
                    min(max(verdict["ratio"], LEAST_RATIO), MOST_RATIO),
                    row + offset,
                    MARKERS[index % len(MARKERS)],
                    color=colours[result.model],
                    ms=6,
                    label=result.model if row == 0 else None,
                    zorder=3,
                )
        ratio_axis(axes, 0.9 * LEAST_RATIO, max(1.4 * max(ratios), 4))
        axes.axvline(CLOSE, color=FAINT, lw=0.7, ls=":")
        name_rows(axes, list(keys.values()))
        figure.legend(loc="outside upper left", ncols=min(3, len(results)))
        return Picture(
            "Quality of every model",
            encode(figure),
            "Every headline statistic in units of its floor; further left is better. Grey: where real data against "
            f"other real data fall, 95 times in 100. The dotted line marks three times the floor; less than "
            f"{LEAST_RATIO:g} is drawn at {LEAST_RATIO:g}. The quality in the table is the geometric mean of these and "
            "of the scores beside them, with none counted as less than one.",
            "Discrepancies of every model in units of their floors",
        )


def scores_picture(results: Sequence[ModelResult], colours: Mapping[str, str]) -> Picture | None:
    """Precision, recall, density, coverage and the classifier of every model."""
    from matplotlib.figure import Figure

    keys = [
        f"{direction}{key}"
        for direction in ("", "to_b/", "to_a/")
        for key in ("precision", "recall", "density", "coverage", "classifier")
        if results[:1] and results[0].verdict(f"{direction}{key}")
    ]
    if not keys:
        return None
    with styled():
        figure = Figure(figsize=(5.2, 1.1 + 0.42 * len(keys)))
        axes = figure.add_subplot()
        largest = 1.0
        for row, key in enumerate(reversed(keys)):
            first = results[0].verdict(key) or {}
            if None not in (first.get("floor_low"), first.get("floor_high")):
                ends = [first["floor_low"], first["floor_high"]]
                draw_floor(axes, row, ends[0], ends[1], width=11)
            for index, result in enumerate(results):
                verdict = result.verdict(key)
                if verdict is None or verdict["value"] is None:
                    continue
                largest = max(largest, min(verdict["value"], 2.0))
                offset = 0.13 * (0.5 * (len(results) - 1) - index)
                axes.plot(
                    min(verdict["value"], 2.0),
                    row + offset,
                    MARKERS[index % len(MARKERS)],
                    color=colours[result.model],
                    ms=6,
                )
        name_rows(axes, [str((results[0].verdict(key) or {})["label"]) for key in keys])
        axes.set_xlim(-0.02, 1.06 * largest)
        axes.grid(axis="x", color="#e5e7eb", lw=0.6)
        return Picture(
            "Fidelity, variety and a classifier's opinion",
            encode(figure),
            "Symbols as in the figure of quality; grey: real data against real data. Low coverage or recall means "
            "collapsed modes; a classifier at 0.5 cannot tell generated from real. Values beyond 2 are drawn at 2.",
            "Scores of every model",
        )


def curve_pictures(results: Sequence[ModelResult], colours: Mapping[str, str]) -> list[Picture]:
    """Each statistic's curves of all models on one pair of axes, with the floor band.

    Curves that only some models have (of the coordinates that are worst for each) are drawn where there are no others.
    """
    by_model = {result.model: {(c.name, c.channel): c for c in result.curves} for result in results}
    keys = list(dict.fromkeys(key for curves in by_model.values() for key in curves))
    common = [key for key in keys if all(key in curves for curves in by_model.values())]
    pictures = []
    for key in common or keys:
        curves = {model: found[key] for model, found in by_model.items() if key in found}
        first = next(iter(curves.values()))
        with styled():
            figure, upper, lower = curve_axes(list(curves.values()), 4.4, (1.7, 1.2))
            for model, curve in curves.items():
                upper.plot(curve.x, curve.generated, color=colours[model], lw=1.3, label=model)
                lower.plot(curve.x, curve.compared, color=colours[model], lw=1.4)
            positive = first.real[first.real > 0]
            if first.log_y and len(positive):
                upper.set_ylim(bottom=0.3 * positive.min())
            upper.legend(fontsize=7)
            title = f"{first.title}: {first.channel}" if first.channel else first.title
            pictures.append(
                Picture(
                    title,
                    encode(figure),
                    f"{'Means of all models' if common else 'Mean'}, and below how it compares with the real mean; the "
                    "grey band holds real data against real data.",
                    f"{title} of every model",
                )
            )
    return pictures
