r"""Memorisation: distances of generated samples to the training set compared with those of unseen real samples.

    d(z) = min_t |z - t| over the training set,        closer = < d(generated) < q-quantile of d(test) >.

A model that learned the distribution has ``closer`` = q within its standard error; one that repeats its training set
has ``closer`` near 1 (after Meehan et al. 2020, https://arxiv.org/abs/2004.05675). Where test samples lie exactly at
the quantile (at 0, if the data repeat themselves), a generated sample at that distance counts as closer by the share
of them that would bring the test set's own fraction to q. `memorisation` tests for an excess of copies.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import Array, as_vectors
from pushforward.statistics.pairwise import distance_blocks, pair_of_sets

__all__ = ["NearestNeighbours", "nearest", "nearest_neighbours"]


@dataclass(frozen=True)
class NearestNeighbours:
    """Nearest training sample of every generated and every test sample.

    Attributes:
        distance: of each generated sample to its nearest training sample.
        index: which training sample that is; sort by ``distance`` for the most suspicious pairs.
        test_distance, test_index: the same for real samples that were not trained on.
        threshold: the q-quantile of ``test_distance``.
        closer: fraction of the generated samples below the threshold; q when nothing was memorised.
        error: standard error of ``closer`` when nothing was memorised, from both finite numbers of samples.
        ratio: median of ``distance`` over the median of ``test_distance``; below 1 when samples are too
            close; 1 where half of the test samples equal a training sample.
    """

    distance: Float[Tensor, " n"]
    index: Int[Tensor, " n"]
    test_distance: Float[Tensor, " m"]
    test_index: Int[Tensor, " m"]
    threshold: Float[Tensor, ""]
    closer: Float[Tensor, ""]
    error: Float[Tensor, ""]
    ratio: Float[Tensor, ""]


def nearest_neighbours(
    generated: Float[Array, "n *dim"],
    training: Float[Array, "t *dim"],
    test: Float[Array, "m *dim"],
    quantile: float = 0.05,
) -> NearestNeighbours:
    """Distances of generated and of test samples to the training set.

    Arguments:
        generated, training, test: samples or features of them (see `low_pass`), ``(count, dim)``; further axes are
            flattened. Distances are Euclidean.
        quantile: q, in (0, 1).

    Raises:
        UsageError, DataError: if the shapes do not fit, a set is empty, or q is out of range.

    Example:
        >>> training, test = torch.randn(1000, 2), torch.randn(1000, 2)
        >>> bool(nearest_neighbours(training[:100] + 1e-6, training, test).closer > 0.9)
        True
    """
    if not 0 < quantile < 1:
        raise UsageError(f"quantile={quantile} was given; it must lie between 0 and 1")
    reference = as_vectors(training)
    distance, index = nearest(generated, reference)
    test_distance, test_index = nearest(test, reference)
    test_distance, test_index = test_distance.to(distance.device), test_index.to(index.device)
    threshold = test_distance.quantile(quantile)
    ratio = distance.median() / test_distance.median() if bool(test_distance.median() > 0) else distance.new_ones(())
    closer = _share_below(distance, test_distance, threshold, quantile)
    variance = quantile * (1 - quantile) * (1 / len(distance) + 1 / len(test_distance))
    return NearestNeighbours(
        distance,
        index,
        test_distance,
        test_index,
        threshold,
        closer,
        torch.as_tensor(variance**0.5).to(distance),
        ratio,
    )


def _share_below(distance: Tensor, test: Tensor, threshold: Tensor, quantile: float) -> Float[Tensor, ""]:
    """Share of ``distance`` below the threshold, ties counted so that ``test`` itself has ``quantile``."""

    def below_and_at(values: Tensor) -> tuple[Tensor, Tensor]:
        return (values < threshold).to(values.dtype).mean(), (values == threshold).to(values.dtype).mean()

    below, at = below_and_at(distance)
    test_below, test_at = below_and_at(test)
    return below if bool(test_at == 0) else below + at * ((quantile - test_below) / test_at).clamp(0, 1)


def nearest(samples: Array, training: Tensor) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"]]:
    """Distance of each sample to its nearest training member, and the index of that member."""
    x, y = pair_of_sets(samples, training)
    distance, index = x.new_empty(len(x)), torch.empty(len(x), dtype=torch.long, device=x.device)
    for rows, square in distance_blocks(x, y, squared=True):
        distance[rows], index[rows] = square.min(1)
    # The matrix product rounds at 10^-16 of the squared norm: the smallest distances are recomputed exactly.
    return torch.cat([(x[some] - y[index[some]]).norm(dim=1) for some in torch.arange(len(x)).split(1024)]), index
