r"""Turn-around time: the noise level at which two ensembles can no longer be told apart by their power spectra.

On a path z = alpha x + sigma eps, the spectra of noised members of a and b are alpha^2 P_a + sigma^2 and
alpha^2 P_b + sigma^2. Their ratio is at most 1 + tau at every wavenumber if and only if

    sigma^2 / alpha^2 >= max_k (P_> - (1 + tau) P_<) / tau,      P_> = max(P_a, P_b),   P_< = min(P_a, P_b).

The earliest such time t* is where a member of a, noised by the process of a, may be taken for one of b: waves with more
power than the noise, which both ensembles share, are kept; the others are made anew by denoising. If the power of b
ends at a wavenumber k* from which P_a decreases, tau = 1 is the rule sigma^2 / alpha^2 = P_a(k*) of Bischoff & Deck.

References:
    Bischoff & Deck 2023, https://arxiv.org/abs/2305.01822; Meng et al. 2021, https://arxiv.org/abs/2108.01073
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.transport.path import Path, Straight

__all__ = ["turn_around_time"]

STRAIGHT = Straight()


def turn_around_time(
    power_a: Float[Tensor, " modes"], power_b: Float[Tensor, " modes"], path: Path = STRAIGHT, tolerance: float = 1.0
) -> float:
    """Earliest time at which the noised spectra agree within a fraction; 0 if they agree without noise.

    Arguments:
        power_a, power_b: mean powers of the two ensembles at each wavenumber (see `GaussianDenoiser.powers_of`), in
            units of those of the noise at sigma = 1.
        path: of the noise.
        tolerance: tau, the largest relative excess of one noised spectrum over the other.

    Raises:
        UsageError: if the tolerance is not positive.

    >>> turn_around_time(torch.tensor([4.0, 1.0]), torch.tensor([4.0, 0.0]))
    0.5
    """
    if not tolerance > 0:
        raise UsageError(f"the tolerance of a turn-around time must be positive, not {tolerance}")
    most, least = torch.maximum(power_a, power_b).double(), torch.minimum(power_a, power_b).double()
    ratio = ((most - (1 + tolerance) * least) / tolerance).max()
    return float(path.time(-ratio.log())) if ratio > 0 else 0.0
