r"""Penalties on a critic's gradient, each differentiable in the critic's parameters.

    one-centred, between data and samples     E (‖∇f(x̂)‖ - 1)²,     x̂ = ε x + (1 - ε) g(z), ε uniform
    zero-centred, on data and on samples      E ‖∇f(x)‖² + E ‖∇f(g(z))‖²     (R1 + R2)

The first keeps a Wasserstein critic's slope near one. The second damps the game about its equilibrium, where the critic
is flat: the linearised dynamics of a point mass (the Dirac GAN) then have eigenvalues with a negative real part, unlike
with the first.

Sources: Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028, equation 3; Mescheder, Geiger and Nowozin 2018,
https://arxiv.org/abs/1801.04406; Huang et al. 2024, https://arxiv.org/abs/2501.05441.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.conditions import Condition

__all__ = ["gradient_penalty", "squared_slope"]

Score = Callable[[Tensor, Condition | None], Tensor]


def gradient_penalty(
    critic: Score, x: Float[Tensor, "batch *shape"], condition: Condition | None = None
) -> Float[Tensor, " batch"]:
    """``(‖∇ₓ f(x, c)‖ - 1)²`` at each sample."""
    x = x.detach().requires_grad_()
    # The root has no derivative at zero, where a critic is constant.
    norm = (squared_slope(critic(x, condition), x) + 1e-12).sqrt()
    return (norm - 1).square()


def squared_slope(scores: Float[Tensor, " batch"], x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
    """``‖∇ₓ f(x)‖²`` at each sample, from the critic's scores of ``x``."""
    (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return gradient.float().flatten(1).square().sum(1)
