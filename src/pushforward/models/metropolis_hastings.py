r"""Correction of a generator's samples by its critic: an independent Metropolis-Hastings chain.

With q the generator's density and p that of the data, the logit of a calibrated classifier of real against generated
samples is l(x) = log p(x) / q(x) + const. A chain that proposes draws x' of q and accepts each with the probability

    min(1, exp(l(x') - l(x)))

converges to p within the support of q: samples between modes are dropped, and the weights of the modes are corrected.
The logit is l = a f + b with the critic's score f and the slope a of a logistic regression of stored training members
against draws of the generator; b cancels. A critic trained by cross-entropy has a slope near one, unless a penalty
restricts it.

Source: Turner et al. 2019, "Metropolis-Hastings generative adversarial networks", https://arxiv.org/abs/1811.11357,
algorithm 1; calibration by Platt 1999.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition
from pushforward.randomness import Draws
from pushforward.tensors.processes import joined_rows

__all__ = ["CalibrationMembers", "chain", "logistic_slope"]


class CalibrationMembers(nn.Module):
    """The first members seen in training, with their conditions: saved with the weights, equal in every process.

    Arguments:
        count: number of members to keep.
        shape: of a member.
        numbers: count of numbers of its condition.
    """

    members: Tensor
    numbers: Tensor
    filled: Tensor

    def __init__(self, count: int, shape: tuple[int, ...], numbers: int) -> None:
        super().__init__()
        self.register_buffer("members", torch.zeros(count, *shape))
        self.register_buffer("numbers", torch.zeros(count, numbers))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))
        self._full = False

    @torch.no_grad()
    def keep(self, x: Float[Tensor, "batch *shape"], condition: Condition | None) -> None:
        """Store members of a batch until the store is full."""
        if self._full:
            return
        first = int(self.filled)
        rows = joined_rows(x)[: len(self.members) - first]
        self.members[first : first + len(rows)] = rows
        if condition is not None and condition.numbers is not None:
            self.numbers[first : first + len(rows)] = joined_rows(condition.numbers)[: len(rows)]
        self.filled += len(rows)
        self._full = int(self.filled) == len(self.members)

    def rows(self) -> tuple[Float[Tensor, "kept *shape"], Condition | None]:
        """Members and their conditions."""
        count = int(self.filled)
        return self.members[:count], Condition(self.numbers[:count]) if self.numbers.shape[1] else None


def logistic_slope(real: Float[Tensor, " n"], fake: Float[Tensor, " m"], steps: int = 50) -> float:
    """Slope a >= 0 of the logistic regression a f + b of real against generated scores.

    A weak prior (Platt's: one real and one generated sample at either end) keeps it finite for perfectly
    separable scores.
    """
    f = torch.cat([real, fake]).double()
    centre, scale = f.mean(), f.std().clamp_min(1e-12)
    f = (f - centre) / scale
    # Platt's targets: not quite 1 and 0.
    high, low = (len(real) + 1) / (len(real) + 2), 1 / (len(fake) + 2)
    target = torch.cat([torch.full_like(real, high), torch.full_like(fake, low)]).double()
    features, weights = torch.stack([f, torch.ones_like(f)], 1), torch.zeros(2, dtype=f.dtype, device=f.device)
    for _ in range(steps):
        p = torch.sigmoid(features @ weights)
        curvature = features.T @ (features * (p * (1 - p) + 1e-9)[:, None])
        # Newton's step, no longer than one unit of the logit at a score one deviation from the mean.
        move = torch.linalg.solve(curvature, features.T @ (target - p))
        weights = weights + move / max(1.0, float(move.norm()))
    return max(0.0, float(weights[0] / scale))


def chain(
    propose: Callable[[], Float[Tensor, "batch *shape"]],
    logit: Callable[[Tensor], Float[Tensor, " batch"]],
    draws: Draws,
    proposals: int,
) -> tuple[Float[Tensor, "batch *shape"], float]:
    """Final states of a batch of chains, and the fraction of accepted proposals.

    Arguments:
        propose: gives independent draws, one per chain; the first are the initial states.
        logit: log-ratio of the target density to that of the draws, up to a constant.
        draws: source of randomness for the acceptances.
        proposals: number of proposals after the first draw.
    """
    x = propose()
    level, accepted = logit(x), 0.0
    for _ in range(proposals):
        other = propose()
        raised = logit(other)
        taken = draws.uniform().log() < raised - level
        x = torch.where(taken.view(-1, *[1] * (x.dim() - 1)), other, x)
        level = torch.where(taken, raised, level)
        accepted += float(taken.float().mean()) / proposals
    return x, accepted
