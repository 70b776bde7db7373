"""Coverage of clusters of the data by a generator during training, which shows a loss of modes as it happens.

Up to ten centres, found by k-means in the first batch, follow the data as means of their nearest samples. The fractions
of real and of generated samples per cluster are running means over about the last thousand samples. Clusters with less
than a fiftieth of the data are ignored; a cluster is covered if its fraction of the generated samples is at least a
tenth of its fraction of the real ones.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.tensors.processes import joined_rows

__all__ = ["CLUSTERS", "ClusterCoverage"]

CLUSTERS = 10
_MEMORY, _LEAST, _SMALLEST, _ROUNDS = 1024, 0.1, 0.02, 10


class ClusterCoverage(nn.Module):
    """Centres and fractions as part of a model: saved and resumed with the weights, equal in every process.

    Arguments:
        size: numbers per sample.
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
        """Initialise the centres at clusters of these samples by k-means from distant starting points."""
        rows = x.flatten(1)
        centres = rows[:1]
        while len(centres) < min(CLUSTERS, len(rows)):
            centres = torch.cat([centres, rows[torch.cdist(rows, centres).min(1).values.argmax()][None]])
        for _ in range(_ROUNDS):
            near = _nearest(rows, centres)
            counts = near.sum(0)[:, None]
            centres = torch.where(counts > 0, near.T @ rows / counts.clamp_min(1), centres)
        self.centres[: len(centres)] = centres
        self.seen[: len(centres)] = 1.0

    @torch.no_grad()
    def forward(
        self, real: Float[Tensor, "batch *shape"], fake: Float[Tensor, "batch *shape"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Number of covered clusters, and number of clusters, including this batch."""
        rows, samples = (joined_rows(x.detach().flatten(1).to(self.centres)) for x in (real, fake))
        near = _nearest(rows, self._places())
        counts = near.sum(0)
        self.seen += counts
        # Running mean of all samples that were nearest.
        self.centres += (near.T @ rows - counts[:, None] * self.centres) / self.seen.clamp_min(1)[:, None]
        latest = torch.stack([counts / len(rows), _nearest(samples, self._places()).mean(0)])
        kept = torch.where(self.shares.any(), max(0.0, 1 - len(rows) / _MEMORY), 0.0)
        self.shares.lerp_(latest, 1 - kept)
        held = self.shares[0] >= _SMALLEST
        covered = held & (self.shares[1] >= _LEAST * self.shares[0])
        return covered.sum().float(), held.sum().float()

    def _places(self) -> Tensor:
        """The centres; unset ones are out of reach of any sample."""
        return torch.where(self.seen[:, None] > 0, self.centres, 1e6)


def _nearest(rows: Tensor, centres: Tensor) -> Float[Tensor, "batch clusters"]:
    """One in the column of the nearest centre, zero elsewhere."""
    return nn.functional.one_hot(torch.cdist(rows, centres).argmin(1), len(centres)).to(rows)
