r"""Layers divided by their largest singular value, which bounds the slope of the network.

    W = V / s,     s = u^T V v,     v <- V^T u / |V^T u|,     u <- V v / |V v|

Power iterations are separate calls, one per step of the weights, so that evaluating a network does not change it.

Source: Miyato et al. 2018, https://arxiv.org/abs/1802.05957, algorithm 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

__all__ = ["advance_spectral_norm", "apply_spectral_norm"]

_FIRST = 15


class _SpectralNorm(nn.Module):
    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rows = weight.detach().flatten(1)
        self.register_buffer("u", nn.functional.normalize(torch.randn(len(rows)), dim=0))
        self.register_buffer("v", nn.functional.normalize(torch.randn(rows.shape[1]), dim=0))
        for _ in range(_FIRST):
            self.advance(weight)

    @torch.no_grad()
    def advance(self, weight: Tensor) -> None:
        rows = weight.flatten(1)
        self.v.copy_(nn.functional.normalize(rows.T @ self.u, dim=0))
        self.u.copy_(nn.functional.normalize(rows @ self.v, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        return weight / (self.u @ (weight.flatten(1) @ self.v))


def apply_spectral_norm(network: nn.Module) -> None:
    """Divide the weights of every affine layer and convolution of a network by their largest singular values."""
    for module in list(network.modules()):
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d):
            parametrize.register_parametrization(module, "weight", _SpectralNorm(module.weight))


def advance_spectral_norm(network: nn.Module) -> None:
    """Follow the weights by one power iteration of each layer that is divided so."""
    for module in network.modules():
        if isinstance(module, parametrize.ParametrizationList) and isinstance(module[0], _SpectralNorm):
            module[0].advance(module.original)
