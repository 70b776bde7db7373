r"""Averages of the weights over training, with a width proportional to the length of the run.

After step t the average is

    \hat\theta_t = \beta_t \hat\theta_{t-1} + (1 - \beta_t) \theta_t,    \beta_t = (1 - 1/t)^{\gamma + 1},

so that \theta_s enters with a weight proportional to s^\gamma: in a run of any length the first steps are forgotten.
The exponent follows from the standard deviation of this profile relative to the run's length,

    \sigma_{rel} = (\gamma + 1)^{1/2} (\gamma + 2)^{-1} (\gamma + 3)^{-1/2}

(Karras et al. 2024, "Analyzing and improving the training dynamics of diffusion models", equations 2, 7 and 126).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["PowerAverage", "exponent"]


def exponent(width: float) -> float:
    r"""Exponent \gamma of the profile with relative standard deviation ``width``, in (0, 0.28).

    >>> round(exponent(0.10), 2), round(exponent(0.05), 2)
    (6.94, 16.97)
    """
    inverse = width**-2
    return float(np.roots([1, 7, 16 - inverse, 12 - inverse]).real.max())


class PowerAverage:
    """Running average of parameters, updated in one pass over memory for parameters that share a storage.

    Arguments:
        parameters: the parameters to average.
        width: relative standard deviation of the profile; 0 keeps the latest weights.

    Attributes:
        values: the averages, in the order of the parameters.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], width: float) -> None:
        storages = {p.untyped_storage().data_ptr(): p for p in parameters}
        self._latest = {key: p.detach().new_empty(0).set_(p.untyped_storage()) for key, p in storages.items()}
        self._averages = {key: numbers.clone() for key, numbers in self._latest.items()}
        self.values: list[Tensor] = [
            self._averages[p.untyped_storage().data_ptr()].as_strided(p.shape, p.stride(), p.storage_offset())
            for p in parameters
        ]
        self.gamma = exponent(width) if width > 0 else None

    def update(self, step: int) -> None:
        """Add the weights after step ``step`` (the first is 1) to the average."""
        beta = (1 - 1 / step) ** (self.gamma + 1) if self.gamma is not None else 0.0
        for key, latest in self._latest.items():
            self._averages[key].lerp_(latest, 1 - beta)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the averages in the place of the latest weights, until the block ends."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for key, latest in self._latest.items():
            before = latest.clone()
            latest.copy_(self._averages[key])
            self._averages[key].copy_(before)

    @torch.no_grad()
    def load(self, values: Sequence[Tensor]) -> None:
        """Restore saved averages."""
        torch._foreach_copy_(self.values, list(values))
