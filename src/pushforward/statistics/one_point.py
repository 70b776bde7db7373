r"""The one-point distribution of a field: the density of its values, whatever their positions.

    density(b) = cells in bin b / (cells x width of b),

so that it integrates to the fraction of the cells that lie between the outer edges. Its unit is one over the field's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import Array, FieldArray, as_fields, as_tensor, chunks, same_device, wide
from pushforward.statistics.coupling import kolmogorov_smirnov_sorted, wasserstein_sorted

__all__ = ["OnePointDistance", "OnePointPDF", "field_moments", "one_point_distance", "one_point_pdf"]

# Levels of the quantiles that are kept: enough for a table, and the tails that matter for peaks.
LEVELS = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)


@dataclass(frozen=True)
class OnePointPDF:
    """Distribution of the values of each channel.

    Attributes:
        edges: of the bins, in the field's unit.
        density: for each sample, per field unit.
        mean, variance: of each sample's cells.
        skewness, kurtosis: third and (excess) fourth standardised moment of each sample's cells; 0 for a Gaussian.
        levels, quantiles: quantiles of all samples' cells together, in the field's unit.
    """

    edges: Float[Tensor, "channels edges"]
    density: Float[Tensor, "samples channels bins"]
    mean: Float[Tensor, "samples channels"]
    variance: Float[Tensor, "samples channels"]
    skewness: Float[Tensor, "samples channels"]
    kurtosis: Float[Tensor, "samples channels"]
    levels: Float[Tensor, " levels"]
    quantiles: Float[Tensor, "channels levels"]

    @property
    def centres(self) -> Float[Tensor, "channels bins"]:
        """Middles of the bins, in the field's unit."""
        return (self.edges[:, 1:] + self.edges[:, :-1]) / 2


@dataclass(frozen=True)
class OnePointDistance:
    r"""Distance between the one-point distributions of two sets, for each channel.

    Attributes:
        wasserstein1: int \|F - G\| df, in the field's unit.
        relative: the same, over the standard deviation of the second set's cells.
        kolmogorov_smirnov: max \|F - G\|, in [0, 1].
    """

    wasserstein1: Float[Tensor, " channels"]
    relative: Float[Tensor, " channels"]
    kolmogorov_smirnov: Float[Tensor, " channels"]


def one_point_pdf(fields: FieldArray, edges: Tensor | None = None, bins: int = 64) -> OnePointPDF:
    """Density, moments and quantiles of the values of each channel.

    Arguments:
        fields: ``(samples, channels, *grid)``.
        edges: ``(bins + 1,)`` or ``(channels, bins + 1)``, rising; give the ``edges`` of a first set's result to put a
            second set on the same bins. None spans the range of the values.
        bins: equal bins when ``edges`` is None.

    Raises:
        UsageError: if the edges do not rise or do not fit the channels.

    Example:
        >>> real, fake = torch.randn(8, 1, 32, 32), torch.randn(8, 1, 32, 32)
        >>> pdf = one_point_pdf(real)
        >>> one_point_pdf(fake, edges=pdf.edges).density.shape
        torch.Size([8, 1, 64])
    """
    fields = as_fields(fields)
    values = fields.flatten(2)
    boundaries = _range_edges(values, bins) if edges is None else _given_edges(edges, values)
    density = torch.cat([_histogram(values[rows], boundaries) for rows in chunks(len(values), values[0].numel())])
    mean, variance, skewness, kurtosis = field_moments(fields)
    levels = torch.tensor(LEVELS, dtype=mean.dtype, device=mean.device)
    quantiles = torch.stack([_quantiles(channel, levels) for channel in values.unbind(1)])
    return OnePointPDF(boundaries, density, mean, variance, skewness, kurtosis, levels, quantiles)


