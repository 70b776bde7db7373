r"""Penalties on a critic's gradient, each differentiable in the critic's parameters.

    one-centred, between data and samples     E (‖∇f(x̂)‖ - 1)²,     x̂ = ε x + (1 - ε) g(z), ε uniform
    one-sided, at the same points             E max(0, ‖∇f(x̂)‖ - 1)²
    zero-centred, on data and on samples      E ‖∇f(x)‖² + E ‖∇f(g(z))‖²     (R1 + R2)

The first keeps a Wasserstein critic's slope near one, also where samples and data agree and nothing determines its
direction; where they differ by less than 2 λ along a direction, with λ the weight of the penalty, a critic of the wrong
sign is a local minimum of its loss. The second lets the slope be smaller. The third damps the game about its
equilibrium, where the critic is flat: the linearised dynamics of a point mass (the Dirac GAN) then have eigenvalues
with a negative real part, unlike with the other two.

Sources: Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028, equation 3; Petzka, Fischer and Lukovnikov 2018,
https://arxiv.org/abs/1709.08894, equation 7 (one-sided); Mescheder, Geiger and Nowozin 2018,
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
    critic: Score, x: Float[Tensor, "batch *shape"], condition: Condition | None = None, *, one_sided: bool = False
) -> Float[Tensor, " batch"]:
    """``(‖∇ₓ f(x, c)‖ - 1)²`` at each sample; one-sided, of slopes above one alone."""
    x = x.detach().requires_grad_()
    # The root has no derivative at zero, where a critic is constant.
    norm = (squared_slope(critic(x, condition), x) + 1e-12).sqrt()
    excess = norm - 1
    return (excess.clamp(min=0) if one_sided else excess).square()


def squared_slope(scores: Float[Tensor, " batch"], x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
    """``‖∇ₓ f(x)‖²`` at each sample, from the critic's scores of ``x``."""
    (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return gradient.float().flatten(1).square().sum(1)
