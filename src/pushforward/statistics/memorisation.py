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
excess is 0.

Samples narrower than the data, such as the means that a VAE decodes, also lie nearer to training members than test
samples do, but nearer to unseen members as well. Copies show one of three signs, each with a p-value of its own, and
the p-value of memorisation is at least three times the smallest of these:

- they equal a training member, in data without repetitions;
- they are three times nearer to their training member than to the next, more often than test samples are;
- they are nearer to a training member than to any unseen one. For an honest model the distinct members nearest to
  generated samples are a random choice from all T training and m test members, so the number of training members among
  them is hypergeometric.

Sources: Meehan et al. 2020, https://arxiv.org/abs/2004.05675 (ranks of the distances to training and test members);
Yoon et al. 2023, https://openreview.net/forum?id=shciCbSk9h (the ratio of the two nearest distances).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import Array, as_vectors
from pushforward.statistics.difference import student_p_value
from pushforward.statistics.neighbours import NearestMembers, nearest_members
from pushforward.statistics.uncertainty import Groups

__all__ = ["Memorisation", "excess_of_copies", "memorisation"]

PERMUTATIONS = 1999
"""Random permutations of both sets among which the smallest p-value is ranked."""
FEWEST_BELOW = 10
"""Smallest expected number of permutations with a smaller p-value for which the rank is used."""
RARE = 0.01
"""Largest share of test samples that equal a training member in data without repetitions."""
GAP = 1 / 3
"""Ratio of the distances to the nearest and the next training member below which a sample is close to one alone."""


@dataclass(frozen=True)
class Memorisation:
    """Copies of training members among generated samples.

    Attributes:
        excess: share of the generated samples that are copies, beyond the share of test samples, at the threshold with
            the most significant excess; 0 if there is none.
        p_value: probability of as many generated samples near a training member if nothing is memorised.
        nearness: p-value of the distances alone, which is small for samples narrower than the data, too.
        copied, test_copied: share of the generated and of the test samples that equal a training member.
        near, test_near: share closer to a training member than the nearest q of both sets together.
        generated, test: nearest training member of each sample; sort by distance for the worst.
    """

    excess: Float[Tensor, ""]
    p_value: Float[Tensor, ""]
    nearness: Float[Tensor, ""]
    copied: Float[Tensor, ""]
    test_copied: Float[Tensor, ""]
    near: Float[Tensor, ""]
    test_near: Float[Tensor, ""]
    generated: NearestMembers
    test: NearestMembers


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
    made, members, unseen = (as_vectors(part) for part in (generated, training, test))
    return excess_of_copies(
        *(nearest_members(*pair) for pair in ((made, members), (unseen, members), (made, unseen))),
        members=len(members),
        quantile=quantile,
        groups=groups,
        test_groups=test_groups,
    )


def excess_of_copies(
    generated: NearestMembers,
    test: NearestMembers,
    unseen: NearestMembers,
    *,
    members: int,
    quantile: float = 0.05,
    groups: Groups = None,
    test_groups: Groups = None,
) -> Memorisation:
    """`Memorisation` from the nearest members, by any metric.

    Arguments:
        generated, test: the training member nearest to each sample of the two sets; a distance of 0 is a copy.
        unseen: the test sample nearest to each generated one.
        members: number of training members.
        quantile, groups, test_groups: as in `memorisation`.

    Raises:
        UsageError: if q is out of range, or the groups do not fit.
    """
    if not 0 < quantile < 1:
        raise UsageError(f"quantile={quantile} was given; it must lie between 0 and 1")
    shares = _Shares(groups, test_groups)
    reaches = _reaches(generated.distance, test.distance, quantile)
    within = [[(part.distance <= reach).double() for part in (generated, test)] for reach in reaches]
    found = [(shares.p_value(*pair), _excess(*pair)) for pair in within]
    least, excess = min(found, key=lambda each: (each[0], -each[1]))
    nearness = _joint_p_value(least, generated.distance, test.distance, reaches, shares.independent)
    near_to_one = [(part.distance < GAP * part.second).double() for part in (generated, test)]
    signs = [
        found[0][0] if within[0][1].mean() <= RARE else 1.0,
        shares.p_value(*near_to_one),
        _p_value_of_nearest(generated, unseen, members, len(test.distance), quantile) if shares.independent else 1.0,
    ]
    p = max(nearness, min(1.0, len(signs) * min(signs)))
    if least < 0.05:
        excess = max(excess, _largest_excess(generated.distance, test.distance, quantile)) if p < 0.05 else 0.0

    def scalar(number: float | Tensor) -> Float[Tensor, ""]:
        return torch.as_tensor(number, dtype=torch.float64)

    copied, test_copied, near, test_near = (scalar(part.mean()) for pair in within[:2] for part in pair)
    return Memorisation(
        scalar(excess), scalar(p), scalar(nearness), copied, test_copied, near, test_near, generated, test
    )


