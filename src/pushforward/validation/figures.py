"""Figures of a report: functions of numbers that return a `Picture` with a caption for its reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pushforward.validation.axes import MOST_RATIO, curve_axes, draw_floor, name_rows, ratio_axis
from pushforward.validation.curves import Curve
from pushforward.validation.labels import labelled
from pushforward.validation.responses import Response
from pushforward.validation.style import FLOOR, GENERATED, REAL, VERDICTS, Picture, encode, styled
from pushforward.validation.verdict import CLOSE, SCORES, Verdict
from pushforward.validation.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "curve_picture",
    "discrepancies",
    "distances_picture",
    "draw_overview",
    "matrices_picture",
    "overview_picture",
    "response_picture",
    "scores_picture",
    "training_log_picture",
    "training_picture",
]


def overview_picture(verdicts: Sequence[Verdict]) -> Picture | None:
    """Every discrepancy in units of its floor, on one axis."""
    from matplotlib.figure import Figure

    shown = discrepancies(verdicts)
    if not shown:
        return None
    with styled():
        figure = Figure(figsize=(4.4, 0.8 + 0.25 * len(shown)))
        draw_overview(figure.add_subplot(), shown)
        return Picture(
            "All discrepancies in units of their floor",
            encode(figure),
            "Each dot is one statistic with its standard error; each grey bar is where real data against other real "
            f"data fall, 95 times in 100. Up to {CLOSE:.0f} times the floor counts as close (orange), beyond as off "
            "(red)." + (f" An arrow is beyond {MOST_RATIO:,.0f}." if any(v.ratio > MOST_RATIO for v in shown) else ""),
            "; ".join(f"{v.label}: {number(v.ratio, 2)} times its floor, {v.verdict}" for v in shown),
            wide=True,
        )


def discrepancies(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Verdicts that have a place in units of their floor."""
    return [v for v in verdicts if v.kind == "discrepancy" and np.isfinite(v.ratio) and v.value > 0]


def draw_overview(axes: Axes, shown: Sequence[Verdict]) -> None:
    """A row for each discrepancy: its dot with an error bar, and the bar of real data against real data."""
    largest = min(MOST_RATIO, max([CLOSE, *(v.ratio for v in shown)]))
    axes.axvspan(CLOSE, 2 * largest, color=VERDICTS["off"], alpha=0.07, lw=0)
    axes.axvspan(1, CLOSE, color=VERDICTS["close"], alpha=0.09, lw=0)
    for row, verdict in enumerate(reversed(shown)):
        draw_floor(axes, row, verdict.floor_low / verdict.floor, verdict.floor_high / verdict.floor, width=7)
        colour = VERDICTS[verdict.verdict]
        reach = verdict.error / verdict.floor
        beyond = verdict.ratio > MOST_RATIO
        axes.errorbar(
            min(verdict.ratio, MOST_RATIO),
            row,
            xerr=None if beyond else reach,
            fmt=">" if beyond else "o",
            ms=6,
            color=colour,
            ecolor=colour,
            elinewidth=1.2,
        )
    lowest = min([0.5, *(v.floor_low / v.floor for v in shown), *(0.9 * v.ratio for v in shown)])
    ratio_axis(axes, max(lowest, 0.05), 1.6 * largest)
    name_rows(axes, [v.label for v in shown])


def curve_picture(curve: Curve) -> Picture:
    """Means and scatter of generated and real samples, and their comparison with the floor."""
    with styled():
        figure, upper, lower = curve_axes([curve], 4.2, (2.1, 1))
        never_negative = bool((curve.real >= 0).all() and (curve.generated >= 0).all())
        for mean, scatter, colour in (
            (curve.real, curve.real_scatter, REAL),
            (curve.generated, curve.generated_scatter, GENERATED),
        ):
            low, high = mean - scatter, mean + scatter
            if never_negative:
                low = np.maximum(low, 0.05 * mean if curve.log_y else 0.0)
            # A logarithmic axis has no place for a mean of zero.
            drawn = mean > 0 if curve.log_y else np.isfinite(mean)
            if curve.name != "marginals":
                upper.fill_between(curve.x, low, high, where=drawn, color=colour, alpha=0.13, lw=0)
        upper.plot(curve.x, curve.generated, color=GENERATED, lw=1.5, ls=(0, (5, 1.5)), label="generated")
        upper.legend(loc="best")
        lower.errorbar(
            curve.x, curve.compared, curve.compared_error, color=GENERATED, lw=1.4, elinewidth=0.8, marker="o", ms=2.5
        )
        title = f"{curve.title}: {curve.channel}" if curve.channel else curve.title
        return Picture(
            title, encode(figure), curve.caption, f"{title} of real and generated samples, and their comparison"
        )


