r"""Calibration of posteriors, and of any conditional distribution that can be sampled.

Of a member with parameters :math:`\theta_i` and data :math:`x_i`, let L posterior samples be drawn at :math:`x_i`. If
the posterior is right, :math:`\theta_i` and the samples are L + 1 draws of one distribution. So the rank of
:math:`f(\theta_i)` among the :math:`f` of the samples is uniform over 0 ... L, whatever the function:

- a single parameter (simulation-based calibration; Talts et al. 2018, https://arxiv.org/abs/1804.06788). Ranks that
  pile up on one side tell a bias, ranks at both ends a posterior that is too narrow;
- the sum and the difference of two standardised parameters, which tell a wrong correlation;
- the distance from a point that does not depend on :math:`\theta_i`. The share of members whose rank lies below
  :math:`\alpha (L + 1)` is the coverage of regions of credibility :math:`\alpha` around such points (TARP; Lemos et al.
  2023, https://arxiv.org/abs/2302.03026).

The null distribution of any statistic of the ranks is exact: exchange :math:`\theta_i` with one of its samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.statistics.arrays import Array, as_tensor

__all__ = ["PosteriorCalibration", "Uniformity", "posterior_calibration"]

NULL_DRAWS = 400
"""Number of exchanges that sample the null distribution."""
POINTS = 8
"""Number of points that distances are measured from."""
MOST_PAIRED = 12
"""Largest number of parameters whose pairs are tested."""


@dataclass(frozen=True)
class Uniformity:
    """Moments of ranks in K directions, with B draws of their null distribution.

    Attributes:
        ranks: of the true values among L samples, 0 to L, shape ``(n, K)``.
        bias: mean of rank / L - 1/2, shape ``(K,)``: positive where samples lie too low.
        spread: mean of 12 (rank / L - 1/2)^2 L / (L + 2), shape ``(K,)``: 1 if right, above 1 where samples are
            too narrow.
        bias_null, spread_null: the same for posteriors that are right, shape ``(B, K)``.
    """

    ranks: Int[Tensor, "n K"]
    bias: Float[Tensor, " K"]
    spread: Float[Tensor, " K"]
    bias_null: Float[Tensor, "B K"]
    spread_null: Float[Tensor, "B K"]


@dataclass(frozen=True)
class PosteriorCalibration:
    """Calibration of posteriors of P parameters, by n members with L samples each.

    Attributes:
        single: ranks of single parameters.
        paired: ranks of sums and differences of pairs of standardised parameters, in the order of ``pairs``.
        pairs: numbers of the two parameters; each pair comes twice, first for its sum.
        credibility: 1 / (L + 1) ... L / (L + 1), shape ``(L,)``.
        coverage: share of members within the regions of that credibility around random points, ``(L,)``.
        coverage_null: the same for posteriors that are right, ``(B, L)``.
    """

    single: Uniformity
    paired: Uniformity
    pairs: tuple[tuple[int, int], ...]
    credibility: Float[Tensor, " L"]
    coverage: Float[Tensor, " L"]
    coverage_null: Float[Tensor, "B L"]


def posterior_calibration(
    samples: Float[Array, "n L P"], truth: Float[Array, "n P"], *, seed: int = 0
) -> PosteriorCalibration:
    """Ranks of true parameters among posterior samples, and the coverage of regions around random points.

    Arguments:
        samples: L posterior samples for each member.
        truth: parameters of the members.
        seed: of the random points, of the order among equal values, and of the exchanges.

    Raises:
        UsageError: if the shapes do not fit.
        DataError: for fewer than two members or samples, or values that are not finite.

    Example:
        >>> draws = torch.randn(200, 100, 2, generator=torch.Generator().manual_seed(0))
        >>> right, narrow = (posterior_calibration(a * draws[:, 1:], draws[:, 0]).single for a in (1.0, 0.7))
        >>> bool(right.spread.max() < 1.2), bool(narrow.spread.min() > 1.3)
        (True, True)
    """
    drawn, true = as_tensor(samples).double().cpu(), as_tensor(truth).double().cpu()
    if drawn.dim() != 3 or true.shape != (drawn.shape[0], drawn.shape[2]):
        raise UsageError(
            f"posterior samples of shape {tuple(drawn.shape)} do not fit parameters of shape {tuple(true.shape)}; "
            "expected (n, L, P) and (n, P)"
        )
    n, count, parameters = drawn.shape
    if n < 2 or count < 2 or not (drawn.isfinite().all() and true.isfinite().all()):
        raise DataError("calibration needs at least two members, two samples of each, and finite values")
    generator = torch.Generator().manual_seed(seed)
    pool = torch.cat([true[:, None], drawn], 1)
    # Of true values and samples alike, so that exchanging them changes nothing.
    residual = (pool - pool.mean(1, keepdim=True)).square().mean((0, 1)).sqrt()
    scaled = pool / torch.where(residual > 0, residual, 1.0)
    paired = min(parameters, MOST_PAIRED)
    pairs = tuple((i, j) for i in range(paired) for j in range(i + 1, paired) for _ in range(2))
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(len(pairs) // 2)
    first, second = (torch.tensor([pair[k] for pair in pairs], dtype=torch.long) for k in (0, 1))
    combined = scaled[..., first] + signs * scaled[..., second]
    ranks = _ranks(torch.cat([pool, combined, _distances(scaled, generator)], 2), generator)
    exchanged = torch.randint(0, count + 1, (NULL_DRAWS, n), generator=generator)
    null = ranks[torch.arange(n), exchanged]
    last = parameters + len(pairs)
    return PosteriorCalibration(
        single=_uniformity(ranks[:, 0, :parameters], null[..., :parameters], count),
        paired=_uniformity(ranks[:, 0, parameters:last], null[..., parameters:last], count),
        pairs=pairs,
        credibility=torch.arange(1, count + 1, dtype=torch.float64) / (count + 1),
        coverage=_coverage(ranks[None, :, 0, last:], count)[0],
        coverage_null=_coverage(null[..., last:], count),
    )


def _distances(scaled: Float[Tensor, "n m P"], generator: torch.Generator) -> Float[Tensor, "n m points"]:
    """Squared distances from points that are true parameters of other members."""
    n = len(scaled)
    others = (torch.arange(n)[:, None] + torch.randint(1, n, (n, POINTS), generator=generator)) % n
    return torch.stack([(scaled - scaled[rows, :1]).square().sum(2) for rows in others.T], -1)


def _ranks(values: Float[Tensor, "n m k"], generator: torch.Generator) -> Int[Tensor, "n m k"]:
    """Ranks along the second axis, 0 to m - 1; equal values come in random order."""
    shuffle = torch.rand(values.shape, generator=generator).argsort(1)
    order = values.gather(1, shuffle).argsort(dim=1, stable=True)
    ranks = torch.empty_like(shuffle)
    places = torch.arange(values.shape[1])[None, :, None].expand_as(ranks).contiguous()
    return ranks.scatter_(1, shuffle.gather(1, order), places)


def _uniformity(ranks: Int[Tensor, "n K"], null: Int[Tensor, "B n K"], count: int) -> Uniformity:
    def moments(ranks: Tensor) -> tuple[Tensor, Tensor]:
        place = ranks.double() / count - 0.5
        return place.mean(-2), 12 * count / (count + 2) * place.square().mean(-2)

    return Uniformity(ranks, *moments(ranks), *moments(null))


def _coverage(ranks: Int[Tensor, "B n points"], count: int) -> Float[Tensor, "B L"]:
    """Share of ranks below 1 ... L, over members and points."""
    flat = ranks.flatten(1)
    counts = torch.zeros(len(flat), count + 1, dtype=torch.float64)
    counts.scatter_add_(1, flat, torch.ones_like(flat, dtype=torch.float64))
    return counts.cumsum(1)[:, :-1] / flat.shape[1]
