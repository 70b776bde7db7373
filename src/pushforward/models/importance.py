r"""Importance sampling of a posterior known up to a constant.

Codes are drawn from a mixture q of Student's t distributions, with weights :math:`w = p(x, z) / q(z)`, and resampled in
proportion to their weights. The tails of t keep the weights bounded if the posterior has wider tails than the Gaussian
of its curvature.

Sources: Geweke 1989 (Econometrica 57, 1317) for proposals from peaks and curvatures; Kish 1965 for the effective number
:math:`(\sum w)^2 / \sum w^2`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.randomness import Draws

__all__ = ["LogJoint", "Mixture", "posterior_draws", "resampled"]

DEGREES = 8
"""Degrees of freedom of the t distributions."""

LogJoint = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Mixture:
    """A mixture of multivariate t distributions per series.

    Attributes:
        centre: of each component, shape (parts, batch, dim).
        precision: lower Cholesky factors L of the inverse L L^T of the scale matrix, shape (parts, batch, dim, dim).
        log_share: log-weights of the components, not necessarily normalised, shape (parts, batch).
    """

    centre: Float[Tensor, "parts batch dim"]
    precision: Float[Tensor, "parts batch dim dim"]
    log_share: Float[Tensor, "parts batch"]

    def draw(self, draws: Draws, count: int) -> Float[Tensor, "count batch dim"]:
        dim = self.centre.shape[-1]
        cumulative = torch.softmax(self.log_share, 0).cumsum(0)
        points = draws.uniform(count).T
        part = (points[:, None] > cumulative).sum(1).clamp_max(len(self.centre) - 1)
        batch = torch.arange(part.shape[1], device=part.device)
        noise = draws.normal(count, dim + DEGREES).movedim(1, 0)
        noise, spread = noise.split([dim, DEGREES], -1)
        noise = noise * (spread.square().mean(-1, keepdim=True)).rsqrt()
        factor = self.precision[part, batch].mT
        return self.centre[part, batch] + torch.linalg.solve_triangular(factor, noise[..., None], upper=True)[..., 0]

    def log_prob(self, z: Float[Tensor, "count batch dim"]) -> Float[Tensor, "count batch"]:
        """Log-density in nats."""
        dim = z.shape[-1]
        constant = math.lgamma(0.5 * (DEGREES + dim)) - math.lgamma(0.5 * DEGREES)
        constant -= 0.5 * dim * math.log(DEGREES * math.pi)
        standard = torch.einsum("pbij,pcbi->pcbj", self.precision, z - self.centre[:, None])
        log_volume = self.precision.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        part = log_volume[:, None] - 0.5 * (DEGREES + dim) * torch.log1p(standard.square().sum(-1) / DEGREES)
        return constant + torch.logsumexp(part + torch.log_softmax(self.log_share, 0)[:, None], 0)


@torch.no_grad()
def posterior_draws(
    log_joint: LogJoint, proposal: Mixture, draws: Draws, count: int, *, proposed: int
) -> tuple[Float[Tensor, "count batch dim"], Float[Tensor, " batch"]]:
    """Equally weighted draws, and the effective number of proposals.

    Arguments:
        log_joint: log of prior times likelihood of codes (proposed, batch, dim); shape (proposed, batch).
        proposal: distribution of the proposed codes.
        count: number of draws.
        proposed: number of proposed codes.
    """
    z = proposal.draw(draws, proposed)
    log_weight = log_joint(z) - proposal.log_prob(z)
    weight = torch.softmax(torch.where(torch.isfinite(log_weight), log_weight, -math.inf), 0)
    return resampled(z, weight, draws, count), 1 / weight.square().sum(0)


def resampled(
    z: Float[Tensor, "proposed batch dim"], weight: Float[Tensor, "proposed batch"], draws: Draws, count: int
) -> Float[Tensor, "count batch dim"]:
    """Systematic resampling: each code occurs as often as expected from its weight, rounded up or down.

    Arguments:
        weight: probabilities of the codes of each series, with sum 1.
    """
    proposed, batch, dim = z.shape
    points = (torch.arange(count, device=z.device)[:, None] + draws.uniform()[None]) / count
    index = torch.searchsorted(weight.cumsum(0).T.contiguous(), points.T.contiguous()).clamp_max(proposed - 1)
    return z.gather(0, index.T[..., None].expand(count, batch, dim))
