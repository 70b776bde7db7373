"""Embeddings of time, noise level, physical parameters and labels as vectors."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.networks.linear import Linear

__all__ = ["ConditionEmbedding", "Context", "TimeEmbedding"]


class TimeEmbedding(nn.Module):
    r"""Embedding of time: waves of many periods, mixed by a small perceptron.

    .. math:: t \mapsto \mathrm{MLP}\big(\cos \omega_i t, \sin \omega_i t\big),
              \qquad \omega_i \text{ geometric from } \omega_\min \text{ to } \omega_\max

    The waves are computed in the precision of ``t`` even if the network runs in bfloat16, whose 8 bits cannot resolve
    a phase.

    Arguments:
        dim: length of the embedding; even.
        slowest, fastest: angular frequencies, in radians per unit of ``t``. The defaults suit ``t`` in about [0, 1]:
            the slowest wave distinguishes the ends, the fastest one resolves steps of 1/1000.

    Raises:
        UsageError: if ``dim`` is odd.

    References:
        Vaswani et al. 2017, section 3.5, https://arxiv.org/abs/1706.03762

    >>> TimeEmbedding(16)(torch.rand(3)).shape
    torch.Size([3, 16])
    """

    def __init__(self, dim: int, *, slowest: float = 1.0, fastest: float = 200.0) -> None:
        super().__init__()
        if dim < 2 or dim % 2:
            raise UsageError(f"the length of a time embedding must be even and at least 2, not {dim}")
        self.dim = dim
        self.slowest = slowest
        self.fastest = fastest
        self.mix = nn.Sequential(Linear(dim, dim), nn.SiLU(), Linear(dim, dim))

    def forward(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch dim"]:
        low, high = math.log10(self.slowest), math.log10(self.fastest)
        frequencies = torch.logspace(low, high, self.dim // 2, dtype=t.dtype, device=t.device)
        phases = t[:, None] * frequencies
        waves = torch.cat([phases.cos(), phases.sin()], dim=1)
        return self.mix(waves.to(_dtype(self.mix)))


class ConditionEmbedding(nn.Module):
    """Embedding of a condition's numbers by a small perceptron, with a learnt vector for an unknown condition.

    A row of NaN, or no condition at all, means unknown: training with some such rows gives one network of both the
    conditional and the unconditional distribution, as classifier-free guidance requires.

    Arguments:
        numbers: count of numbers, in network units; at least 1.
        dim: length of the embedding.

    Raises:
        UsageError: if ``numbers`` is less than 1; when called, if a row has the wrong length.

    References:
        Ho and Salimans 2022, https://arxiv.org/abs/2207.12598

    >>> embed = ConditionEmbedding(2, 16)
    >>> embed(torch.tensor([[0.3, 0.8], [float("nan"), float("nan")]])).shape
    torch.Size([2, 16])
    """

    def __init__(self, numbers: int, dim: int) -> None:
        super().__init__()
        if numbers < 1:
            raise UsageError(f"a condition must have at least one number, not {numbers}")
        self.numbers = numbers
        self.mix = nn.Sequential(Linear(numbers, dim), nn.SiLU(), Linear(dim, dim))
        self.untold = nn.Parameter(torch.zeros(dim))

    def forward(
        self, numbers: Float[Tensor, "batch numbers"] | None, batch: int | None = None
    ) -> Float[Tensor, "batch dim"]:
        """Embeddings of the rows; ``batch`` is the number of rows if the numbers are None."""
        if numbers is None:
            return self.untold.expand(batch or 1, -1)
        if numbers.shape[-1] != self.numbers:
            raise UsageError(f"the network expects conditions of {self.numbers} numbers, not {numbers.shape[-1]}")
        told = numbers.isfinite().all(dim=1, keepdim=True)
        embedded = self.mix(torch.where(told, numbers, 0.0).to(_dtype(self.mix)))
        return torch.where(told, embedded, self.untold.to(embedded.dtype))


class Context(nn.Module):
    """Embedding of time and condition in one vector: activation(time + condition).

    Arguments:
        dim: length of the vector.
        condition: space of the conditions.
        time: whether there is a time.
        fastest: angular frequency of the fastest wave of time; slow ones suit a network that is integrated in time.

    Raises:
        UsageError: when called, if the condition does not belong to the space.
    """

    def __init__(
        self, dim: int, condition: ConditionSpace = ConditionSpace(), *, time: bool = True, fastest: float = 200.0
    ) -> None:
        super().__init__()
        self.dim = dim
        self.time = TimeEmbedding(dim, fastest=fastest) if time else None
        self.condition = condition
        self.numbers = ConditionEmbedding(condition.numbers, dim) if condition.numbers else None

    def forward(
        self, t: Float[Tensor, " batch"] | None, condition: Condition | None, batch: int
    ) -> Float[Tensor, "batch dim"]:
        numbers, parts = self.condition.numbers_of(condition), []
        if self.time is not None and t is not None:
            parts.append(self.time(t.expand(batch)))
        if self.numbers is not None:
            parts.append(self.numbers(numbers, batch))
        return nn.functional.silu(torch.stack(parts).sum(dim=0))


def _dtype(module: nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype
