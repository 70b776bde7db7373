"""Statistics of single samples, and their curves in a report.

A `Summary` holds one row per sample: the power in each bin of k, the fraction of cells in each bin of the one-point
PDF. Means, scatter, floors and errors all follow from these rows, so each statistic is computed once for each sample.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from pushforward.validation.floor import Floor
from pushforward.validation.wording import plain

__all__ = ["Curve", "Summary", "effect", "ratio_of_means"]


@dataclass(frozen=True)
class Summary:
    """A statistic of every sample.

    Attributes:
        name: stable key. title: name for a reader.
        x_label, y_label: of all channels, or one for each.
        x: centres of the bins, shape (K,), or (C, K) where channels have their own.
        generated: shape (n, C, K); real: shape (n + m, C, K), the first n of the test members.
        versus: whether the two means are compared by their ratio or, where they may vanish, by their difference in
            units of the scatter of single samples.
        cut: bins with ``x`` up to here enter the headline figure; None for all.
    """

    name: str
    title: str
    x_label: str | tuple[str, ...]
    y_label: str | tuple[str, ...]
    x: np.ndarray
    generated: np.ndarray
    real: np.ndarray
    versus: Literal["ratio", "effect"]
    caption: str
    log_x: bool = False
    log_y: bool = False
    cut: float | None = None

    @property
    def within(self) -> np.ndarray:
        """Bins that enter the headline figure, shape (K,), boolean; all of them where none lies below the cut."""
        everywhere = np.ones(self.x.shape[-1], bool)
        below = everywhere if self.cut is None else self.x <= self.cut * (1 + 1e-9)
        return below if below.any() else everywhere

    def curves(self, floor: Floor, channels: tuple[str, ...] = ("",)) -> list[Curve]:
        """One curve per channel, with errors and the band of real against real."""
        compare = ratio_of_means if self.versus == "ratio" else effect
        n = len(self.generated)
        found = []
        for index, channel in enumerate(channels):
            generated, real = self.generated[:, index], self.real[:, index]
            test = real[:n]
            low, high = floor.band(compare, real)
            found.append(
                Curve(
                    name=self.name,
                    channel=channel,
                    title=self.title,
                    x_label=self.x_label if isinstance(self.x_label, str) else self.x_label[index],
                    y_label=self.y_label if isinstance(self.y_label, str) else self.y_label[index],
                    x=self.x if self.x.ndim == 1 else self.x[index],
                    real=test.mean(axis=0),
                    real_scatter=test.std(axis=0),
                    generated=generated.mean(axis=0),
                    generated_scatter=generated.std(axis=0),
                    versus=self.versus,
                    compared=compare(generated, test),
                    compared_error=floor.scatter(compare, generated, real),
                    floor_low=low,
                    floor_high=high,
                    caption=self.caption,
                    log_x=self.log_x,
                    log_y=self.log_y,
                    cut=self.cut,
                )
            )
        return found


@dataclass(frozen=True)
class Curve:
    """Means of generated and of real samples, bin by bin, and how they compare; every array has shape (K,).

    Attributes:
        real_scatter, generated_scatter: standard deviation of single samples.
        compared: the ratio of the means, or their difference in units of ``real_scatter``, with its standard error.
        floor_low, floor_high: central 95 % range of ``compared`` for real data against real data.
    """

    name: str
    channel: str
    title: str
    x_label: str
    y_label: str
    x: np.ndarray
    real: np.ndarray
    real_scatter: np.ndarray
    generated: np.ndarray
    generated_scatter: np.ndarray
    versus: Literal["ratio", "effect"]
    compared: np.ndarray
    compared_error: np.ndarray
    floor_low: np.ndarray
    floor_high: np.ndarray
    caption: str
    log_x: bool = False
    log_y: bool = False
    cut: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Numbers and axis labels, as plain values."""
        return plain({key: value for key, value in asdict(self).items() if key != "caption"})  # type: ignore[return-value]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Curve:
        """Curve described by `to_dict`, without its caption; None in an array becomes NaN."""
        arrays = {key: np.array(value, dtype=float) for key, value in values.items() if isinstance(value, list)}
        return cls(**{**values, **arrays, "caption": ""})


def ratio_of_means(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean of a over mean of b, bin by bin; NaN where the mean of b is zero. Rows are samples."""
    below = b.mean(axis=0)
    return np.divide(a.mean(axis=0), below, out=np.full(below.shape, np.nan), where=below != 0)


def effect(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Difference of the means of a and b in units of the scatter of single samples of b, bin by bin.

    A bin without scatter in b is measured by a hundredth of the largest scatter: there, every sample of b agrees.
    """
    scatter = b.std(axis=0)
    largest = scatter.max(initial=0.0)
    least = 0.01 * largest if largest > 0 else 1.0
    return (a.mean(axis=0) - b.mean(axis=0)) / np.maximum(scatter, least)
