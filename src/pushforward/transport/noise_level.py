r"""Effective noise level of a sample under noise of random strength.

Student-t noise is Gaussian noise of a random scale, sigma sqrt(tau) with tau = D / c, c ~ chi^2_D. The best denoiser
depends on tau, which a sample determines more precisely the further out it lies. For white Gaussian data of unit
variance and n = |z|^2 / N the posterior of tau is one-dimensional,

    p(tau | z) ~ p(tau) v^(-N/2) exp(-N n / (2 v)),      v = alpha^2 + sigma^2 tau,

and the expected data are E[x | z] = alpha E[1 / v] z, those of a plain Gaussian path at the noise level

    sigma_z^2 = E[sigma^2 tau / v] / E[1 / v].

A network that is given sigma_z in place of sigma has inputs and targets of order one even in the far tail of D = 1,
without clipping any draw; as D grows sigma_z tends to sigma.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from scipy.special import gammainccinv, gammaincinv
from torch import Tensor, nn

from pushforward.transport.path import Moment

__all__ = ["NoiseLevel"]


class NoiseLevel(nn.Module):
    """sigma_z of each sample, by quadrature over log(tau).

    Arguments:
        size: N, numbers per sample.
        degrees: D of the noise.
    """

    # Effective number of independent values per sample: those of a field are correlated, and data are not Gaussian.
    evidence = 4
    # Probability beyond either end of the nodes; `more` nodes extend them towards strong noise.
    tail = 1e-6
    more = 6
    # sigma_z / sigma has a limit as sigma falls to 0; it is evaluated at this sigma.
    smallest = 1e-5

    scale: Tensor
    log_prior: Tensor

    def __init__(self, size: int, degrees: float) -> None:
        super().__init__()
        self.counted = min(size, self.evidence)
        half = degrees / 2
        weakest, strongest = half / gammainccinv(half, self.tail), half / gammaincinv(half, self.tail)
        # The posterior of log(tau) is no narrower than about sqrt(2 / (evidence + D)).
        spacing = math.sqrt(2 / (self.evidence + degrees))
        span = math.log(strongest / weakest) + self.more * spacing
        nodes = math.ceil(span / spacing) + 1
        log_scale = math.log(weakest) + span * torch.linspace(0, 1, nodes, dtype=torch.float64)
        # tau^-(D/2) exp(-D / (2 tau)) on a uniform grid of log(tau), in a form that loses no digits at large D.
        log_prior = -half * (log_scale + torch.expm1(-log_scale))
        self.register_buffer("scale", log_scale.exp().float(), persistent=False)
        self.register_buffer("log_prior", log_prior.log_softmax(0).float(), persistent=False)

    def forward(self, z: Float[Tensor, "batch *shape"], moment: Moment) -> tuple[Moment, Tensor]:
        """The moment with sigma_z in place of sigma, and the ratio sigma_z / sigma."""
        with torch.autocast(z.device.type, enabled=False):
            each = (-1, *[1] * (z.dim() - 1))
            floor = torch.as_tensor(moment.sigma, dtype=z.dtype, device=z.device).clamp(min=self.smallest)
            sigma = floor.reshape(-1, 1)
            alpha = torch.as_tensor(moment.alpha, dtype=z.dtype, device=z.device).reshape(-1, 1)
            noise = sigma**2 * self.scale.to(z.dtype)
            variance = alpha**2 + noise
            # Its square must be finite in single precision.
            mean_square = z.flatten(1).clamp(-1e15, 1e15).square().mean(1, keepdim=True)
            # sigma_z^2 is the mean of sigma^2 tau over p(tau | z) / v.
            half = self.counted / 2
            log_weight = self.log_prior.to(z.dtype) - (half + 1) * variance.log() - half * mean_square / variance
            level = (log_weight.softmax(1) * noise).sum(1).sqrt()
            ratio = (level / sigma[:, 0]).reshape(each)
            return moment._replace(sigma=ratio * moment.sigma), ratio
