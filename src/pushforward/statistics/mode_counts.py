r"""Mode counts: classes and clusters of the data in the generated set, and their frequencies.

Every sample is given a class by a classifier trained on real data, or a cluster by k-means on real data; classifier and
clusters treat both sets alike, so their mistakes cancel. With O the counts of the sets in the modes and E those
expected from the margins,

    chi^2 = sum (O - E)^2 / E.

One absent mode among many adds little to chi^2, so the largest deficit of one mode, in standard errors, is tested as
well. The smaller of the two p-values is ranked among those of random tables: with the same margins (Patefield 1981,
https://doi.org/10.2307/2346669), with groups reassigned to the two sets, or with pairs swapped. The test is therefore
exact for small counts and for dependent samples. A mode is absent if it has less than a tenth of its expected count,
and by chance a mode would have so few in at most one of a hundred sets.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import stats
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.statistics.arrays import Array, as_tensor, as_vectors, same_device
from pushforward.statistics.uncertainty import Groups

__all__ = ["ModeCounts", "class_counts", "cluster_counts", "compare_counts"]

ABSENT, CHANCE = 0.1, 0.01
"""Share of the expected count below which a mode is absent, and the largest probability of so few by chance."""
FOLDS = 5
TREES = 100
TABLES = 4000
PER_CLUSTER = 10
"""Mean number of samples per cluster, at least."""
FARTHEST = 4.0
"""Standard deviations from the mean beyond which all values count as the same for clusters."""


@dataclass(frozen=True)
class ModeCounts:
    """Number of samples in each mode.

    Attributes:
        names: names of the modes.
        generated, real: counts.
        chi_squared: chi^2 of the table of both sets.
        p_value: p-value of chi^2 and the largest deficit together; at least 1 / 4001.
        z: excess of the generated count of each mode in standard errors; negative where there are too few.
        absent: names of the modes that the generated set lacks.
        tables: counts of the generated set in random tables of two sets of one distribution.
    """

    names: tuple[str, ...]
    generated: Int[Tensor, " modes"]
    real: Int[Tensor, " modes"]
    chi_squared: Float[Tensor, ""]
    p_value: Float[Tensor, ""]
    z: Float[Tensor, " modes"]
    absent: tuple[str, ...]
    tables: Float[Tensor, "tables modes"]

    @property
    def covered(self) -> int:
        """Number of modes that the generated set has."""
        return len(self.names) - len(self.absent)


def compare_counts(
    generated: Int[Array, " n"],
    real: Int[Array, " m"],
    names: Sequence[str],
    *,
    groups: Groups = None,
    real_groups: Groups = None,
    paired: bool = False,
    seed: int = 0,
) -> ModeCounts:
    """Compare the counts of known modes, such as labels.

    Arguments:
        generated, real: index of each sample's mode, from 0.
        names: names of the modes.
        groups, real_groups: group of each sample, if samples are not independent; for pairs, either serves for both.
        paired: whether ``generated[i]`` was made at the condition of ``real[i]``: then pairs, or groups of them, are
            swapped, so that the effect of the condition on both cancels.
        seed: seed of the random tables.

    Raises:
        UsageError: if a mode has no name, or the groups or the pairs do not fit.
        DataError: if a set is empty.

    Example:
        >>> found = compare_counts(torch.arange(300) % 3, torch.arange(400) % 4, ["up", "down", "left", "right"])
        >>> found.absent, found.covered, bool(found.p_value < 0.001)
        (('right',), 3, True)
    """
    a, b = (as_tensor(part).cpu().long().numpy() for part in (generated, real))
    if min(len(a), len(b)) == 0:
        raise DataError("a set without samples was given; modes are counted in two sets")
    if min(a.min(), b.min()) < 0 or max(a.max(), b.max()) >= len(names):
        raise UsageError(f"modes from {min(a.min(), b.min())} to {max(a.max(), b.max())} were given {len(names)} names")
    if paired and len(a) != len(b):
        raise UsageError(f"{len(a)} and {len(b)} samples were given as pairs; give as many of each")
    counts = np.stack([np.bincount(part, minlength=len(names)) for part in (a, b)])
    total = counts.sum(0)
    present = total > 0
    if paired:
        tables = _swapped_tables(a, b, counts, groups if real_groups is None else real_groups, seed)
    else:
        tables = _random_tables(a, b, counts, (groups, real_groups), seed)
    share = len(a) / (len(a) + len(b))
    every = np.concatenate([counts[:1], tables])
    chi_squared = _chi_squared(every, total)
    z = np.where(present, (every - share * total) / np.maximum(tables.std(0), 1e-9), 0.0)
    smaller = np.maximum(_exceedance(chi_squared), _exceedance(-z.min(1)))
    p_value = np.mean(smaller >= smaller[0])
    expected = counts[1] * len(a) / len(b)
    few = np.array([stats.hypergeom.cdf(n, len(a) + len(b), t, len(a)) for n, t in zip(counts[0], total, strict=True)])
    absent = present & (counts[0] < ABSENT * expected) & (few < CHANCE / max(1, present.sum()))
    return ModeCounts(
        tuple(names),
        torch.from_numpy(counts[0]),
        torch.from_numpy(counts[1]),
        torch.tensor(chi_squared[0], dtype=torch.float64),
        torch.tensor(p_value, dtype=torch.float64),
        torch.from_numpy(z[0]),
        tuple(name for name, gone in zip(names, absent, strict=True) if gone),
        torch.from_numpy(tables),
    )


def class_counts(
    generated: Float[Array, "n *dim"],
    real: Float[Array, "m *dim"],
    labels: Int[Array, " m"],
    names: Sequence[str],
    *,
    training: tuple[Float[Array, "t *dim"], Int[Array, " t"]] | None = None,
    groups: Groups = None,
    real_groups: Groups = None,
    seed: int = 0,
) -> ModeCounts:
    """Compare the counts of classes, assigned by a classifier trained on real samples (100 randomised trees).

    Without ``training`` it is trained on the real samples themselves, in five folds: a real sample is classified by
    the trees that were not trained on it, a generated one by those of a random fold.

    Arguments:
        generated, real: vectors or features; further axes are flattened.
        labels: class of each real sample, from 0.
        names: names of the classes.
        training: further real samples and their classes.
        groups, real_groups, seed: as in `compare_counts`.

    Raises:
        UsageError: if a class has no name or the shapes do not fit.
        DataError: if there is only one class or fewer than ten real samples.

    Example:
        >>> x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
        >>> labels = (x[:, 0] > 0).long()
        >>> class_counts(x[labels == 0], x, labels, ["left", "right"]).absent
        ('right',)
    """
    from sklearn.ensemble import ExtraTreesClassifier

    x, y = _finite(generated, real)
    label = as_tensor(labels).cpu().long().numpy()
    if label.shape != (len(y),):
        raise UsageError(f"labels of shape {label.shape} were given for {len(y)} real samples; give one for each")
    if len(np.unique(label)) < 2 or len(y) < 2 * FOLDS:
        raise DataError(f"{len(y)} samples of {len(np.unique(label))} classes were given; classes need ten and two")
    trees = ExtraTreesClassifier(TREES, random_state=seed)
    if training is not None:
        trees.fit(_finite(training[0], real)[0], as_tensor(training[1]).cpu().long().numpy())
        of_generated, of_real = trees.predict(x), trees.predict(y)
        return compare_counts(of_generated, of_real, names, groups=groups, real_groups=real_groups, seed=seed)
    rng = np.random.default_rng(seed)
    fold, turn = rng.permutation(len(y)) % FOLDS, rng.permutation(len(x)) % FOLDS
    of_real, of_generated = np.zeros(len(y), dtype=int), np.zeros(len(x), dtype=int)
    for number in range(FOLDS):
        trees.fit(y[fold != number], label[fold != number])
        of_real[fold == number] = trees.predict(y[fold == number])
        if (turn == number).any():
            of_generated[turn == number] = trees.predict(x[turn == number])
    return compare_counts(of_generated, of_real, names, groups=groups, real_groups=real_groups, seed=seed)


def cluster_counts(
    generated: Float[Array, "n *dim"],
    real: Float[Array, "m *dim"],
    training: Float[Array, "t *dim"] | None = None,
    *,
    clusters: int = 10,
    groups: Groups = None,
    real_groups: Groups = None,
    paired: bool = False,
    seed: int = 0,
) -> ModeCounts:
    """Compare the counts of clusters, found by k-means among standardised real samples.

    Arguments:
        generated, real: vectors or features; further axes are flattened.
        training: further real samples, in which the clusters are found. Without them, clusters are found in one half
            of ``real`` and counted in the other, since they fit the samples in which they were found too well.
        clusters: largest number of clusters; there are fewer if each would hold less than ten samples on average.
        groups, real_groups, paired, seed: as in `compare_counts`; pairs need ``training``.

    Raises:
        UsageError: if the shapes or the groups do not fit, or ``clusters`` is below two.
        DataError: if there are too few samples for two clusters.

    Example:
        >>> centres = 8 * torch.eye(5)
        >>> real = centres.repeat(100, 1) + torch.randn(500, 5, generator=torch.Generator().manual_seed(0))
        >>> found = cluster_counts(real[torch.arange(500) % 5 < 3], real, clusters=5)
        >>> f"covers {found.covered} of {len(found.names)}"
        'covers 3 of 5'
    """
    from sklearn.cluster import KMeans

    x, y = _finite(generated, real)
    if training is None:
        half = _half(len(y), real_groups, np.random.default_rng(seed))
        real_groups = None if real_groups is None else as_tensor(real_groups).cpu()[torch.from_numpy(~half)]
        source, y = y[half], y[~half]
    else:
        source = _finite(training, real)[0]
    count = min(clusters, min(len(x), len(y), len(source)) // PER_CLUSTER)
    if clusters < 2 or count < 2:
        raise (UsageError if clusters < 2 else DataError)(
            f"at least two clusters with ten samples each are needed; clusters={clusters}, and there are {len(source)} "
            f"samples to find them, {len(x)} generated and {len(y)} real samples to count"
        )
    centre, scatter = source.mean(0), source.std(0)
    varies = scatter > 1e-6 * np.abs(source).max(0)

    def standardised(part: np.ndarray) -> np.ndarray:
        # A rare outlier would be a cluster of its own.
        z: np.ndarray = ((part - centre) / np.where(varies, scatter, np.inf)).clip(-FARTHEST, FARTHEST)
        return z

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer distinct points than clusters leave some clusters empty
        means = KMeans(count, n_init=4, random_state=seed).fit(standardised(source))
    order = np.argsort(np.argsort(-np.bincount(means.labels_, minlength=count), kind="stable"))
    of_generated, of_real = (order[means.predict(standardised(part))] for part in (x, y))
    names = [f"cluster {number + 1}" for number in range(count)]
    paired = paired and training is not None
    return compare_counts(
        of_generated, of_real, names, groups=groups, real_groups=real_groups, paired=paired, seed=seed
    )


def _half(count: int, groups: Groups, rng: np.random.Generator) -> np.ndarray:
    """Mask of a random half of the samples; groups are taken whole."""
    member = np.arange(count) if groups is None else as_tensor(groups).cpu().numpy()
    _, unit = np.unique(member, return_inverse=True)
    units = unit.max() + 1
    return np.isin(unit, rng.permutation(units)[: units // 2])


def _finite(generated: Array, real: Array) -> tuple[np.ndarray, np.ndarray]:
    a, b = same_device(as_vectors(generated), as_vectors(real))
    if not bool(a.isfinite().all() and b.isfinite().all()):
        raise DataError("a sample holds a value that is not finite; classes and clusters need finite features")
    return a.cpu().double().numpy(), b.cpu().double().numpy()


def _chi_squared(of_generated: np.ndarray, total: np.ndarray) -> np.ndarray:
    """chi^2 of each table of generated counts, shape (tables, modes), given the counts of both sets together."""
    present = total > 0
    size = of_generated.sum(1, keepdims=True)
    expected = size * total[present] / total.sum()
    excess = of_generated[:, present] - expected
    # An excess in one set is a deficit in the other.
    other = (total.sum() - size) * total[present] / total.sum()
    return np.asarray((excess**2 * (1 / expected + 1 / other)).sum(1))


def _exceedance(values: np.ndarray) -> np.ndarray:
    """Fraction of all tables, the first included, with a smaller value than each table's."""
    ranks = stats.rankdata(np.round(values, 9), "min") - 1
    return np.asarray(ranks / len(values))


def _random_tables(
    a: np.ndarray, b: np.ndarray, counts: np.ndarray, groups: tuple[Groups, Groups], seed: int
) -> np.ndarray:
    """Counts of the generated set, shape (tables, modes), if its samples, or groups, are drawn from both sets."""
    rng = np.random.default_rng([seed, 3])
    if groups[0] is None and groups[1] is None:
        return rng.multivariate_hypergeometric(counts.sum(0), len(a), size=TABLES).astype(float)
    members = []
    for part, given in zip((a, b), groups, strict=True):
        names = np.arange(len(part)) if given is None else as_tensor(given).cpu().numpy()
        if names.shape != part.shape:
            raise UsageError(f"groups of shape {names.shape} were given for {len(part)} samples; give one for each")
        members.append(np.unique(names, return_inverse=True)[1])
    units = [member.max() + 1 for member in members]
    table = np.zeros((sum(units), counts.shape[1]))
    np.add.at(table, (members[0], a), 1)
    np.add.at(table, (units[0] + members[1], b), 1)
    dealt = np.argsort(rng.random((TABLES, sum(units))), axis=1)[:, : units[0]]
    chosen = np.zeros((TABLES, sum(units)))
    np.put_along_axis(chosen, dealt, 1.0, axis=1)
    return np.asarray(chosen @ table)


def _swapped_tables(a: np.ndarray, b: np.ndarray, counts: np.ndarray, groups: Groups, seed: int) -> np.ndarray:
    """Counts of the generated set, shape (tables, modes), if random pairs, or groups of pairs, are swapped."""
    names = np.arange(len(a)) if groups is None else as_tensor(groups).cpu().numpy()
    if names.shape != a.shape:
        raise UsageError(f"groups of shape {names.shape} were given for {len(a)} pairs; give one for each")
    unit = np.unique(names, return_inverse=True)[1]
    change = np.zeros((unit.max() + 1, counts.shape[1]))
    np.add.at(change, (unit, b), 1)
    np.add.at(change, (unit, a), -1)
    swapped = np.random.default_rng([seed, 3]).random((TABLES, len(change))) < 0.5
    return np.asarray(counts[0] + swapped @ change)
