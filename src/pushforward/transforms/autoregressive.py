r"""Autoregressive transforms: every value is transformed given the previous ones.

    z_i = f(x_i; θ_i(x_1, ..., x_{i-1}, c)),     log |det ∂z/∂x| = Σ_i log ∂z_i/∂x_i

If a sample is a sequence of tokens, x_i is a token, and each of its features is transformed given the tokens before.

A masked network gives all θ_i at once, so ``forward`` is one pass. The inverse finds one value after another (see
`pushforward.transforms.decoding`). For another order of the features put a `Permutation` before the transform; for a
flow that samples in one pass use its `Inverse`.

Gradients of the inverse are those of the implicit function theorem: with J = ∂z/∂x at the solution, a gradient g with
respect to x becomes v = J^{-T} g with respect to z, and -v ∂z/∂w with respect to the weights w. J is triangular with
diagonal D, so that v ← D^{-1} [g - (J - D)^T v] is exact after as many iterations as there are features, and usually
converges in a few. The steps that find the solution keep no graph.

Sources: Papamakarios, Pavlakou and Murray 2017 (MAF, arXiv:1705.07057); Kingma et al. 2016 (IAF, arXiv:1606.04934);
Germain et al. 2015 (MADE, arXiv:1502.03509); of tokens: Zhai et al. 2024 (TarFlow, arXiv:2412.06329).
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.transforms.decoding import (
    Blocks,
    Incremental,
    by_blocks,
    fixed_point,
    fixed_point_within,
    one_by_one,
)
from pushforward.transforms.monotone import Monotone
from pushforward.transforms.transform import Transform

__all__ = ["MaskedAutoregressive"]

# One by one, all steps together multiply as much as one pass, and take the time of many where rows are few.
_LONG, _SWEEPS = 32, 16


class MaskedAutoregressive(Transform):
    """Transform each feature of a vector given the features before it, or each token given the tokens before it.

    Arguments:
        monotone: the map of each value, with P parameters.
        network: ``network(x, condition)`` with ``x`` (batch, features) gives ``(batch, P * features)``, ordered by
            parameter first, then by feature; those of a feature depend only on the features before it. For tokens ``x``
            (batch, tokens, features) it gives ``(batch, tokens, P * features)``.
        decoding: ``"one by one"``, for an `Incremental` network, computes every value of the network once;
            ``"fixed point"`` takes fewer and larger operations, and suits weak dependence and accelerators.

    Attributes:
        block: number of tokens decoded at a time, by networks with `Blocks`.
    """

    block = 1

    def __init__(
        self,
        monotone: Monotone,
        network: nn.Module,
        decoding: Literal["adaptive", "one by one", "fixed point"] = "adaptive",
    ) -> None:
        super().__init__()
        self.monotone = monotone
        self.network = network
        self.decoding = decoding

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_derivative = self.monotone.forward(x, self._thetas(x, condition))
        return z, log_derivative.flatten(1).sum(1)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            x, log_derivative = self._decoded(z, condition)
        if not torch.is_grad_enabled():
            return x, log_derivative.flatten(1).sum(1)
        x = self._differentiable(x, z, condition)
        return x, -self(x, condition)[1]

    def _thetas(self, x: Tensor, condition: Tensor | None) -> Float[Tensor, "P *batch features"]:
        raw = self.network(self.monotone.seen(x), condition).to(x.dtype)
        if raw.shape[-1] != self.monotone.parameters * x.shape[-1]:
            raise UsageError(
                f"a transform of {x.shape[-1]} values with {self.monotone.parameters} parameters each needs a network "
                f"with {self.monotone.parameters * x.shape[-1]} outputs; it has {raw.shape[-1]}"
            )
        return raw.unflatten(-1, (self.monotone.parameters, x.shape[-1])).movedim(-2, 0)

    def _decoded(self, z: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        network = self.network
        features = getattr(network, "features", z.shape[-1])
        if z.shape[-1] != features:
            raise UsageError(f"a transform of {features} features was given a batch of shape {tuple(z.shape)}")
        if isinstance(network, Blocks) and self.decoding != "fixed point":
            return by_blocks(self.monotone, network.blocks_ahead(condition, len(z)), z, self.block)
        if not isinstance(network, Incremental) or self.decoding == "fixed point":
            return fixed_point(self.monotone, self._thetas, z, condition)
        rows = torch.arange(len(z), device=z.device)
        x, log_derivative = torch.empty_like(z), torch.empty_like(z)
        if self.decoding == "adaptive" and z.shape[1] >= max(_LONG, len(z)):
            x, log_derivative, rows = fixed_point_within(_SWEEPS, self.monotone, self._thetas, z, condition)
        if len(rows):
            steps = network.incremental(None if condition is None else condition[rows], len(rows))
            x[rows], log_derivative[rows] = one_by_one(self.monotone, steps, z[rows])
        return x, log_derivative

    def _differentiable(self, solution: Tensor, z: Tensor, condition: Tensor | None) -> Tensor:
        """The solution x of f(x) = z, with gradients to z and to the parameters of f."""
        point = solution.detach().requires_grad_()
        image, log_derivative = self.monotone.forward(point, self._thetas(point, condition))
        diagonal = log_derivative.detach().exp()
        residual = z - image
        x = point.detach() + (residual - residual.detach())
        if x.requires_grad:
            x.register_hook(lambda gradient: _solved_transposed(image, point, diagonal, gradient))
        return x


def _solved_transposed(image: Tensor, point: Tensor, diagonal: Tensor, gradient: Tensor) -> Tensor:
    """``J^{-T} gradient`` for the triangular J = ∂image/∂point with a known diagonal."""
    accuracy = 4 * torch.finfo(gradient.dtype).eps
    v = gradient / diagonal
    for _ in range(gradient.shape[1]):
        (product,) = torch.autograd.grad(image, point, v, retain_graph=True)
        following = v + (gradient - product) / diagonal
        change = (following - v).abs().max()
        v = following
        if change <= accuracy * v.abs().max():
            break
    return v
