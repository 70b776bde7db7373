r"""Muon: the momentum of each matrix is made orthogonal before it is applied.

The weights of a layer form a matrix of outputs by inputs. Its gradients are dominated by few directions, which gradient
descent, and Adam entry by entry, keeps following while it hardly moves along all others. Muon replaces the momentum by
the nearest semi-orthogonal matrix, so that the layer moves equally far along each:

    M_t = \mu M_{t-1} + (1 - \mu) g_t,      N_t = \mu M_t + (1 - \mu) g_t,

    W_t = W_{t-1} - \eta c (N_t N_t^T)^{-1/2} N_t,      c = 0.2 \max(outputs, inputs)^{1/2},

where c gives the entries of a step the root mean square that is typical of Adam, 0.2 \eta, so that both share one
learning rate.

The inverse square root comes from Newton-Schulz iterations. They are applied to the Gram matrices N N^T, all those of
one size at once: these are several times smaller than the matrices of a convolution, and so is the work.

References:
    Jordan et al. 2024, https://kellerjordan.github.io/posts/muon
    Liu et al. 2025, https://arxiv.org/abs/2502.16982 (the constant c)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["Muon", "inverse_roots", "is_matrix"]

_LEAST = 8
"""Smallest number of outputs and of inputs of a matrix; the few numbers of others have no directions to balance."""

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of x, x^3, x^5 by Jordan et al.: small singular values rise fast, and large ones end in 0.7-1.2."""

_ITERATIONS = 5


def is_matrix(parameter: nn.Parameter) -> bool:
    """Whether a parameter is the weight of a layer with at least 8 outputs and 8 inputs."""
    return parameter.ndim >= 2 and min(len(parameter), parameter[0].numel()) >= _LEAST


class Muon:
    r"""Optimiser of the weights of linear layers and convolutions, by their ``grad``.

    PyTorch's own takes no kernels of convolutions, and one matrix at a time.

    Arguments:
        parameters: weights with at least two axes, the outputs first.
        momentum: decay rate \mu of the running mean of the gradient.
        weight_decay: decoupled: before a step, weights shrink by \eta times this.

    Attributes:
        memory: running mean of the gradient of each parameter, in the memory layout of the parameter.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        self.parameters: list[Tensor] = list(parameters)
        self.momentum, self.weight_decay = momentum, weight_decay
        self.memory: list[dict[str, Tensor]] = [
            {"momentum": torch.zeros_like(p, requires_grad=False)} for p in self.parameters
        ]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        r"""Step at a learning rate \eta, overwriting the gradients."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        means = [memory["momentum"] for memory in self.memory]
        torch._foreach_lerp_(means, gradients, 1 - self.momentum)
        # A new tensor for each would take several times longer; gradients are not needed any more.
        torch._foreach_lerp_(gradients, means, self.momentum)
        if self.weight_decay:
            torch._foreach_mul_(self.parameters, 1 - rate * self.weight_decay)
        orders = [_order(p) for p in self.parameters]
        directions = _orthogonal([_matrix(each, order) for each, order in zip(gradients, orders, strict=True)])
        for p, order, direction in zip(self.parameters, orders, directions, strict=True):
            _matrix(p, order).add_(direction, alpha=-0.2 * rate * max(direction.shape) ** 0.5)


def _order(weight: Tensor) -> list[int]:
    """The axes of a weight after the first, in the order in which they are stored."""
    return sorted(range(1, weight.ndim), key=weight.stride, reverse=True)


def _matrix(weight: Tensor, order: Sequence[int]) -> Float[Tensor, "outputs inputs"]:
    """A view of a weight stored without gaps, its axes after the first in this order."""
    return weight.permute(0, *order).view(len(weight), -1)


def _orthogonal(matrices: Sequence[Tensor]) -> list[Tensor]:
    """The nearest semi-orthogonal matrix of each."""
    wide = [m if m.shape[0] <= m.shape[1] else m.T for m in matrices]
    nearest = list(wide)
    for rows in {len(m) for m in wide}:
        alike = [i for i, m in enumerate(wide) if len(m) == rows]
        roots = inverse_roots(torch.stack([wide[i] @ wide[i].T for i in alike]))
        for i, root in zip(alike, roots, strict=True):
            nearest[i] = root @ wide[i]
    return [n if n.shape == m.shape else n.T for n, m in zip(nearest, matrices, strict=True)]


def inverse_roots(gram: Float[Tensor, "batch n n"]) -> Float[Tensor, "batch n n"]:
    """Inverse square roots of Gram matrices, roughly: their products with the matrices have singular values near 1.

    A zero matrix is its own direction: the root is finite.
    """
    # Divided by the largest entry, which is on the diagonal, gradients of any size have a norm in single precision.
    largest = gram.diagonal(dim1=1, dim2=2).amax(1)[:, None, None].clamp(min=1e-30)
    gram = gram / largest
    norm = gram.norm(dim=(1, 2), keepdim=True).clamp(min=1)
    gram = gram / norm
    root = factor = _factor(gram)
    for _ in range(_ITERATIONS - 1):
        gram = factor @ gram @ factor
        factor = _factor(gram)
        root = factor @ root
    return root / (norm * largest).sqrt()


def _factor(gram: Float[Tensor, "batch n n"]) -> Float[Tensor, "batch n n"]:
    """What an iteration multiplies a matrix with, from its Gram matrix."""
    first, third, fifth = _QUINTIC
    factor = torch.baddbmm(gram, gram, gram, beta=third, alpha=fifth)
    factor.diagonal(dim1=1, dim2=2).add_(first)
    return factor
