r"""Statistical weights of a model's samples under an energy.

Samples x_i of a density q have, under the target exp(-U) / Z, the weights

.. math:: w_i = e^{-U(x_i)} / q(x_i), \qquad \hat Z = \frac{1}{n} \sum_i w_i, \qquad
          \mathrm{ESS} = \frac{(\sum_i w_i)^2}{\sum_i w_i^2} .

Z-hat is unbiased. ESS, the effective number of independent samples of the target, is between 1, if one weight
dominates, and n, if q is the target (Kish 1965). The error of ln Z-hat is its jackknife: with the normalised weights
:math:`p_i = w_i / \sum_j w_j`, leaving out sample i changes ln Z-hat by :math:`\ln(1 - p_i)` up to a constant. For
small weights it is the delta method's :math:`\sqrt{1/\mathrm{ESS} - 1/n}`; if one weight dominates it diverges instead
of reaching 1. **None of these numbers includes regions that no sample has reached.**

All are in nats, and need log-densities and energies of the same units of length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.energies.energy import Energy
from pushforward.errors import UsageError

__all__ = ["Reweighted", "ess", "log_weights", "log_z", "log_z_error", "reweight"]


@dataclass(frozen=True)
class Reweighted:
    """Samples of a model with their statistical weights under an energy.

    Attributes:
        samples: shape ``(n, *shape)``, in the user's units.
        log_weights: ln w_i = -U(x_i) - ln q(x_i) in nats, float64, shape ``(n,)``; -inf if exp(-U) vanishes.
        ess: effective number of samples, in (0, n].
        log_z: ln Z-hat in nats.
        log_z_error: its standard error.
    """

    samples: Float[Tensor, "n *shape"]
    log_weights: Float[Tensor, "n"]
    ess: float
    log_z: float
    log_z_error: float

    def expectation(self, values: Float[Tensor, "n"]) -> tuple[float, float]:
        """Mean of an observable under the target, sum_i p_i f_i, and its standard error, in the observable's unit.

        The error is sqrt(sum_i p_i^2 (f_i - mean)^2), that of a ratio of two averages (Owen 2013, eq. 9.8).
        """
        shares, values = _shares(self.log_weights), values.double()
        mean = (shares * values).sum()
        return mean.item(), (shares * (values - mean)).square().sum().sqrt().item()

    def resample(self, count: int, seed: int = 0) -> Float[Tensor, "count *shape"]:
        """Unweighted samples of the target, drawn with replacement in proportion to their weights."""
        generator = torch.Generator().manual_seed(seed)
        rows = torch.multinomial(_shares(self.log_weights).cpu(), count, replacement=True, generator=generator)
        return self.samples[rows.to(self.samples.device)]


def reweight(
    energy: Energy, samples: Float[Tensor, "n *shape"], log_prob: Float[Tensor, "n"], batch: int = 4096
) -> Reweighted:
    """Weights of samples of a density under an energy.

    Arguments:
        energy: U.
        samples: of the density, in the units of the energy.
        log_prob: ln q of each, in nats, per unit of the same coordinates.
        batch: samples per evaluation of the energy.

    Raises:
        UsageError: if the numbers of samples differ, a log-density is not finite, or no sample has a finite energy.

    >>> from pushforward.energies import free_field
    >>> field = free_field(4)
    >>> x = field.sample(100)
    >>> round(reweight(field, x, -field(x) - field.facts.log_z).ess)
    100
    """
    with torch.no_grad():
        energies = torch.cat([energy(part) for part in samples.split(batch)])
    logs = log_weights(log_prob, energies)
    return Reweighted(samples, logs, ess(logs), log_z(logs), log_z_error(logs))


def log_weights(log_prob: Float[Tensor, "n"], energies: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """ln w_i = -U(x_i) - ln q(x_i) in nats, in float64; -inf if U is infinite or NaN.

    Raises:
        UsageError: if the shapes differ, a log-density is not finite, or an energy is -inf.
    """
    if log_prob.shape != energies.shape or log_prob.dim() != 1:
        raise UsageError(
            f"weights need one log-density and one energy per sample; "
            f"got shapes {tuple(log_prob.shape)} and {tuple(energies.shape)}"
        )
    log_prob, energies = log_prob.detach().double(), energies.detach().double()
    wrong = int((~log_prob.isfinite()).sum())
    if wrong:
        raise UsageError(f"{wrong} of {len(log_prob)} log-densities of the model at its own samples are not finite")
    if bool((energies == -math.inf).any()):
        raise UsageError("an energy is -inf: exp(-U) has no finite integral there")
    return torch.where(energies.isfinite(), -energies - log_prob, -math.inf)


def ess(log_weights: Float[Tensor, "n"], removed: float = 0.0) -> float:
    """Effective number of samples, in (0, n].

    Arguments:
        log_weights: in nats, up to a common constant.
        removed: fraction of samples to remove first at each end of the sorted weights. Published numbers often remove
            the largest weights; such a number is not an efficiency of unbiased estimates: quote it with the fraction.

    Raises:
        UsageError: if no weight is positive, or ``removed`` is not in [0, 0.5).
    """
    if not 0 <= removed < 0.5:
        raise UsageError(f"the fraction of weights removed at each end must be in [0, 0.5); got {removed}")
    out = int(removed * len(log_weights))
    kept = log_weights.sort().values[out : len(log_weights) - out]
    return 1 / _shares(kept).square().sum().item()


def log_z(log_weights: Float[Tensor, "n"]) -> float:
    """ln Z-hat = ln mean w_i, in nats.

    Raises:
        UsageError: if no weight is positive.
    """
    _check(log_weights)
    return log_weights.double().logsumexp(0).item() - math.log(len(log_weights))


def log_z_error(log_weights: Float[Tensor, "n"]) -> float:
    """Jackknife standard error of ln Z-hat, in nats; infinite for a single sample, or if one weight dominates fully.

    Raises:
        UsageError: if no weight is positive.
    """
    shares = _shares(log_weights)
    count = len(shares)
    changes = torch.log1p(-shares)
    if count < 2 or not bool(changes.isfinite().all()):
        return math.inf
    return math.sqrt((count - 1) * changes.var(unbiased=False).item())


def _shares(log_weights: Tensor) -> Tensor:
    """p_i = w_i / sum_j w_j."""
    _check(log_weights)
    return log_weights.double().softmax(0)


def _check(log_weights: Tensor) -> None:
    if not bool((log_weights > -math.inf).any()):
        raise UsageError(
            f"none of {len(log_weights)} samples has a finite energy, so all weights under the target are zero"
        )
