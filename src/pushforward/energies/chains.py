r"""Markov chains and their convergence diagnostics.

The integrated autocorrelation time of an observable f,

.. math:: \tau = 1 + 2 \sum_{t=1}^{W} \rho(t), \qquad
          \rho(t) = \langle (f_s - \bar f)(f_{s+t} - \bar f) \rangle / \mathrm{var} f ,

is the number of draws equivalent to one independent draw. The average is over all chains, with their common mean; the
window W is the smallest with W >= 5 tau(W) (Sokal 1997).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Chains", "autocorrelation_time", "split_r_hat"]


@dataclass(frozen=True)
class Chains:
    """Draws of parallel chains after warm-up. Chains are independent of each other, at all their temperatures.

    Attributes:
        samples: of the first temperature, shape ``(draws, chains, *shape)``, float64.
        energies: U at every temperature, in units of kT, shape ``(draws, temperatures, chains)``.
        sizes: squared distance from the energy's location, summed over coordinates, of the same shape.
        thin: Hamiltonian steps between two draws of a chain.
        temperatures: of the ladder.
        acceptance: mean acceptance probability of a Hamiltonian step at each temperature.
        exchanges: mean acceptance probability of exchanges between each temperature and the next.
        step_sizes: of the leapfrog integrator at each temperature, after tuning.
    """

    samples: Float[Tensor, "draws chains *shape"]
    energies: Float[Tensor, "draws temperatures chains"]
    sizes: Float[Tensor, "draws temperatures chains"]
    thin: int
    temperatures: tuple[float, ...]
    acceptance: tuple[float, ...]
    exchanges: tuple[float, ...]
    step_sizes: tuple[float, ...]

    @cached_property
    def autocorrelation(self) -> float:
        """tau of the slower of energy and size, in draws; NaN with fewer than 4 draws per chain."""
        return max(autocorrelation_time(each[:, 0]) for each in (self.energies, self.sizes))

    @cached_property
    def r_hat(self) -> float:
        """Split R-hat of the worse of energy and size: 1 if chains agree; NaN with fewer than 4 draws per chain."""
        return max(split_r_hat(each[:, 0]) for each in (self.energies, self.sizes))

    @property
    def mean_energy(self) -> tuple[float, float]:
        """<U> and its standard error, from the scatter of the chains' means."""
        means = self.energies[:, 0].mean(0)
        return means.mean().item(), (means.std() / math.sqrt(len(means))).item()

    def flat(self, count: int | None = None) -> Float[Tensor, "count *shape"]:
        """The first ``count`` draws, neighbours from different chains; None for all."""
        return self.samples.flatten(0, 1)[:count]


def autocorrelation_time(values: Float[Tensor, "draws chains"]) -> float:
    """Integrated autocorrelation time in draws, at least 1; NaN with fewer than 4 draws."""
    draws = len(values)
    if draws < 4:
        return math.nan
    centred = values - values.mean()
    spectrum = torch.fft.rfft(centred, n=2 * draws, dim=0)
    products = torch.fft.irfft(spectrum.abs().square(), n=2 * draws, dim=0)[:draws].mean(1)
    covariance = products / torch.arange(draws, 0, -1, dtype=products.dtype)
    if not covariance[0] > 0:
        return math.nan
    tau = 2 * (covariance / covariance[0]).cumsum(0) - 1
    enough = torch.arange(draws) >= 5 * tau
    window = int(enough.int().argmax()) if enough.any() else draws - 1
    return max(1.0, tau[window].item())


def split_r_hat(values: Float[Tensor, "draws chains"]) -> float:
    """Potential scale reduction of split chains (Gelman et al. 2013, eq. 11.4); NaN with fewer than 4 draws."""
    half = len(values) // 2
    if half < 2 or values.shape[1] < 2:
        return math.nan
    halves = torch.cat([values[:half], values[half : 2 * half]], dim=1)
    within = halves.var(0).mean()
    between = halves.mean(0).var()
    return ((within * (half - 1) / half + between) / within).sqrt().item()
