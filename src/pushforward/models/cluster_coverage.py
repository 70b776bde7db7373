"""Clusters of the data that a generator's samples reach, counted while it is trained: the loss of modes as it happens.

Up to ten centres, put far apart among the first batch, follow the data as means of the samples nearest to them. Shares
of real and of generated samples in each cluster are running means over the last thousand samples or so. A cluster is
covered if it has at least a tenth of the generated samples that it has of real ones.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.tensors.processes import joined_rows

__all__ = ["CLUSTERS", "ClusterCoverage"]

CLUSTERS = 10
_MEMORY, _LEAST = 1024, 0.1


class ClusterCoverage(nn.Module):
    """The centres and the shares, as a part of a model: saved and resumed with the weights, alike in every process.

    Arguments:
        size: numbers in a sample.
    """

    centres: Tensor
    seen: Tensor
    shares: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.zeros(CLUSTERS, size))
        self.register_buffer("seen", torch.zeros(CLUSTERS))
        self.register_buffer("shares", torch.zeros(2, CLUSTERS))

    @torch.no_grad()
    def initialise(self, x: Float[Tensor, "batch *shape"]) -> None:
        """Put the centres far apart among these samples: each at the one farthest from those before."""
        rows = x.flatten(1)
        chosen = rows[:1]
        while len(chosen) < min(CLUSTERS, len(rows)):
            chosen = torch.cat([chosen, rows[torch.cdist(rows, chosen).min(1).values.argmax()][None]])
        self.centres[: len(chosen)] = chosen
        self.seen[: len(chosen)] = 1.0

    @torch.no_grad()
    def forward(self, real: Float[Tensor, "batch *shape"], fake: Float[Tensor, "batch *shape"]) -> Float[Tensor, ""]:
        """The part of the clusters that is covered, with this batch taken into account."""
        rows, samples = (joined_rows(x.detach().flatten(1).to(self.centres)) for x in (real, fake))
        near = nn.functional.one_hot(torch.cdist(rows, self._places()).argmin(1), CLUSTERS).to(rows)
        counts = near.sum(0)
        self.seen += counts
        # The mean of all samples that have been nearest, one batch after another.
        self.centres += (near.T @ rows - counts[:, None] * self.centres) / self.seen.clamp_min(1)[:, None]
        other = nn.functional.one_hot(torch.cdist(samples, self._places()).argmin(1), CLUSTERS).to(rows)
        kept = max(0.0, 1 - len(rows) / _MEMORY)
        self.shares.mul_(kept).add_(torch.stack([counts / len(rows), other.mean(0)]), alpha=1 - kept)
        held = self.shares[0] > 0
        return (held & (self.shares[1] >= _LEAST * self.shares[0])).sum() / held.sum().clamp_min(1)

    def _places(self) -> Tensor:
        """The centres; those that were never set lie where no sample comes."""
        return torch.where(self.seen[:, None] > 0, self.centres, 1e6)
