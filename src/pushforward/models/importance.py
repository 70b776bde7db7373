r"""Draws from a posterior that is known up to a constant, by importance sampling whose proposals are improved.

A Gaussian :math:`q` proposes codes, each is given the weight :math:`w = p(x, z) / q(z)`, and the next Gaussian has the
mean and the covariance of the weighted codes. While few codes carry all the weight, the weights are flattened,
:math:`w^\alpha` with the largest :math:`\alpha \le 1` at which an agreed part of the codes counts.

Sources: Cappé et al. 2004 (J. Comput. Graph. Stat. 13, 907) for adaptive importance sampling; Kish 1965 for the
effective number :math:`(\sum w)^2 / \sum w^2`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.randomness import Draws

__all__ = ["posterior_draws"]

EFFECTIVE = 0.25
"""Part of the proposals that is to count when the next Gaussian is fitted to them."""
HALVINGS = 20
WIDER = 1.1
"""Proposals scatter more than what they are fitted to, so that tails are not missed."""

LogJoint = Callable[[Tensor], Tensor]


@torch.no_grad()
def posterior_draws(
    log_joint: LogJoint,
    mean: Float[Tensor, "batch dim"],
    scale: Float[Tensor, "batch dim"],
    draws: Draws,
    count: int,
    *,
    rounds: int = 3,
) -> tuple[Float[Tensor, "count batch dim"], Float[Tensor, " batch"]]:
    """Equally weighted draws, and the effective number of the proposals that they were taken from.

    Arguments:
        log_joint: log of prior times likelihood of codes (count, batch, dim); shape (count, batch).
        mean, scale: of the first Gaussian.
        count: of draws; as many are proposed in each round.
        rounds: Gaussians that are tried; 0 draws from the first one, and weights nothing.
    """
    factor = torch.diag_embed(scale)
    if rounds == 0:
        z = mean + _normal(draws, count, mean.shape[1]) * scale
        return z, torch.full_like(mean[:, 0], count)
    for number in range(rounds):
        noise = WIDER * _normal(draws, count, mean.shape[1])
        z = mean + torch.einsum("bij,kbj->kbi", factor, noise)
        log_q = -0.5 * (noise / WIDER).square().sum(-1) - factor.diagonal(dim1=1, dim2=2).log().sum(-1)
        log_weight = log_joint(z) - log_q
        log_weight = torch.where(torch.isfinite(log_weight), log_weight, -math.inf)
        if number + 1 < rounds:
            weight = _flattened(log_weight, EFFECTIVE * count)
            mean = (weight[..., None] * z).sum(0)
            centred = z - mean
            covariance = torch.einsum("kb,kbi,kbj->bij", weight, centred, centred)
            factor = _factor(covariance, scale)
    weight = torch.softmax(log_weight, 0)
    return _resampled(z, weight, draws), 1 / weight.square().sum(0)


def _normal(draws: Draws, count: int, dim: int) -> Tensor:
    """Standard normal numbers, shape (count, batch, dim)."""
    return draws.normal(count, dim).movedim(1, 0)


def _flattened(log_weight: Tensor, effective: float) -> Tensor:
    """Normalised weights, raised to the largest power up to 1 at which the effective number is as large as asked."""
    low, high = torch.zeros_like(log_weight[0]), torch.ones_like(log_weight[0])

    def enough(power: Tensor) -> Tensor:
        return 1 / torch.softmax(power * log_weight, 0).square().sum(0) >= effective

    whole = enough(high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        good = enough(middle)
        low, high = torch.where(good, middle, low), torch.where(good, high, middle)
    return torch.softmax(torch.where(whole, 1.0, low) * log_weight, 0)


def _factor(covariance: Tensor, scale: Tensor) -> Tensor:
    """Cholesky factor of a covariance from few draws, kept away from singular."""
    least = 1e-4 * scale.square() + 1e-8
    shrunk = covariance + torch.diag_embed(0.05 * covariance.diagonal(dim1=1, dim2=2) + least)
    return torch.linalg.cholesky(shrunk)


def _resampled(z: Tensor, weight: Tensor, draws: Draws) -> Tensor:
    """Systematic resampling: each code as often as its weight says, up to one."""
    count, batch, dim = z.shape
    points = (torch.arange(count, device=z.device)[:, None] + draws.uniform()[None]) / count
    cumulative = weight.cumsum(0)
    index = torch.searchsorted(cumulative.T.contiguous(), points.T.contiguous()).clamp_max(count - 1)
    return z.gather(0, index.T[..., None].expand(count, batch, dim))