def matrices_picture(matrices: dict[str, np.ndarray], unit: str = "") -> Picture | None:
    """Correlation matrices of ln P(k): real, generated, difference; ``unit`` is that of k."""
    from matplotlib.figure import Figure

    if not matrices or len(matrices["k"]) < 2:
        return None
    with styled():
        figure = Figure(figsize=(9.6, 3.3))
        panels = figure.subplots(1, 3)
        ticks = np.unique(np.linspace(0, len(matrices["k"]) - 1, min(5, len(matrices["k"]))).round().astype(int))
        for axes, key in zip(panels, ("real", "generated", "difference"), strict=True):
            image = axes.imshow(matrices[key], cmap="RdBu_r", vmin=-1, vmax=1, origin="lower")
            axes.set_title(key.capitalize())
            axes.set_xticks(ticks, [number(matrices["k"][t], 2) for t in ticks])
            axes.set_yticks(ticks, [number(matrices["k"][t], 2) for t in ticks])
            axes.set_xlabel(labelled("k", unit))
            axes.spines[:].set_visible(False)
        panels[0].set_ylabel(labelled("k", unit))
        figure.colorbar(image, ax=panels, shrink=0.8, label="correlation coefficient")
        return Picture(
            "Correlation of the power spectrum",
            encode(figure),
            "Correlation coefficients of ln P(k) between samples, at fixed condition. Where scales are coupled, as in "
            "non-Gaussian data, bins rise and fall together; a model with the right mean spectrum may still miss this. "
            "The difference should be pale.",
            "Three correlation matrices of the power spectrum",
            wide=True,
        )


def scores_picture(verdicts: Sequence[Verdict]) -> Picture:
    """Scores between 0 and 1 beside the range that real data give."""
    from matplotlib.figure import Figure

    shown = [v for v in verdicts if v.kind in SCORES]
    with styled():
        figure = Figure(figsize=(4.6, 0.9 + 0.42 * len(shown)))
        axes = figure.add_subplot()
        for row, verdict in enumerate(reversed(shown)):
            draw_floor(axes, row, verdict.floor_low, verdict.floor_high, width=9)
            axes.plot(verdict.floor, row, "|", color=REAL, ms=9, mew=1.2, zorder=2)
            colour = VERDICTS[verdict.verdict]
            axes.errorbar(verdict.value, row, xerr=verdict.error, fmt="o", ms=6, color=colour, ecolor=colour, zorder=3)
        name_rows(axes, [v.label for v in shown])
        axes.set_xlim(-0.02, max([1.05, *(1.05 * v.value for v in shown), *(1.05 * v.floor_high for v in shown)]))
        axes.grid(axis="x", color="#e5e7eb", lw=0.6)
        return Picture(
            "Fidelity, variety and a classifier's opinion",
            encode(figure),
            "Dots: generated samples. Grey: real data against real data, 95 times in 100. Low precision or density: "
            "samples "
            "unlike the data. Low recall or coverage: data without samples like them, as when modes have collapsed. "
            "The "
            "classifier test is the area under its ROC curve: 0.5 where it cannot tell generated from real.",
            "; ".join(f"{v.label} {number(v.value)}, real data {number(v.floor)}" for v in shown),
        )


def distances_picture(generated: np.ndarray, test: np.ndarray) -> Picture:
    """Distances to the nearest training member."""
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(figsize=(4.6, 3.0))
        axes = figure.add_subplot()
        top = 1.8 * float(np.quantile(test, 0.99)) or 1.0
        bins = np.linspace(0, top, 36).tolist()
        axes.hist(np.minimum(test, top), bins, density=True, color=FLOOR, label="unseen real")
        axes.hist(
            np.minimum(generated, top), bins, density=True, histtype="step", lw=1.7, color=GENERATED, label="generated"
        )
        axes.axvline(float(np.quantile(test, 0.05)), color=REAL, lw=0.8, ls=":")
        axes.legend()
        axes.set_xlabel("distance to the nearest training member")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        return Picture(
            "Distance to the training set",
            encode(figure),
            "Samples should be as far from the training members as unseen real members are. A pile of samples left "
            "of the "
            "dotted line (the nearest 5 % of real ones) means copies.",
            "Histograms of the distance to the nearest training member",
        )


def training_picture(metrics: Sequence[dict[str, Any]]) -> Picture | None:
    """Losses over the run."""
    from matplotlib.figure import Figure

    names = sorted({key for line in metrics for key in line if key.endswith("/loss")})
    if not names or len(metrics) < 2:
        return None
    with styled():
        figure = Figure(figsize=(4.6, 0.8 + 1.9 * len(names)))
        panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
        for axes, name in zip(panels, names, strict=True):
            lines = [(line["step"], line[name]) for line in metrics if isinstance(line.get(name), int | float)]
            steps, losses = np.array(lines, dtype=float).T
            axes.plot(steps, losses, color=GENERATED, lw=0.7, alpha=0.35)
            axes.plot(steps, _smooth(losses), color=GENERATED, lw=1.6)
            low, high = np.quantile(losses, [0.0, 0.98])
            axes.set_ylim(low - 0.05 * (high - low), high + 0.1 * (high - low) if high > low else low + 1)
            player = name.removesuffix("/loss")
            whose = "held-out members" if player == "held_out" else f"the {player.replace('_', ' ')}"
            axes.set_ylabel("loss" if len(names) == 1 else f"loss of {whose}")
        panels[-1].set_xlabel("step")
        return Picture(
            "Training",
            encode(figure),
            "Loss at each log line (pale) and its running mean. A curve that still falls at the end asks for a longer "
            "run"
            + ("; the losses of players against each other need not fall." if len(_players(metrics)) > 1 else "."),
            "Training loss over the steps",
        )


