"""Replay buffer: earlier samples are shown to a critic along with the latest ones, so that it does not forget them.

Each sample of a batch is shown itself with probability 1/2; otherwise it is exchanged with one from the pool, and the
older one is shown. Until the pool is full, samples are added to it and shown themselves.

Source: Shrivastava et al. 2017, https://arxiv.org/abs/1612.07828, section 2.3.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.randomness import Draws
from pushforward.tensors.processes import joined_rows

__all__ = ["ReplayBuffer"]


class ReplayBuffer(nn.Module):
    """The pool as part of a model: saved and resumed with the weights.

    Every process of a run holds the whole pool and processes the whole batch, so that a run with several processes
    shows its critic the same samples as one process would.

    Arguments:
        size: number of samples in the pool.
        shape: of a sample.
    """

    pool: Tensor
    filled: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("pool", torch.zeros(size, *shape))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "batch *shape"], draws: Draws) -> Float[Tensor, "batch *shape"]:
        """Samples to show in place of ``x``, without gradients.

        Arguments:
            x: the latest samples, of this process.
            draws: of the batch.
        """
        size, first = len(self.pool), int(draws.first)
        latest, chance = joined_rows(x.detach()).to(self.pool), joined_rows(draws.uniform(2))
        rows = torch.arange(len(latest), device=latest.device)
        fresh = self.filled + rows
        # consecutive places from a random start: no two samples of a batch take the same place
        places = ((chance[0, 1] * size).long() + rows) % size
        places = torch.where(fresh < size, fresh, places)
        exchanged = (fresh >= size) & (chance[:, 0] < 0.5) & (rows < size)
        kept = (fresh < size) | exchanged
        shown = torch.where(exchanged.view(-1, *[1] * (latest.dim() - 1)), self.pool[places], latest)
        self.pool[places[kept]] = latest[kept]
        self.filled.add_(len(latest)).clamp_(max=size)
        return shown[first : first + len(x)].to(x)
