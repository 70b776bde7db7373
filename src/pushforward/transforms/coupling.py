r"""Couplings: one part of a sample determines the transform of the rest.

Split a sample into kept values x_k and changed values x_c. A network of the kept values and the condition c gives the
parameters of an increasing map f of each changed value (see `Monotone`),

    z_k = x_k,     z_c = f(x_c; θ(x_k, c)),     log |det ∂z/∂x| = Σ log ∂z_c/∂x_c,

which is inverted without inverting the network, since the network sees only unchanged values. All parameters are one
output of one network.

Sources: Dinh, Sohl-Dickstein and Bengio 2017 (RealNVP, arXiv:1605.08803), equations 7 to 9; for checkerboards on a
lattice: Albergo, Kanwar and Shanahan 2019 (arXiv:1904.12072).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.transforms.monotone import Monotone, squashed
from pushforward.transforms.transform import Transform

__all__ = ["Coupling", "MaskedCoupling", "checkerboard"]

Direction = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def checkerboard(shape: Sequence[int], parity: int) -> Float[Tensor, "*shape"]:
    """Mask that is one where the sum of the indices has the given parity, and zero elsewhere.

    On a vector it selects every second feature; on a field ``(channels, *grid)`` every hidden value has known
    neighbours along the channels and the grid.

    >>> checkerboard((5,), 0)
    tensor([1., 0., 1., 0., 1.])
    """
    total = torch.zeros(tuple(shape), dtype=torch.int64)
    for axis, length in enumerate(shape):
        total = total + torch.arange(length).view(-1, *[1] * (len(shape) - axis - 1))
    return ((total % 2) == parity % 2).float()


class Coupling(Transform):
    """Keep some of the features (of axis 1) and transform the others; no output of the network is unused.

    Arguments:
        monotone: the map of each changed value, with P parameters.
        network: ``network(kept, condition)`` with ``kept`` (batch, keep, ...) gives ``(batch, P * changed, ...)``,
            ordered by parameter first, then by changed feature.
        keep: number of features to keep; 0 gives a transform that depends on the condition alone.
        last: keep the last features instead of the first.
        seen: kept values as the network sees them.
    """

    def __init__(
        self,
        monotone: Monotone,
        network: nn.Module,
        keep: int,
        *,
        last: bool = False,
        seen: Callable[[Tensor], Tensor] = squashed,
    ) -> None:
        super().__init__()
        self.seen = seen
        self.monotone = monotone
        self.network = network
        self.keep = keep
        self.last = last

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._run(self.monotone.forward, x, condition)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._run(self.monotone.inverse, z, condition)

    def _run(self, direction: Direction, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        if x.dim() < 2 or x.shape[1] < self.keep:
            raise UsageError(f"a coupling that keeps {self.keep} features was given a batch of shape {tuple(x.shape)}")
        if self.last:
            changed, kept = x.split([x.shape[1] - self.keep, self.keep], dim=1)
        else:
            kept, changed = x.split([self.keep, x.shape[1] - self.keep], dim=1)
        raw = self.network(self.seen(kept), condition)
        image, log_derivative = direction(changed, _by_parameter(raw, self.monotone, changed))
        parts = (image, kept) if self.last else (kept, image)
        return torch.cat(parts, dim=1), log_derivative.flatten(1).sum(1)


class MaskedCoupling(Transform):
    """Keep the values under a mask and transform the others, for networks that need the whole grid of a field.

    Arguments:
        monotone: the map of each hidden value, with P parameters.
        network: ``network(shown, condition)`` with ``shown`` (batch, features, ...), zero where hidden, gives
            ``(batch, P * features, ...)``, ordered by parameter first, then by feature.
        mask: one for kept values; of the shape of one sample, or broadcast to it.
    """

    mask: Tensor

    def __init__(self, monotone: Monotone, network: nn.Module, mask: Float[Tensor, "*shape"]) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.monotone = monotone
        self.network = network

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._run(self.monotone.forward, x, condition)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._run(self.monotone.inverse, z, condition)

    def _run(self, direction: Direction, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        if any(own not in (1, length) for own, length in zip(self.mask.shape, x.shape[1:], strict=False)):
            raise UsageError(f"a mask of shape {tuple(self.mask.shape)} does not fit a batch of shape {tuple(x.shape)}")
        raw = self.network(squashed(self.mask * x), condition)
        image, log_derivative = direction(x, _by_parameter(raw, self.monotone, x))
        shown = self.mask > 0
        log_derivative = torch.where(shown, 0.0, log_derivative)
        return torch.where(shown, x, image), log_derivative.flatten(1).sum(1)


def _by_parameter(raw: Tensor, monotone: Monotone, x: Tensor) -> Float[Tensor, "P *shape"]:
    """Network outputs ``(batch, P * features, ...)`` in the shape and precision of a `Monotone`'s parameters."""
    if raw.shape[1] != monotone.parameters * x.shape[1]:
        raise UsageError(
            f"a coupling of {x.shape[1]} values with {monotone.parameters} parameters each needs a network with "
            f"{monotone.parameters * x.shape[1]} outputs; it has {raw.shape[1]}"
        )
    return raw.to(x.dtype).unflatten(1, (monotone.parameters, x.shape[1])).movedim(1, 0)
