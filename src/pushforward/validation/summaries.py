"""Statistics of single fields in a report: their bins, and captions for their reading."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any, Literal

import numpy as np
import torch

from pushforward import statistics
from pushforward.errors import UsageError
from pushforward.spaces import Field
from pushforward.validation.curves import Summary
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.labels import (
    column_units,
    labelled,
    length_unit,
    power,
    product,
    value_label,
    wavenumber,
    wavenumber_label,
)
from pushforward.validation.scales import Heights, Values

__all__ = ["half_nyquist", "summarise"]

PDF_BINS = 48
PEAK_HEIGHTS = np.linspace(-1.0, 3.0, 9)
LEVELS = np.linspace(-2.5, 2.5, 21)
HEIGHT = "height ν"
MEANING = "Heights ν are such that real cells lie below ν as often as a standard normal number does."


def half_nyquist(space: Field) -> float:
    """Half the Nyquist wavenumber, radians per unit length (per cell without a box)."""
    return pi / 2 * (space.grid[0] / space.box if space.box else 1.0)


def summarise(data: EvaluationData[Field]) -> dict[str, Summary]:
    """Every `Summary` of a `Field`, by its name."""
    space = data.space
    found = [_power_spectrum(data, space), _one_point_pdf(data), *_bispectra(data, space)]
    heights = Heights.fit(data.test)
    risen = heights(data.rounded), heights(data.real)
    if min(space.grid) > 4:
        found.append(_peaks(*risen, data))
    if len(space.grid) == 2 and min(space.grid) > 6:
        found += _minkowski(*risen, data)
    return {summary.name: summary for summary in found}


def _value_labels(data: EvaluationData, logarithmic: bool) -> tuple[str, ...]:
    """Label of an axis of values of each channel, with its unit."""
    return tuple(value_label(unit, logarithmic) for unit in column_units(data))


def _per_channel(data: EvaluationData, name: str, unit: Callable[[str], str]) -> tuple[str, ...]:
    """Label of each channel, with a unit that follows from that of its values."""
    return tuple(labelled(name, unit(each)) for each in column_units(data))


def _length(data: EvaluationData) -> str:
    return length_unit(data) or "(unit of the box)"


def _both(data: EvaluationData, function: Callable[[torch.Tensor], Any]) -> tuple[Any, Any]:
    """A statistic of the generated and of the real samples."""
    return function(torch.from_numpy(data.generated)), function(torch.from_numpy(data.real))


def _power_spectrum(data: EvaluationData, space: Field) -> Summary:
    window: Literal["hann"] | None = None if space.periodic else "hann"
    generated, real = _both(data, lambda x: statistics.power_spectrum(x, space.box, window=window))
    return Summary(
        name="power_spectrum",
        title="Power spectrum",
        x_label=wavenumber_label(data),
        y_label=_per_channel(data, "P(k)", lambda u: product(power(u, 2), power(_length(data), len(space.grid)))),
        x=real.k.numpy(),
        generated=generated.power.numpy(),
        real=real.power.numpy(),
        versus="ratio",
        log_x=True,
        log_y=True,
        cut=half_nyquist(space),
        caption="Mean power of generated and of real samples; the shades hold two thirds of single samples. Below, "
        "their "
        "ratio with its standard error: it should stay within the grey band, which real data against real data fill. "
        "The dotted line marks half the Nyquist frequency, up to which the headline figure counts.",
    )


def _pdf_edges(data: EvaluationData, scale: Values) -> np.ndarray:
    """Equal bins in the scale of the values, or a bin for each value of a discrete field; shape (channels, edges)."""
    if data.levels is None or scale.logarithmic:
        return np.linspace(scale.low, scale.high, PDF_BINS + 1, axis=1)
    levels = data.levels.astype(float)
    middles = (levels[1:] + levels[:-1]) / 2
    edges = np.concatenate([[2 * levels[0] - middles[0]], middles, [2 * levels[-1] - middles[-1]]])
    return np.tile(edges, (len(scale.low), 1))


def _one_point_pdf(data: EvaluationData) -> Summary:
    scale = Values.fit(data.test)
    edges = torch.from_numpy(_pdf_edges(data, scale))

    def density(x: torch.Tensor) -> Any:
        values = x.numpy() if data.levels is not None and not scale.logarithmic else scale(x.numpy())
        return statistics.one_point_pdf(torch.from_numpy(values), edges=edges).density

    generated, real = density(torch.from_numpy(data.rounded)), density(torch.from_numpy(data.real))
    return Summary(
        name="one_point_pdf",
        title="One-point PDF",
        x_label=_value_labels(data, scale.logarithmic),
        y_label=_per_channel(data, "probability density", lambda u: "" if scale.logarithmic else power(u, -1)),
        x=((edges[:, 1:] + edges[:, :-1]) / 2).numpy(),
        generated=generated.numpy(),
        real=real.numpy(),
        versus="ratio",
        log_y=True,
        caption="How often each value occurs, whatever its place; beyond the ends of the axis, values are counted in "
        "the "
        "last bins. The tails show first where a model smooths too much or invents extremes.",
    )


def _bispectra(data: EvaluationData, space: Field) -> list[Summary]:
    def measure(x: torch.Tensor) -> Any:
        fields = x if space.periodic else _tapered(x)
        return statistics.bispectrum(fields, space.box, triangles=("equilateral", "squeezed"))

    try:
        generated, real = _both(data, measure)
    except UsageError:
        # A grid of few cells, or of one axis, has no triangles to speak of.
        return []
    dimensions, found = len(space.grid), []
    shell, third = real.index[:, 0], real.index[:, 2]
    for shape, sides, rows in (
        ("equilateral", "three equal sides k", shell == third),
        ("squeezed", "two sides k and the longest wave", third == 0),
    ):
        # Triangles in a bin of ln k grow as k^(2 d): times that, every scale can be seen on one axis.
        k = real.k[rows, 0].numpy()
        weight = k ** (2 * dimensions)
        found.append(
            Summary(
                name=f"bispectrum_{shape}",
                title=f"Bispectrum, {shape}",
                x_label=wavenumber_label(data),
                y_label=_per_channel(data, "k⁴ B(k)" if dimensions == 2 else "k⁶ B(k)", lambda u: power(u, 3)),
                x=k,
                generated=generated.bispectrum[..., rows].numpy() * weight,
                real=real.bispectrum[..., rows].numpy() * weight,
                versus="effect",
                log_x=True,
                caption=f"Three-point function over triangles with {sides}: zero for a Gaussian field, so it sees "
                "the shape "
                "of structures that the power spectrum cannot. Below, the difference in units of the scatter of single "
                "samples, since the mean may vanish.",
            )
        )
    return found


def _peaks(generated: np.ndarray, real: np.ndarray, data: EvaluationData[Field]) -> Summary:
    space = data.space
    thresholds = torch.from_numpy(PEAK_HEIGHTS)
    zero, one = torch.zeros(1), torch.ones(1)

    def by_height(x: np.ndarray) -> np.ndarray:
        found = statistics.peak_counts(
            torch.from_numpy(x), thresholds, periodic=space.periodic, mean=zero, sigma=one
        ).counts.numpy()
        # Counts above each threshold become counts between neighbouring ones, which are nearly independent.
        return found - np.concatenate([found[..., 1:], np.zeros_like(found[..., :1])], axis=-1)

    return Summary(
        name="peaks",
        title="Peak counts",
        x_label=HEIGHT,
        y_label="peaks per bin and sample",
        x=PEAK_HEIGHTS + 0.5 * (PEAK_HEIGHTS[1] - PEAK_HEIGHTS[0]),
        generated=by_height(generated),
        real=by_height(real),
        versus="effect",
        caption="Local maxima by their height; the last bin is open. Too few high peaks: the model smooths what is "
        "rare; too "
        f"many low ones: it adds noise. {MEANING}",
    )


def _minkowski(generated: np.ndarray, real: np.ndarray, data: EvaluationData[Field]) -> list[Summary]:
    space = data.space
    thresholds = torch.from_numpy(LEVELS)
    zero, one = torch.zeros(1), torch.ones(1)

    def functionals(x: np.ndarray) -> list[np.ndarray]:
        found = statistics.minkowski_functionals(
            torch.from_numpy(x), thresholds, box=space.box, periodic=space.periodic, mean=zero, sigma=one
        )
        return [found.v0.numpy(), found.v1.numpy(), found.v2.numpy()]

    captions = (
        "Share of the area above each height.",
        "Length of the contours at each height: how ragged structures are.",
        "Connected regions minus holes at each height: how structures hang together, filaments or islands.",
    )
    labels = ("area V₀", "boundary V₁", "Euler characteristic V₂")
    return [
        Summary(
            name=f"minkowski_{order}",
            title=f"Minkowski functional: {label}",
            x_label=HEIGHT,
            y_label=labelled(label.split()[-1], power(wavenumber(data), order)),
            x=LEVELS,
            generated=of_generated,
            real=of_real,
            versus="effect",
            caption=f"{captions[order]} {MEANING}",
        )
        for order, (label, of_generated, of_real) in enumerate(
            zip(labels, functionals(generated), functionals(real), strict=True)
        )
    ]


def _tapered(x: torch.Tensor) -> torch.Tensor:
    """Fluctuations under a Hann window along each axis, as the power spectrum of a crop has them."""
    axes = tuple(range(2, x.ndim))
    x = x - x.mean(axes, keepdim=True)
    for axis in axes:
        window = torch.hann_window(x.shape[axis] + 1, periodic=False)[:-1]
        x = x * window.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    return x