def training_log_picture(metrics: Sequence[dict[str, Any]]) -> Picture | None:
    """Logged quantities other than losses over the run, with running medians."""
    from matplotlib.figure import Figure

    names = sorted({key for line in metrics for key in line if "/" in key and not key.endswith("/loss")})
    names = [name for name in names if not _is_the_loss(name, metrics)]
    if not names or len(metrics) < 2:
        return None
    with styled():
        figure = Figure(figsize=(4.6, 0.8 + 1.5 * len(names)))
        panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
        for axes, name in zip(panels, names, strict=True):
            lines = [(line["step"], line[name]) for line in metrics if isinstance(line.get(name), int | float)]
            steps, values = np.array(lines, dtype=float).T
            axes.plot(steps, values, color=GENERATED, lw=0.7, alpha=0.35)
            axes.plot(steps, _running_median(values), color=GENERATED, lw=1.6)
            low, high = np.quantile(values, [0.02, 0.98])
            axes.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low) if high > low else low + 1)
            player, _, figure_name = name.partition("/")
            axes.set_ylabel(f"{player}:\n{figure_name.replace('_', ' ')}")
        panels[-1].set_xlabel("step")
        figure.align_ylabels()
        return Picture(
            "Figures of training",
            encode(figure),
            "Each log line (pale) and its running median over a twentieth of the run."
            + (_OF_PLAYERS if len(_players(metrics)) > 1 else ""),
            "Logged figures over the steps: " + ", ".join(names),
        )


_OF_PLAYERS = (
    " Of a critic: the estimate of the Wasserstein distance should fall; a sudden drop means that the critic lost "
    "track, not that samples got better. An accuracy near 1/2 is a draw. Covered is the part of the data's clusters "
    "that samples reach."
)


def _players(metrics: Sequence[dict[str, Any]]) -> set[str]:
    """Players of a training: names with a loss, other than that of held-out members."""
    return {key.removesuffix("/loss") for line in metrics for key in line if key.endswith("/loss")} - {"held_out"}


def _is_the_loss(name: str, metrics: Sequence[dict[str, Any]]) -> bool:
    """Whether a logged quantity is the loss of its player under another name."""
    loss = name.partition("/")[0] + "/loss"
    return all(line.get(name) == line.get(loss) for line in metrics)


def response_picture(response: Response) -> Picture:
    """Summaries as functions of a parameter, and the discrepancy in each part of its range."""
    from matplotlib.figure import Figure

    bars = len(response.per_bin_names) > 0
    with styled():
        figure = Figure(figsize=(4.6, 1.7 * (len(response.lines) + bars)))
        panels = figure.subplots(len(response.lines) + bars, 1, squeeze=False)[:, 0]
        for index, (axes, line) in enumerate(zip(panels, response.lines, strict=False)):
            for key, colour, style in (("real", REAL, "-"), ("generated", GENERATED, "--")):
                axes.errorbar(
                    response.x, line[key], line[f"{key}_error"], color=colour, ls=style, marker="o", ms=3, label=key
                )
            axes.set_ylabel(line["name"])
            if response.ticks:
                axes.set_xticks(response.x, response.ticks)
            if index == 0:
                axes.legend()
        axes = panels[len(response.lines) - 1]
        axes.set_xlabel(response.parameter)
        if bars:
            axes = panels[-1]
            places = np.arange(len(response.per_bin_names))
            axes.bar(places - 0.18, response.per_bin, 0.34, color=GENERATED, label="generated")
            axes.bar(places + 0.18, response.per_bin_floor, 0.34, color=FLOOR, label="real against real")
            axes.set_xticks(places, response.per_bin_names)
            axes.set_ylabel(f"error [{response.unit}]")
            axes.set_xlabel(f"{response.parameter}: classes" if response.ticks else f"third of {response.parameter}")
            axes.set_ylim(0, 1.45 * float(np.nanmax(np.concatenate([response.per_bin, response.per_bin_floor]))))
            axes.legend(ncols=2, loc="upper left")
        figure.align_ylabels()
        return Picture(
            f"Response to {response.parameter}",
            encode(figure),
            "Above: means in bins of the parameter, with standard errors; generated samples should follow the real "
            "ones. "
            "Below: the discrepancy in each part of the range, with its floor; it reveals a model that is good only on "
            "average.",
            f"Trend with {response.parameter} for real and generated samples"
            + (f": {', '.join(response.ticks)}" if response.ticks else ""),
        )


def _running_median(values: np.ndarray) -> np.ndarray:
    width = max(1, len(values) // 20)
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1)


def _smooth(values: np.ndarray) -> np.ndarray:
    width = max(1, len(values) // 20)
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    return np.convolve(padded, np.ones(width) / width, mode="valid")
