r"""SOAP: Adam in the eigenbasis of Shampoo's preconditioners, to be measured beside Muon.

The gradient G of a layer, outputs by inputs, has the running second moments

    L = E[G G^T],      R = E[G^T G].

Adam steps Q_L^T G Q_R, where the columns of Q_L and Q_R are the eigenvectors of L and R, and the step is turned back.
Every few steps the eigenvectors follow L and R by one power iteration. A side of too many entries is not turned.

References:
    Vyas et al. 2024, https://arxiv.org/abs/2409.11321; Gupta et al. 2018, https://arxiv.org/abs/1802.09568 (Shampoo)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Soap"]

_BETAS, _OF_SIDES = (0.95, 0.99), 0.95
"""Decay rates of the means of the turned gradient and its square, and of L and R."""
_EVERY, _LARGEST = 10, 256
"""Steps between power iterations, and most entries of a side that is turned."""


class Soap:
    """Optimiser of the weights of linear layers and convolutions, with the interface of `training.muon.Muon`."""

    def __init__(self, parameters: Sequence[nn.Parameter], momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        self.parameters, self.weight_decay = list(parameters), weight_decay
        self.memory = [self._start(p) for p in self.parameters]

    @staticmethod
    def _start(p: nn.Parameter) -> dict[str, Tensor]:
        matrix = torch.zeros(len(p), p[0].numel())
        memory = {"step": torch.zeros(()), "mean": matrix, "square": matrix.clone()}
        for side, count in zip(("outputs", "inputs"), matrix.shape, strict=True):
            if count <= _LARGEST:
                memory |= {side: torch.zeros(count, count), f"{side}_basis": torch.eye(count)}
        return memory

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for p, memory in zip(self.parameters, self.memory, strict=True):
            assert p.grad is not None
            gradient = p.grad.reshape(len(p), -1)
            for side, rows in (("outputs", gradient), ("inputs", gradient.T)):
                if side in memory:
                    memory[side].lerp_(rows @ rows.T, 1 - _OF_SIDES)
                    if memory["step"] == 0:
                        memory[f"{side}_basis"].copy_(torch.linalg.eigh(memory[side]).eigenvectors.flip(1))
                    elif memory["step"] % _EVERY == 0:
                        turned = memory[side] @ memory[f"{side}_basis"]
                        memory[f"{side}_basis"].copy_(torch.linalg.qr(turned).Q)
            memory["step"] += 1
            memory["mean"].lerp_(gradient, 1 - _BETAS[0])
            memory["square"].lerp_(_turned(gradient, memory).square(), 1 - _BETAS[1])
            first, second = (1 - beta ** memory["step"] for beta in _BETAS)
            direction = _turned(memory["mean"], memory) / first / ((memory["square"] / second).sqrt() + 1e-8)
            p.mul_(1 - rate * self.weight_decay).sub_((rate * _turned(direction, memory, back=True)).view_as(p))


def _turned(matrix: Tensor, memory: dict[str, Tensor], *, back: bool = False) -> Tensor:
    """A matrix in the eigenbases, or from them."""
    if (left := memory.get("outputs_basis")) is not None:
        matrix = (left if back else left.T) @ matrix
    if (right := memory.get("inputs_basis")) is not None:
        matrix = matrix @ (right.T if back else right)
    return matrix
