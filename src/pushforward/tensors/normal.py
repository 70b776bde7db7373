"""Standard normal density, the base of flows and paths."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

__all__ = ["normal_log_prob"]


def normal_log_prob(x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
    r"""Log-density :math:`-\tfrac12 \sum_i (x_i^2 + \log 2\pi)` of independent standard normal numbers, in nats.

    >>> import torch
    >>> normal_log_prob(torch.zeros(1, 2))
    tensor([-1.8379])
    """
    flat = x.flatten(1)
    return -0.5 * flat.square().sum(1) - 0.5 * flat.shape[1] * math.log(2 * math.pi)
