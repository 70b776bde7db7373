"""Summary features of a field, for statistics of vectors: neighbours, precision and recall, classifiers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d

from pushforward.errors import UsageError
from pushforward.statistics.arrays import FieldArray, as_fields
from pushforward.statistics.cross_spectra import cross_spectra
from pushforward.statistics.modes import Box, box_sides, edges_of
from pushforward.statistics.one_point import field_moments
from pushforward.statistics.position import border_profile
from pushforward.statistics.power_spectrum import Window, power_spectrum
from pushforward.statistics.quadrupole import quadrupole
from pushforward.tensors.samples import box_of

__all__ = ["low_pass", "summary_features", "summary_names"]

_POOLS: dict[int, Callable[..., Tensor]] = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


def low_pass(fields: FieldArray, cells: int = 16) -> Float[Tensor, "samples dim"]:
    """Fields averaged over blocks to ``cells`` along each axis (at most), flattened.

    The distance of two such vectors depends on large scales only, so a copy with new small-scale noise is detected.

    Raises:
        UsageError: if the shape makes no sense or ``cells`` is not positive.
    """
    if cells < 1:
        raise UsageError(f"cells={cells} was given; at least one cell must be left along each axis")
    fields = as_fields(fields)
    grid = fields.shape[2:]
    pooled: Tensor = _POOLS[len(grid)](fields, tuple(min(cells, n) for n in grid))
    return pooled.flatten(1)


def summary_features(
    fields: FieldArray, box: Box = None, *, shells: int = 12, window: Window = None
) -> Float[Tensor, "samples features"]:
    """Summary of each field: scales, values, and dependences on channels, directions and positions.

    For each channel, ln P(k) in logarithmic shells, and mean, log standard deviation, skewness and kurtosis; then, in
    two bands of k, the quadrupole of each channel (two and three axes) and Fisher's z = artanh r of each pair of
    channels; and the mean and log standard deviation of each channel's border relative to its interior.

    Arguments:
        fields: ``(samples, channels, *grid)``.
        box, window: as in `power_spectrum`.
        shells: at most, equal in log k between the fundamental and Nyquist.

    Returns:
        One row per sample in float64, its columns named by `summary_names`. Logarithms are floored and ratios to
        nothing are 0, so constant fields stay finite.
    """
    return torch.cat([columns for _, columns in _summaries(fields, box_of(fields, box), shells, window)], -1)


def summary_names(fields: FieldArray, box: Box = None, *, shells: int = 12, window: Window = None) -> tuple[str, ...]:
    """Names of the columns of `summary_features` with the same arguments, such as "ln P, k = 0.393, channel 1".

    One field is enough. Channels are not named where there is one.
    """
    box = box_of(fields, box)
    return tuple(name for names, _ in _summaries(as_fields(fields)[:1], box, shells, window) for name in names)


def _summaries(
    fields: FieldArray, box: Box, shells: int, window: Window
) -> Iterator[tuple[list[str], Float[Tensor, "samples columns"]]]:
    fields = as_fields(fields)
    channels, grid = fields.shape[1], tuple(fields.shape[2:])
    of = [f", channel {channel + 1}" if channels > 1 else "" for channel in range(channels)]
    edges = _whole_shells(torch.tensor(edges_of(grid, box_sides(grid, box)), dtype=torch.float64), shells)
    spectrum = power_spectrum(fields, box, edges, window=window)
    mean, variance, skewness, kurtosis = field_moments(fields)
    tiny = torch.finfo(spectrum.power.dtype).tiny
    scales = [f"ln P, k = {k:.3g}" for k in spectrum.k.tolist()]
    columns = [
        spectrum.power.clamp_min(tiny).log(),
        mean[..., None],
        variance.clamp_min(tiny).log()[..., None] / 2,
        skewness.nan_to_num(0.0)[..., None],
        kurtosis.nan_to_num(0.0)[..., None],
    ]
    kinds = [*scales, "mean", "ln standard deviation", "skewness", "kurtosis"]
    yield [f"{kind}{channel}" for channel in of for kind in kinds], torch.cat(columns, -1).flatten(1)
    bands = [edges[0], edges[len(edges) // 2], edges[-1]] if len(edges) > 2 else [edges[0], edges[-1]]
    ranges = ["large scales", "small scales"] if len(bands) > 2 else ["all scales"]
    if len(grid) > 1 and min(grid) > 2:
        found = quadrupole(fields, box, bands, window=window)
        share = (found.moment / found.power[:, :, None]).nan_to_num(0.0, 0.0, 0.0)
        yield [f"{c}, {band}{channel}" for channel in of for c in found.components for band in ranges], share.flatten(1)
    if channels > 1:
        cross = cross_spectra(fields, box, bands, window=window)
        fisher = cross.correlation.nan_to_num(0.0).clamp(-1 + 1e-7, 1 - 1e-7).atanh()
        pairs = [f"channels {a + 1} and {b + 1}" for a, b in cross.pairs]
        yield [f"correlation, {band}, {pair}" for pair in pairs for band in ranges], fisher.flatten(1)
    profile = border_profile(fields, box, (1,))
    if len(profile.cells) > 1:
        width = variance.sqrt().clamp_min(tiny)
        step = ((profile.mean[..., 0] - profile.mean[..., 1]) / width).nan_to_num(0.0).clamp(-1e3, 1e3)
        # About the sample's own mean: that of all samples would mark each with the set that it stands in.
        centre = profile.mean.mean(0)
        square = profile.variance + 2 * profile.mean * centre - centre.square()
        about = square - 2 * profile.mean * mean[..., None] + mean[..., None].square()
        inner, outer = (about[..., ring].clamp_min(tiny).log() / 2 for ring in (1, 0))
        yield [f"border less interior{channel}" for channel in of], step
        yield [f"ln border over interior{channel}" for channel in of], outer - inner


def _whole_shells(edges: Float[Tensor, " edges"], shells: int) -> list[float]:
    """Logarithmic edges moved to those of whole shells, so that no shell is empty."""
    wanted = torch.logspace(log(edges[0]), log(edges[-1]), shells + 1, base=torch.e, dtype=torch.float64)
    return list(edges[(wanted[:, None] - edges[None, :]).abs().argmin(1).unique()].tolist())
