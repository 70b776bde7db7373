r"""Statistics of particles that are invariant under rotations, reflections, shifts and exchanges of like particles.

All are functions of the distances :math:`r_{ij}`, in a periodic box those of the nearest images. With n pairs, the
radial distribution in a box of side L and d dimensions is the density of pairs relative to that of an ideal gas,

.. math:: g(r) = \frac{L^d}{n\, S_d\, r^{d-1}} \Big\langle \sum_{i<j} \delta(r - r_{ij}) \Big\rangle,

with :math:`S_d = 2, 2\pi, 4\pi` in one, two and three dimensions. In open space there is no such gas, and the density
of distances itself, which integrates to one, takes its place.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.statistics.arrays import Array, as_tensor, wide
from pushforward.tensors.samples import box_of

__all__ = [
    "RadialDistribution",
    "configuration_features",
    "pair_distances",
    "radial_distribution",
    "radius_of_gyration",
]


def pair_distances(
    x: Float[Array, "samples count dim"],
    box: float | None = None,
    species: Sequence[str] = (),
    between: tuple[str, str] | None = None,
) -> Float[Tensor, "samples pairs"]:
    """Distances of all pairs, or of those between two species; in the unit of ``x``.

    Arguments:
        x: positions.
        box: side of the periodic cube; None for open space. Distances are those of the nearest images.
        species: of the particles.
        between: the species of a pair's particles, in either order; None for all pairs.

    Raises:
        UsageError: if the shape is not that of particles, or there are no such pairs.

    Example:
        >>> pair_distances(torch.tensor([[[0.0, 0.0], [3.0, 4.0]]]))
        tensor([[5.]], dtype=torch.float64)
    """
    box = box_of(x, box)
    positions = _positions(x)
    first, second = torch.triu_indices(positions.shape[1], positions.shape[1], 1, device=positions.device)
    if between is not None:
        pairs = zip(first.tolist(), second.tolist(), strict=True)
        chosen = torch.tensor([sorted((species[i], species[j])) == sorted(between) for i, j in pairs])
        first, second = first[chosen], second[chosen]
    if len(first) == 0:
        what = "two particles" if between is None else f"pairs of {between[0]} and {between[1]}"
        raise UsageError(f"there are no distances without {what}; {positions.shape[1]} particles were given")
    apart = positions[:, first] - positions[:, second]
    if box is not None:
        apart = apart - box * (apart / box).round()
    return apart.square().sum(2).sqrt()


@dataclass(frozen=True)
class RadialDistribution:
    """Radial distribution of each sample.

    Attributes:
        r: middles of the bins, in the unit of the positions.
        g: in a box g(r), which is 1 without correlations; in open space the density of distances, per unit of length.
        edges: of the bins.
    """

    r: Float[Tensor, " bins"]
    g: Float[Tensor, "samples bins"]
    edges: Float[Tensor, " edges"]


def radial_distribution(
    x: Float[Array, "samples count dim"],
    box: float | None = None,
    bins: int = 50,
    farthest: float | None = None,
    species: Sequence[str] = (),
    between: tuple[str, str] | None = None,
) -> RadialDistribution:
    """g(r) of each sample.

    Arguments:
        x, box, species, between: see `pair_distances`.
        bins: equal ones, from 0 to ``farthest``.
        farthest: distance at which they end; None for half the box, beyond which nearest images are cut off by its
            corners, and in open space for the largest distance.

    Raises:
        UsageError: as `pair_distances`, or if the bins make no sense.

    Example:
        >>> gas = torch.rand(100, 50, 3, generator=torch.Generator().manual_seed(0))
        >>> bool((radial_distribution(gas, box=1.0, bins=5).g.mean(0) - 1).abs().max() < 0.05)
        True
    """
    box = box_of(x, box)
    distances = pair_distances(x, box, species, between)
    if farthest is None:
        farthest = float(distances.max()) if box is None else box / 2
    if bins < 1 or not farthest > 0:
        raise UsageError(
            f"a radial distribution needs at least one bin up to a positive distance; got {bins} to {farthest}"
        )
    edges = torch.linspace(0, farthest, bins + 1, dtype=distances.dtype, device=distances.device)
    place = (distances * (bins / farthest)).long()
    # The largest distance belongs to the last bin, what lies beyond to none.
    place = torch.where(distances == farthest, bins - 1, place).clamp(max=bins)
    counts = distances.new_zeros(len(distances), bins + 1).scatter_add_(1, place, torch.ones_like(distances))[:, :bins]
    dim = as_tensor(x).shape[2]
    volume = edges.diff() if box is None else _ball(dim) * edges.pow(dim).diff() / box**dim
    return RadialDistribution((edges[1:] + edges[:-1]) / 2, counts / (distances.shape[1] * volume), edges)


def radius_of_gyration(x: Float[Array, "samples count dim"]) -> Float[Tensor, " samples"]:
    """Root mean square distance of the particles from their centre, in open space; in the unit of ``x``."""
    positions = _positions(x)
    return (positions - positions.mean(1, keepdim=True)).square().sum(2).mean(1).sqrt()


def configuration_features(
    x: Float[Array, "samples count dim"], box: float | None = None, species: Sequence[str] = ()
) -> Float[Tensor, "samples pairs"]:
    """Invariant description of each sample: distances in ascending order, for each pair of species.

    Two samples that differ by a symmetry have the same features. The reverse holds but for exceptional configurations
    and for handedness: a configuration and its mirror image are not told apart.

    Arguments:
        x, box, species: see `pair_distances`.

    Example:
        >>> configuration_features(torch.tensor([[[0.0], [1.0], [4.0]]]))
        tensor([[1., 3., 4.]], dtype=torch.float64)
    """
    names = sorted(set(species))
    if len(names) < 2:
        return pair_distances(x, box).sort(1).values
    counts = Counter(species)
    found = [(a, b) for a, b in combinations_with_replacement(names, 2) if a != b or counts[a] > 1]
    return torch.cat([pair_distances(x, box, species, pair).sort(1).values for pair in found], 1)


def _ball(dim: int) -> float:
    """Volume of the ball of radius one."""
    return math.pi ** (dim / 2) / math.gamma(dim / 2 + 1)


def _positions(x: Array) -> Tensor:
    positions = wide(as_tensor(x))
    if positions.ndim != 3:
        raise UsageError(f"particles have shape (samples, count, dim); got {tuple(positions.shape)}")
    if positions.numel() == 0:
        raise DataError(f"particles of shape {tuple(positions.shape)} hold no values; give at least one sample")
    return positions
