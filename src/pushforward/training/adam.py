r"""Adam with decoupled weight decay, on few large tensors.

With the gradient g, and running means m of it and v of its square,

    m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t,      v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2,

    W_t = (1 - \eta \lambda) W_{t-1} - \eta \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + 10^{-8}}.

A step is one call of PyTorch's fused kernel per tensor. `torch.optim.AdamW` calls the same kernel, after preparations
in Python that take several times longer than the kernel if the network is small.

References:
    Kingma & Ba 2014, https://arxiv.org/abs/1412.6980; Loshchilov & Hutter 2017, https://arxiv.org/abs/1711.05101
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Adam"]


class Adam:
    r"""Optimiser of any parameters, by their ``grad``.

    Arguments:
        parameters: the tensors to step; the fewer, the faster.
        betas: decay rates \beta_1 and \beta_2 of the running means.
        weight_decay: \lambda.

    Attributes:
        memory: number of steps and running means of each parameter.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
    ) -> None:
        self.parameters, self.betas, self.weight_decay = list(parameters), betas, weight_decay
        # The same numbers without a gradient: turning autograd off for a step would take as long as the kernel.
        self._weights = [p.detach() for p in self.parameters]
        self.memory: list[dict[str, Tensor]] = [
            {
                "step": torch.zeros((), device=p.device),
                "exp_avg": torch.zeros_like(p, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(p, requires_grad=False),
            }
            for p in self.parameters
        ]

    def step(self, rate: float) -> None:
        r"""Step at a learning rate \eta."""
        (beta1, beta2), decay = self.betas, self.weight_decay
        for p, weights, memory in zip(self.parameters, self._weights, self.memory, strict=True):
            assert p.grad is not None
            memory["step"].add_(1)
            torch._fused_adamw_(
                [weights],
                [p.grad],
                [memory["exp_avg"]],
                [memory["exp_avg_sq"]],
                [],
                [memory["step"]],
                lr=rate,
                beta1=beta1,
                beta2=beta2,
                weight_decay=decay,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
            )
