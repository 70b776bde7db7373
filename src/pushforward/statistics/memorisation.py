r"""Memorisation: excess of copies of training members among generated samples over unseen real samples.

Every generated and every test sample is compared with *all* training members. With d the distance to the nearest, and
a of n generated and b of m test samples within a threshold t, generated and test samples are exchangeable for a model
that learned the distribution: given a + b, a is hypergeometric, which gives an exact one-sided p-value. The smallest
p-value of three thresholds is ranked among those of random permutations of both sets (or tripled, if it is too small
to be ranked):

- t = 0, up to the rounding of single precision: exact copies. In data with repetitions (spins, counts, catalogues
  with duplicates) test samples are copies too, and only an excess counts.
- the q and 2 q quantiles of the distances of both sets together: near copies.

If a share c of the generated samples is memorised and the rest is honest, a / n = c + (1 - c) b / m, so that

    excess = (a / n - b / m) / (1 - b / m)

estimates c. Where every test sample equals a training member, as for a few spins, memorisation has no meaning: the
excess is 0. (After Meehan et al. 2020, https://arxiv.org/abs/2004.05675, who compare ranks of the distances.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import stats
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import Array, as_vectors, wide
from pushforward.statistics.difference import mean_difference
from pushforward.statistics.neighbours import nearest
from pushforward.statistics.uncertainty import Groups

__all__ = ["Memorisation", "excess_of_copies", "memorisation"]

PERMUTATIONS = 1999
"""Random permutations of both sets among which the smallest p-value is ranked."""
FEWEST_BELOW = 10
"""Smallest expected number of permutations with a smaller p-value for which the rank is used."""


@dataclass(frozen=True)
class Memorisation:
    """Copies of training members among generated samples.

    Attributes:
        excess: share of the generated samples that are copies, beyond the share of test samples, at the threshold with
            the most significant excess; 0 if there is none.
        p_value: probability of as many generated samples near a training member if nothing is memorised.
        copied, test_copied: share of the generated and of the test samples that equal a training member.
        near, test_near: share closer to a training member than the nearest q of both sets together.
        distance, index: nearest training member of each generated sample; sort by distance for the worst.
        test_distance, test_index: the same for the test samples.
    """

    excess: Float[Tensor, ""]
    p_value: Float[Tensor, ""]
    copied: Float[Tensor, ""]
    test_copied: Float[Tensor, ""]
    near: Float[Tensor, ""]
    test_near: Float[Tensor, ""]
    distance: Float[Tensor, " n"]
    index: Int[Tensor, " n"]
    test_distance: Float[Tensor, " m"]
    test_index: Int[Tensor, " m"]


def memorisation(
    generated: Float[Array, "n *dim"],
    training: Float[Array, "t *dim"],
    test: Float[Array, "m *dim"],
    *,
    quantile: float = 0.05,
    groups: Groups = None,
    test_groups: Groups = None,
) -> Memorisation:
    """Excess of copies of training members, with its significance.

    Arguments:
        generated, training, test: samples or features of them, ``(count, dim)``; further axes are flattened. All
            training members are searched, a block at a time; memory does not grow with their number.
        quantile: q, in (0, 1).
        groups, test_groups: groups of samples that are not independent. With them the p-value is Student's, from the
            scatter between groups.

    Raises:
        UsageError, DataError: if the shapes do not fit, a set is empty, or q is out of range.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> training, test = torch.randn(2, 1000, 2, generator=generator)
        >>> generated = torch.cat([training[:100], torch.randn(400, 2, generator=generator)])
        >>> found = memorisation(generated, training, test)
        >>> round(float(found.excess), 1), bool(found.p_value < 1e-20)
        (0.2, True)
    """
    reference = as_vectors(training)
    found = []
    for part in (generated, test):
        samples = as_vectors(part)
        distance, index = nearest(samples, reference)
        # Samples that passed through single precision on their way equal their originals to its rounding.
        rounding = 4 * torch.finfo(torch.float32).eps * wide(samples).norm(dim=1)
        found.append(
            (torch.where(distance <= rounding, 0.0, distance).to(reference.device), index.to(reference.device))
        )
    return excess_of_copies(*found, quantile=quantile, groups=groups, test_groups=test_groups)


def excess_of_copies(
    generated: tuple[Float[Tensor, " n"], Int[Tensor, " n"]],
    test: tuple[Float[Tensor, " m"], Int[Tensor, " m"]],
    *,
    quantile: float = 0.05,
    groups: Groups = None,
    test_groups: Groups = None,
) -> Memorisation:
    """`Memorisation` from distances to the nearest training member and its index, by any metric.

    Arguments:
        generated, test: distances and indices of the two sets; a distance of 0 is a copy.
        quantile, groups, test_groups: as in `memorisation`.

    Raises:
        UsageError: if q is out of range, or the groups do not fit.
    """
    if not 0 < quantile < 1:
        raise UsageError(f"quantile={quantile} was given; it must lie between 0 and 1")
    distance, test_distance = generated[0], test[0]
    pooled = torch.cat([distance, test_distance]).sort().values
    places = [max(0, round(share * len(pooled)) - 1) for share in (quantile, min(2 * quantile, 0.5))]
    shares, found = [], []
    reaches = (0.0, *pooled[places].tolist())
    for reach in reaches:
        a, b = ((part <= reach).double() for part in (distance, test_distance))
        share, test_share = float(a.mean()), float(b.mean())
        shares.append((share, test_share))
        excess = (share - test_share) / (1 - test_share) if test_share < 1 else 0.0
        found.append((_p_value(a, b, groups, test_groups), -max(0.0, excess)))
    p, excess = min(found)[0], -min(found)[1]
    # An excess below a quantile of the joint set is bounded by it; below a quantile of the test set it is not.
    own = float(test_distance.quantile(quantile))
    beyond = (float((distance <= own).double().mean()), float((test_distance <= own).double().mean()))
    if p < 0.05 and excess < beyond[0] and beyond[1] < 1:
        excess = max(excess, (beyond[0] - beyond[1]) / (1 - beyond[1]))
    excess, p, copied, test_copied, near, test_near = torch.tensor(
        [
            excess,
            _joint_p_value(p, distance, test_distance, reaches, groups is None and test_groups is None),
            *shares[0],
            *shares[1],
        ],
        dtype=torch.float64,
    )
    return Memorisation(excess, p, copied, test_copied, near, test_near, distance, generated[1], test_distance, test[1])


def _p_value(a: Tensor, b: Tensor, groups: Groups, test_groups: Groups) -> float:
    """Probability of at least as many in ``a``, given how many there are in both."""
    if groups is None and test_groups is None:
        hits = int(a.sum() + b.sum())
        return float(stats.hypergeom.sf(int(a.sum()) - 1, len(a) + len(b), hits, len(a)))
    found = mean_difference(a, b, groups, test_groups)
    if float(found.error) == 0:
        return 1.0 if float(found.value) <= 0 else 0.0
    units = min(len(np.unique(part)) if part is not None else len(x) for part, x in ((groups, a), (test_groups, b)))
    return float(stats.t.sf(float(found.z), units - 1))


def _joint_p_value(p: float, distance: Tensor, test_distance: Tensor, reaches: tuple[float, ...], alone: bool) -> float:
    """P-value of the smallest p-value at several thresholds."""
    bound = min(1.0, len(reaches) * p)
    if not alone or bound < FEWEST_BELOW / PERMUTATIONS:
        return bound
    pooled = torch.cat([distance, test_distance]).numpy()
    steps = np.sort(reaches)
    within = np.searchsorted(steps, pooled, "left")
    counts = np.bincount(within, minlength=len(steps) + 1)
    dealt = (
        np.random.default_rng(0).multivariate_hypergeometric(counts, len(distance), size=PERMUTATIONS)[:, :-1].cumsum(1)
    )
    hits = counts[:-1].cumsum()
    least = stats.hypergeom.sf(dealt - 1, len(pooled), hits, len(distance)).min(1)
    return float((1 + np.sum(least <= p * (1 + 1e-9))) / (1 + PERMUTATIONS))
