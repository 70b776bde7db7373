r"""Whitening of periodic fields, for translations that start as the transport between two Gaussian fields.

Between stationary Gaussian fields of power spectra S_a and S_b, the map of least displacement is the filter
sqrt(S_b(k) / S_a(k)) (Dowson & Landau 1982, J. Multivariate Anal. 12, 450). It keeps all phases and can be undone. A
translator between whitened fields,

    w_k = x_k / sqrt(S(k)),

is this map if it is the identity. If the values have been mapped to normal scores as well (``transform=gaussianise``),
it also gives every translation the one-point distribution of its ensemble, to the extent that the filter leaves a
normal distribution normal; a network learns what remains.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.spaces import Field, Space
from pushforward.tensors.processes import joined_rows
from pushforward.transport.gaussian import wavenumber_bins

__all__ = ["PairWhitening", "Whitening", "can_be_whitened", "translation_defaults"]


@singledispatch
def can_be_whitened(space: Space) -> bool:
    """Whether samples are periodic fields."""
    return False


@can_be_whitened.register
def _(space: Field) -> bool:
    return space.periodic


def translation_defaults(space: Space) -> dict[str, str]:
    """Defaults of training that translators of one kind of sample have in common."""
    return {"transform": "gaussianise"} if space.grid else {}


class Whitening(nn.Module):
    """Fields with a white spectrum, from the mean power in shells of wavenumber of all batches seen; else unchanged.

    Arguments:
        space: of the samples.
    """

    index: Tensor
    power: Tensor
    seen: Tensor

    # In network units, where the data are of order one.
    smallest = 1e-6

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.grid = space.grid if can_be_whitened(space) else ()
        if not self.grid:
            return
        axes = [torch.fft.fftfreq(cells) * max(self.grid) for cells in self.grid]
        axes[-1] = torch.fft.rfftfreq(self.grid[-1]) * max(self.grid)
        self.register_buffer("index", wavenumber_bins(axes), persistent=False)
        self.register_buffer("power", torch.ones(space.shape[0], int(self.index.max()) + 1))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        return self._filtered(x, -0.5)

    def inverse(self, w: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        return self._filtered(w, 0.5)

    @torch.no_grad()
    def update(self, x: Float[Tensor, "batch *shape"]) -> None:
        """Add a batch, of all processes, to the mean power while training."""
        if not self.grid or not self.training:
            return
        modes = self._modes(x).abs().square().mean(0).flatten(1)
        index = self.index.flatten()
        # Modes of the half that a real transform leaves out have the powers of those that it keeps.
        total = torch.zeros_like(self.power).index_add_(1, index, modes)
        mean = total / torch.zeros_like(self.power).index_add_(1, index, torch.ones_like(modes))
        self.seen += 1
        self.power += (joined_rows(mean[None]).mean(0) - self.power) / self.seen

    def _modes(self, x: Tensor) -> Tensor:
        # Under autocast a network may return bfloat16, for which there is no fast Fourier transform.
        axes = tuple(range(2, x.dim()))
        return torch.fft.rfftn(x if x.dtype == torch.float64 else x.float(), dim=axes, norm="ortho")

    def _filtered(self, x: Tensor, exponent: float) -> Tensor:
        if not self.grid:
            return x
        filtered = self._modes(x) * self.power.clamp(min=self.smallest).pow(exponent)[:, self.index]
        return torch.fft.irfftn(filtered, s=self.grid, dim=tuple(range(2, x.dim())), norm="ortho")


class PairWhitening(nn.ModuleDict):
    """`Whitening` of each of two ensembles, by its name, ``"a"`` or ``"b"``.

    Arguments:
        space: of the samples of both.
    """

    def __init__(self, space: Space) -> None:
        super().__init__({side: Whitening(space) for side in ("a", "b")})

    def __getitem__(self, side: str) -> Whitening:
        return cast(Whitening, super().__getitem__(side))

    def add(self, members: Mapping[str, Tensor]) -> None:
        """Add a batch of each ensemble, of all processes, to its mean power while training."""
        for side, x in members.items():
            self[side].update(x)
