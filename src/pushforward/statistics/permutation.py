r"""Studentised permutation test of means, for many statistics at once.

Under the null, samples (or whole groups) of two sets may be dealt anew; of pairs made at the same condition, each pair
(or group of pairs) may be swapped. The statistic is Student's,

    t = ( <a> - <b> ) / error,

with the error of `mean_difference` taken anew in each permutation: the p-value is exact where the two sets have one
distribution, and right in the limit of many samples where only their means agree (Janssen 1997,
https://doi.org/10.1016/S0167-7152(97)00043-6; Chung and Romano 2013, https://doi.org/10.1214/13-AOS1090). All
statistics share the permutations, so that the largest \|t\| of each gives one joint p-value whatever their correlations
(Westfall and Young 1993).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import Array, as_tensor, wide
from pushforward.statistics.uncertainty import Groups, group_sums

__all__ = ["PermutationTest", "permutation_test"]


@dataclass(frozen=True)
class PermutationTest:
    """Means of two sets compared.

    Attributes:
        difference: generated less real.
        t: over its error.
        p_value: two-sided, of each statistic, at least 1 / (permutations + 1).
        joint_p_value: probability of a largest \\|t\\| over all statistics as large as here.
        draws: t of each permutation.
    """

    difference: Float[Tensor, "*statistics"]
    t: Float[Tensor, "*statistics"]
    p_value: Float[Tensor, "*statistics"]
    joint_p_value: Float[Tensor, ""]
    draws: Float[Tensor, "permutations *statistics"]


def permutation_test(
    generated: Float[Array, "n *statistics"],
    real: Float[Array, "m *statistics"],
    groups: Groups = None,
    real_groups: Groups = None,
    *,
    paired: bool = False,
    permutations: int = 999,
    seed: int = 0,
) -> PermutationTest:
    """Two-sided test that the means of one or many statistics of single samples agree.

    Arguments:
        generated, real: statistics of each sample.
        groups, real_groups: group of each sample, as in `standard_error`; of pairs, one of them serves for both.
        paired: whether ``generated[i]`` was made at the condition of ``real[i]``.
        permutations: number of random permutations.
        seed: of them.

    Raises:
        UsageError: if the shapes or the groups do not fit.
        DataError: if a set has fewer than two samples or groups.

    Example:
        >>> a, b = torch.randn(2, 200, 5, generator=torch.Generator().manual_seed(0))
        >>> found = permutation_test(a + torch.tensor([0.0, 0.0, 0.0, 0.0, 0.5]), b)
        >>> bool(found.p_value[4] < 0.01), bool(found.joint_p_value < 0.01), bool(found.p_value[0] > 0.01)
        (True, True, True)
    """
    a, b = wide(as_tensor(generated)), wide(as_tensor(real))
    if a.shape[1:] != b.shape[1:] or (paired and len(a) != len(b)):
        raise UsageError(
            f"statistics of shapes {tuple(a.shape)} and {tuple(b.shape)} were given; "
            "all axes but that of the samples must agree, and of pairs that too"
        )
    if permutations < 1:
        raise UsageError(f"permutations={permutations} was given; a p-value needs at least one")
    shape, b = a.shape[1:], b.to(a.device)
    rng = np.random.default_rng(seed)
    if paired:
        sums, counts = group_sums((a - b).reshape(len(a), -1), real_groups if groups is None else groups)
        signs = rng.choice([-1.0, 1.0], (permutations, len(sums)))
        difference, t = _swapped(sums, counts, torch.from_numpy(np.vstack([np.ones(len(sums)), signs])).to(sums))
    else:
        parts = [group_sums(part.reshape(len(part), -1), who) for part, who in ((a, groups), (b, real_groups))]
        sums, counts = (torch.cat([part[side] for part in parts]) for side in (0, 1))
        dealt = np.zeros((permutations + 1, len(sums)))
        size = len(parts[0][0])
        dealt[0, :size] = 1
        order = np.argsort(rng.random((permutations, len(sums))), axis=1)[:, :size]
        np.put_along_axis(dealt[1:], order, 1.0, axis=1)
        difference, t = _dealt(sums, counts, torch.from_numpy(dealt).to(sums))
    size_of_t = t.abs().nan_to_num(0.0, torch.inf)
    # Rounding must not part a permutation from one that is the same.
    reach = size_of_t[0] * (1 - 1e-9)
    p_value = (1 + (size_of_t[1:] >= reach).to(t).sum(0)) / (permutations + 1)
    largest = size_of_t.amax(1)
    joint = (1 + (largest[1:] >= largest[0] * (1 - 1e-9)).to(t).sum()) / (permutations + 1)
    found = (difference, t[0], p_value)
    difference, of_data, p_value = (part.reshape(shape) for part in found)
    return PermutationTest(difference, of_data, p_value, joint, t[1:].reshape(permutations, *shape))


def _dealt(
    sums: Float[Tensor, "units f"], counts: Float[Tensor, " units"], dealt: Float[Tensor, "permutations units"]
) -> tuple[Tensor, Tensor]:
    """Difference of the means as given, and t of every deal of the units to the two sets."""
    moments = []
    for chosen in (dealt, 1 - dealt):
        members, units = (chosen @ counts)[:, None], chosen.sum(1, keepdim=True)
        mean = (chosen @ sums) / members
        square = chosen @ sums.square() - 2 * mean * (chosen @ (sums * counts[:, None]))
        square = square + mean.square() * (chosen @ counts.square())[:, None]
        moments.append((mean, square.clamp_min(0) * units / (units - 1) / members.square()))
    difference = moments[0][0] - moments[1][0]
    return difference[0], difference / (moments[0][1] + moments[1][1]).sqrt()


def _swapped(
    sums: Float[Tensor, "units f"], counts: Float[Tensor, " units"], signs: Float[Tensor, "permutations units"]
) -> tuple[Tensor, Tensor]:
    units, members = len(sums), counts.sum()
    mean = signs @ sums / members
    square = (
        sums.square().sum(0) - 2 * mean * (signs @ (sums * counts[:, None])) + mean.square() * counts.square().sum()
    )
    return mean[0], mean / (square.clamp_min(0) * units / (units - 1)).sqrt() * members
