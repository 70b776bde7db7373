r"""Standard errors from the scatter over samples, or over groups of samples that are not independent.

Samples of one group (maps cut from one simulation, say) share their fluctuations: resampling and variances then take
whole groups. For the mean m of N samples in G groups with sums S_g over n_g members,

    error^2 = G / (G - 1) sum_g (S_g - n_g m)^2 / N^2,

which is the usual variance over N where each sample is its own group.

Statistics of points and their neighbours cannot be bootstrapped, since a repeated point is its own neighbour. Their
error comes from samples of m < N members drawn without replacement. The mean of such a sample scatters about that of
all members with the variance sigma^2 / m - sigma^2 / N, so that

    error^2 = m / (N - m) Var(statistic over draws),

and half samples need no factor (Politis, Romano and Wolf 1999, Subsampling, sec. 2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.statistics.arrays import Array, as_tensor, wide

__all__ = [
    "Bootstrap",
    "blended_error",
    "bootstrap",
    "discrepancy_error",
    "group_sums",
    "half_sample_error",
    "half_samples",
    "standard_error",
]

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
    sums, counts = group_sums(wide(values), groups)
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
    sums, counts = group_sums(wide(values), groups)
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


def half_samples(count: int, repetitions: int, groups: Groups = None, *, seed: int = 0) -> list[Int[Tensor, " half"]]:
    """Rows of random half samples without replacement; groups are taken whole.

    Halves come in complementary pairs, so that every sample is used equally often.

    Arguments:
        count: number of samples.
        repetitions: number of half samples.
        groups: as in `standard_error`.
        seed: of the draws.

    Raises:
        DataError: if there are fewer than two samples or groups.
        UsageError: if the groups do not fit the samples.

    Example:
        >>> one, other = half_samples(10, 2)
        >>> torch.equal(torch.cat([one, other]).sort().values, torch.arange(10))
        True
    """
    member, units = _members(count, groups)
    generator = torch.Generator().manual_seed(seed)
    halves: list[Tensor] = []
    while len(halves) < repetitions:
        chosen = torch.zeros(units, dtype=torch.bool)
        chosen[torch.randperm(units, generator=generator)[: units // 2]] = True
        halves += [chosen[member].nonzero()[:, 0], (~chosen)[member].nonzero()[:, 0]]
    return halves[:repetitions]


def half_sample_error(values: Float[Tensor, "repetitions *shape"], share: float = 0.5) -> Float[Tensor, "*shape"]:
    """Standard error of a statistic of all samples, from its values on samples drawn without replacement.

    Arguments:
        values: the statistic on each draw, at least two (see `half_samples`).
        share: m / N, in (0, 1).

    Raises:
        DataError: if there are fewer than two draws.
        UsageError: if the share is out of range.
    """
    values = wide(as_tensor(values))
    if not 0 < share < 1:
        raise UsageError(f"share={share} was given; samples without replacement hold between none and all members")
    if len(values) < 2:
        raise DataError(f"{len(values)} draws were given; a standard error needs at least two")
    return values.std(0) * (share / (1 - share)) ** 0.5


def discrepancy_error(
    value: Float[Array, "*shape"],
    resampled: Float[Array, "repetitions *shape"],
    floor: Float[Array, "draws *shape"],
    *,
    both_sides: bool = False,
) -> Float[Tensor, "*shape"]:
    r"""Standard error of a discrepancy that is positive by construction, such as the mean of \|ratio - 1\|.

    Resampling adds noise to noise: near the floor, where the value is made of noise alone, the resampled values scatter
    more than the value does (\|x + e\| at x of the size of e, against \|e\|), by a factor of about 1.3. There the
    floor's own scatter is the error, and far from it that of the resampled values (`blended_error`). The same holds for
    shares of points with a neighbour within some distance, since half samples have other neighbours than all samples.

    Arguments:
        value: the discrepancy of all samples.
        resampled: its values on bootstrapped samples, or on half samples.
        floor: its values between real data and real data.
        both_sides: count a value below the floor as far from it, too.

    Raises:
        DataError: if there are fewer than two resampled values or draws of the floor.
    """
    value, resampled, floor = (wide(as_tensor(part)) for part in (value, resampled, floor))
    if min(len(resampled), len(floor)) < 2:
        raise DataError(f"{len(resampled)} resampled values and {len(floor)} draws of the floor were given; two needed")
    beyond = value - floor.mean(0)
    return blended_error(beyond.abs() if both_sides else beyond, floor.std(0), resampled.std(0))


def blended_error(
    beyond: Float[Array, "*shape"] | float, null: Float[Array, "*shape"] | float, own: Float[Array, "*shape"] | float
) -> Float[Tensor, "*shape"]:
    r"""Standard error of a value at any distance from its floor.

    With z the distance beyond the floor's mean in units of the floor's scatter,

        error^2 = (null^2 + w own^2) / (1 + w),      w = max(0, z - 1)^2.

    Arguments:
        beyond: distance of the value from the floor's mean.
        null: scatter of the floor.
        own: standard error of the value far from the floor.

    Example:
        >>> [round(float(error), 2) for error in blended_error([0.5, 30.0], 1.0, 2.0)]
        [1.0, 2.0]
    """
    beyond, null, own = (wide(as_tensor(part)) for part in (beyond, null, own))
    weight = (beyond / null - 1).clamp_min(0).square()
    return torch.where(null > 0, (null.square() + weight * own.square()) / (1 + weight), own.square()).sqrt()


def _members(count: int, groups: Groups) -> tuple[Int[Tensor, " samples"], int]:
    """Unit of each sample, numbered from 0, and the number of units."""
    if groups is None:
        member = torch.arange(count)
    else:
        member = as_tensor(groups)
        if member.shape != (count,):
            raise UsageError(f"groups of shape {tuple(member.shape)} do not name a group for each of {count} samples")
        member = member.cpu().unique(return_inverse=True)[1]
    units = int(member.max()) + 1 if count else 0
    if units < 2:
        raise DataError(f"{units} independent samples were given; a standard error needs at least two")
    return member, units


def group_sums(
    values: Float[Tensor, "samples *shape"], groups: Groups = None
) -> tuple[Float[Tensor, "units *shape"], Float[Tensor, " units"]]:
    """Sum of the values of each group, and its number of samples; every sample is a group where there are none.

    Raises:
        DataError: if there are fewer than two samples or groups.
        UsageError: if the groups do not fit the samples.
    """
    member, units = _members(len(values), groups)
    if groups is None:
        return values, values.new_ones(units)
    index = member.to(values.device)
    sums = values.new_zeros(units, *values.shape[1:]).index_add_(0, index, values)
    return sums, torch.bincount(index, minlength=units).to(values.dtype)