def one_point_distance(a: Float[Array, "n channels *grid"], b: Float[Array, "m channels *grid"]) -> OnePointDistance:
    """Exact distances between the distributions of all cells of two sets of fields; cost of sorting all cells.

    Arguments:
        a, b: ``(samples, channels, *grid)``, any two numbers of samples; ``b`` sets the scale of ``relative``.

    Raises:
        UsageError: if one sample of ``a`` and one of ``b`` differ in shape.
    """
    a, b = same_device(as_fields(a), as_fields(b))
    wasserstein1, relative, ks = [], [], []
    for x, y in zip(a.flatten(2).unbind(1), b.flatten(2).unbind(1), strict=True):
        x, y = x.flatten().sort().values[None], y.flatten().sort().values[None]
        wasserstein1.append(wasserstein_sorted(x, y, 1)[0])
        relative.append(wasserstein1[-1] / wide(y).std())
        ks.append(kolmogorov_smirnov_sorted(x, y)[0])
    return OnePointDistance(torch.stack(wasserstein1), torch.stack(relative), torch.stack(ks))


def field_moments(fields: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean, variance, skewness and excess kurtosis of the cells of each sample and channel; NaN where constant."""
    values = fields.flatten(2)
    parts = []
    for rows in chunks(len(values), values[0].numel()):
        part = wide(values[rows])
        mean = part.mean(2)
        centred = part - mean[..., None]
        square = centred.square()
        parts.append(torch.stack([mean, square.mean(2), (square * centred).mean(2), square.square().mean(2)]))
    mean, variance, third, fourth = torch.cat(parts, 1)
    return mean, variance, third / variance**1.5, fourth / variance.square() - 3


def _range_edges(values: Tensor, bins: int) -> Tensor:
    low, high = wide(values.amin((0, 2))), wide(values.amax((0, 2)))
    # A constant channel still gets bins of positive width, around its value.
    margin = torch.where(high > low, 0.0, low.abs() * 1e-3 + 1e-3)
    steps = torch.linspace(0, 1, bins + 1, dtype=low.dtype, device=low.device)
    return torch.lerp((low - margin)[:, None], (high + margin)[:, None], steps)


def _given_edges(edges: Tensor, values: Tensor) -> Tensor:
    boundaries = wide(as_tensor(edges).to(values.device))
    boundaries = boundaries.expand(values.shape[1], -1) if boundaries.ndim == 1 else boundaries
    if boundaries.shape[0] != values.shape[1] or boundaries.shape[1] < 2 or not bool((boundaries.diff() > 0).all()):
        raise UsageError(
            f"edges of shape {tuple(edges.shape)} were given for {values.shape[1]} channels; "
            "give rising edges, (edges,) or (channels, edges)"
        )
    return boundaries.contiguous()


def _histogram(values: Float[Tensor, "samples channels cells"], edges: Float[Tensor, "channels edges"]) -> Tensor:
    samples, channels, cells = values.shape
    bins = edges.shape[1] - 1
    index = torch.searchsorted(edges, wide(values).transpose(0, 1).flatten(1), right=True) - 1
    index = index.reshape(channels, samples, cells).transpose(0, 1)
    last = values == edges[:, -1, None]
    index = torch.where(last, bins - 1, index)
    index = torch.where((index < 0) | (index >= bins), bins, index)
    rows = torch.arange(samples * channels, device=values.device).reshape(samples, channels, 1)
    counts = torch.bincount((rows * (bins + 1) + index).flatten(), minlength=samples * channels * (bins + 1))
    return wide(counts.reshape(samples, channels, bins + 1)[..., :bins]) / (cells * edges.diff())


def _quantiles(values: Tensor, levels: Tensor) -> Tensor:
    """Linear between order statistics; `torch.quantile` refuses more than 16 million values."""
    ordered = values.flatten().sort().values
    position = levels * (len(ordered) - 1)
    below = position.floor().long()
    above = (below + 1).clamp_max(len(ordered) - 1)
    return torch.lerp(wide(ordered[below]), wide(ordered[above]), position - below)
