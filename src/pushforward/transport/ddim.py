r"""DDIM, from deterministic to ancestral sampling.

Given E[x | z_t] and E[eps | z_t], a step to the less noisy time s < t is

    z_s = alpha_s E[x] + sqrt(sigma_s^2 - eta^2 v^2) E[eps] + eta v xi,      v^2 = sigma_s^2 (1 - SNR_t / SNR_s),

with fresh xi ~ N(0, I). v^2 is the variance of z_s given z_t and x, so eta = 1 is the ancestral sampler of DDPM, and
eta = 0 is deterministic. Only signal-to-noise ratios enter: the result does not depend on the path's scaling or clock.

References:
    Song, Meng & Ermon 2021, https://arxiv.org/abs/2010.02502, eq. 12 and 16
    Ho, Jain & Abbeel 2020, https://arxiv.org/abs/2006.11239, algorithm 2 (eta = 1)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from pushforward.errors import UsageError
from pushforward.randomness import Draws
from pushforward.transport.ode import Predictor
from pushforward.transport.path import Path

__all__ = ["ddim"]


def ddim(
    predict: Predictor, path: Path, times: Sequence[float], z: Tensor, draws: Draws | None = None, *, eta: float = 0.0
) -> Tensor:
    """Carry noise ``z`` (batch, ...) to the last of the falling ``times``.

    Arguments:
        predict: expected data and noise at a noisy batch and a moment.
        path: Gaussian path.
        times: from the noisiest, where ``z`` is given, to the cleanest.
        z: starting noise, shape (batch, ...).
        draws: source of the fresh noise; needed for eta > 0.
        eta: 0 is deterministic, 1 is ancestral.

    Raises:
        UsageError: if eta is outside [0, 1], or positive without draws.
    """
    if not 0 <= eta <= 1 or (eta > 0 and draws is None):
        raise UsageError(f"DDIM needs eta in [0, 1], and draws if eta > 0; given: eta={eta}, draws={draws}")
    moments = path.moments(times)
    for now, then in pairwise(moments):
        data, noise = predict(z, now)
        ratio = (now.alpha * then.sigma / (now.sigma * then.alpha)) ** 2
        fresh = eta * then.sigma * max(1 - ratio, 0.0) ** 0.5
        kept = max(then.sigma**2 - fresh**2, 0.0) ** 0.5
        z = then.alpha * data + kept * noise
        if fresh > 0 and draws is not None:
            z = z + fresh * draws.normal(*z.shape[1:])
    return z
