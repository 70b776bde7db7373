"""Posterior samples, with their method, effective number and summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.inference.corner import corner

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Method", "Posterior"]

Method = Literal["neural", "likelihood"]
"""``neural``: drawn by a model of parameters given data; ``likelihood``: sampled by one of data given parameters."""

QUANTILES = (0.16, 0.5, 0.84)


@dataclass(frozen=True)
class Posterior:
    """Samples of parameters given an observation.

    Attributes:
        samples: shape ``(n, P)``, in the user's units.
        names: of the P parameters.
        method: see `Method`.
        ess: effective number of independent samples of each parameter, shape ``(P,)``.
        r_hat: of each parameter, the ratio of the variance of all walkers to that within one (1: converged); NaN for
            independent samples.
        acceptance: accepted fraction of samples or proposals.
        seed: of the random numbers.
        power: of the likelihood; 1 unless it was tempered.
    """

    samples: Float[Tensor, "n P"]
    names: tuple[str, ...]
    method: Method
    ess: np.ndarray
    r_hat: np.ndarray
    acceptance: float
    seed: int
    power: float = 1.0

    @property
    def mean(self) -> Float[Tensor, " P"]:
        """Posterior means."""
        return self.samples.mean(0)

    @property
    def covariance(self) -> Float[Tensor, "P P"]:
        """Posterior covariance."""
        return torch.cov(self.samples.double().T).reshape(len(self.names), -1)

    @property
    def quantiles(self) -> Float[Tensor, "3 P"]:
        """Quantiles 16, 50 and 84 % of each parameter."""
        return torch.quantile(self.samples.double(), torch.tensor(QUANTILES, dtype=torch.float64), 0)

    def plot(self, truth: Sequence[float] | None = None) -> Figure:
        """Corner figure: histograms of the parameters, and contours of 39 and 86 % of the mass of each pair.

        Arguments:
            truth: values to mark, in the order of ``names``.

        Raises:
            UsageError: if there is not one value for each parameter.
        """
        if truth is not None and len(truth) != len(self.names):
            raise UsageError(f"{len(truth)} true values were given for {len(self.names)} parameters")
        return corner(self.samples.double().numpy(), self.names, truth)

    def __str__(self) -> str:
        """One line per parameter: median with the distances to the quantiles 16 and 84 %."""
        width = max(map(len, self.names))
        lines = []
        for name, (low, middle, high), effective in zip(self.names, self.quantiles.T.tolist(), self.ess, strict=True):
            text = f"{name:<{width}}  {middle:.4g}  +{high - middle:.2g} -{middle - low:.2g}"
            lines.append(f"{text}  ({effective:,.0f} effective samples)")
        if self.power != 1:
            lines.append(f"with the likelihood to the power {self.power:.3g}")
        return "\n".join(lines)
