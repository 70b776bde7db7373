r"""Standard errors from the scatter over samples, or over groups of samples that are not independent.

Samples of one group (maps cut from one simulation, say) share their fluctuations: resampling and variances then take
whole groups. For the mean m of N samples in G groups with sums S_g over n_g members,

    error^2 = G / (G - 1) sum_g (S_g - n_g m)^2 / N^2,

which is the usual variance over N where each sample is its own group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.statistics.arrays import Array, wide

__all__ = ["Bootstrap", "bootstrap", "standard_error"]

Groups = Int[Array, " samples"] | None


@dataclass(frozen=True)
class Bootstrap:
    """A function of the mean over samples, with its uncertainty.

    Attributes:
        estimate: at the mean over all samples.
        error: standard deviation over the resampled means.
        low, high: 16 % and 84 % quantiles over the resampled means.
    """

    estimate: Float[Tensor, "*shape"]
    error: Float[Tensor, "*shape"]
    low: Float[Tensor, "*shape"]
    high: Float[Tensor, "*shape"]


def standard_error(values: Float[Tensor, "samples *shape"], groups: Groups = None) -> Float[Tensor, "*shape"]:
    """Standard error of the mean over samples.

    Arguments:
        values: one statistic of each sample, such as ``power_spectrum(fields).power``.
        groups: whole number for each sample; None when samples are independent.

    Raises:
        DataError: if there are fewer than two samples or groups.
        UsageError: if the groups do not fit the samples.
    """
    sums, counts = _group_sums(wide(values), groups)
    deviation = sums - counts.reshape(-1, *[1] * (values.ndim - 1)) * (sums.sum(0) / counts.sum())
    return (deviation.square().sum(0) * len(sums) / (len(sums) - 1)).sqrt() / counts.sum()


def bootstrap(
    values: Float[Tensor, "samples *shape"],
    function: Callable[[Tensor], Tensor] | None = None,
    groups: Groups = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Bootstrap:
    """Uncertainty of a function of the mean over samples, by drawing samples (or groups) again with replacement.

    Arguments:
        values: one statistic of each sample.
        function: of means, shape ``(resamples, *shape)``, to ``(resamples, ...)``; None for the mean itself.
        groups: as in `standard_error`.
        resamples: number of draws.
        seed: of the draws.

    Raises:
        DataError, UsageError: as in `standard_error`.

    Example:
        >>> values = torch.randn(400, 2, generator=torch.Generator().manual_seed(0)) + torch.tensor([3.0, 2.0])
        >>> ratio = bootstrap(values, lambda means: means[:, 0] / means[:, 1])
        >>> bool((ratio.estimate - 1.5).abs() < 4 * ratio.error)
        True
    """
    sums, counts = _group_sums(wide(values), groups)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(sums), (resamples, len(sums)), generator=generator)
    times = torch.zeros(resamples, len(sums)).scatter_add_(1, drawn, torch.ones(drawn.shape)).to(sums)
    means = (times @ sums.flatten(1)) / (times @ counts)[:, None]
    means = means.reshape(resamples, *values.shape[1:])
    mean = (sums.sum(0) / counts.sum())[None]
    if function is not None:
        means, mean = function(means), function(mean)
    low, high = means.quantile(torch.tensor([0.16, 0.84]).to(means), dim=0)
    return Bootstrap(mean[0], means.std(0), low, high)


def _group_sums(values: Tensor, groups: Groups) -> tuple[Tensor, Tensor]:
    if groups is None:
        sums, counts = values, values.new_ones(len(values))
    else:
        groups = torch.as_tensor(groups)
        if groups.shape != values.shape[:1]:
            raise UsageError(
                f"groups of shape {tuple(groups.shape)} do not name a group for each of {len(values)} samples"
            )
        names, index = groups.to(values.device).unique(return_inverse=True)
        sums = values.new_zeros(len(names), *values.shape[1:]).index_add_(0, index, values)
        counts = torch.bincount(index, minlength=len(names)).to(values.dtype)
    if len(sums) < 2:
        raise DataError(f"{len(sums)} independent samples were given; a standard error needs at least two")
    return sums, counts