def _reaches(distance: Tensor, test_distance: Tensor, quantile: float) -> tuple[float, ...]:
    """Distances within which samples are counted: 0, and two quantiles of both sets together."""
    pooled = torch.cat([distance, test_distance]).sort().values
    places = [max(0, round(share * len(pooled)) - 1) for share in (quantile, min(2 * quantile, 0.5))]
    return 0.0, *pooled[places].tolist()


def _largest_excess(distance: Tensor, test_distance: Tensor, quantile: float) -> float:
    """Excess below a quantile of the test set, where it exceeds the quantile: of both sets together it could not."""
    own = float(test_distance.quantile(quantile))
    return _excess(*((part <= own).double() for part in (distance, test_distance)))


def _excess(a: Tensor, b: Tensor) -> float:
    """Share of copies c that gives the shares of both sets, at least 0."""
    share, test_share = float(a.mean()), float(b.mean())
    return max(0.0, (share - test_share) / (1 - test_share)) if test_share < 1 else 0.0


def _p_value_of_nearest(
    trained: NearestMembers, unseen: NearestMembers, members: int, others: int, quantile: float
) -> float:
    """P-value of the number of training members among the distinct members nearest to generated samples.

    The smallest of three, for the q and 4 q samples nearest to any member and for all, times three. Of a training and
    an unseen member at one distance the unseen one counts.
    """
    seen = trained.distance < unseen.distance
    order = torch.minimum(trained.distance, unseen.distance).argsort()
    found = []
    for share in (quantile, min(1.0, 4 * quantile), 1.0):
        rows = order[: max(1, round(share * len(order)))]
        hits = len(trained.index[rows][seen[rows]].unique())
        drawn = hits + len(unseen.index[rows][~seen[rows]].unique())
        found.append(float(stats.hypergeom.sf(hits - 1, members + others, members, drawn)))
    return min(1.0, len(found) * min(found))


@dataclass(frozen=True)
class _Shares:
    """Test of a share of two sets, one-sided."""

    groups: Groups
    test_groups: Groups

    @property
    def independent(self) -> bool:
        return self.groups is None and self.test_groups is None

    def p_value(self, a: Tensor, b: Tensor) -> float:
        """Probability of at least as many in ``a``, given how many there are in both."""
        if self.independent:
            hits = int(a.sum() + b.sum())
            return float(stats.hypergeom.sf(int(a.sum()) - 1, len(a) + len(b), hits, len(a)))
        return student_p_value(a, b, self.groups, self.test_groups, two_sided=False)


def _joint_p_value(
    p: float, distance: Tensor, test_distance: Tensor, reaches: tuple[float, ...], independent: bool
) -> float:
    """P-value of the smallest p-value at several thresholds."""
    bound = min(1.0, len(reaches) * p)
    if not independent or bound < FEWEST_BELOW / PERMUTATIONS:
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
