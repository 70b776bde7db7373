r"""Mixtures of logistic distributions as increasing maps: the transform of neural autoregressive flows.

With weights w_m that sum to one, scales a_m > 0 and offsets b_m,

    z = ε x + (1 - ε) logit Σ_m w_m σ(a_m x + b_m),

the logit of a cumulative distribution with M modes. The linear part bounds the slope from below, so that the inverse,
which has no closed form, is well conditioned even between two distant modes. Sums are evaluated as logarithms, which
keeps the tails exact where σ itself rounds to zero or one.

Source: Huang, Krueger, Lacoste and Courville 2018 (Neural autoregressive flows, arXiv:1804.00779), equations 8 and 9,
without the linear part.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from pushforward.tensors import in_single
from pushforward.transforms.monotone import Monotone, bounded, check_positive
from pushforward.transforms.roots import increasing_root

__all__ = ["Sigmoidal"]


class Sigmoidal(Monotone):
    """Logit of a mixture of ``components`` logistic distributions, inverted by a bracketed Newton method.

    Its ``3 components`` parameters are raw log-weights, log-scales and offsets. All zeros give equally spaced modes,
    since identical components would stay identical.

    Arguments:
        components: number of modes.
        limit: bound on the absolute log-weights and log-scales.
        linear: fraction ε of the identity, the smallest possible slope.
    """

    def __init__(self, components: int = 8, limit: float = 3.0, linear: float = 0.05) -> None:
        check_positive(components=components, limit=limit, linear=linear)
        self.components = components
        self.limit = limit
        self.linear = linear
        self.parameters = 3 * components

    @in_single
    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return self._mixture(x, *self._natural(parameters))

    @in_single
    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        log_weights, log_scales, offsets = self._natural(parameters)
        with torch.no_grad():
            # The logit of a mixture lies between the smallest and the largest of its components' logits, all linear.
            share = 1 - self.linear
            roots = (z - share * offsets) / (self.linear + share * log_scales.exp())
            margin = 1e-3 * (1 + z.abs())
            low, high = roots.amin(0) - margin, roots.amax(0) + margin
        x = increasing_root(lambda x: self._mixture(x, log_weights, log_scales, offsets), z, low, high)
        return x, -self._mixture(x, log_weights, log_scales, offsets)[1]

    def _natural(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-weights, log-scales and offsets, each (components, *shape)."""
        weights, scales, offsets = parameters.chunk(3)
        centres = torch.linspace(-2, 2, self.components, dtype=offsets.dtype, device=offsets.device)
        log_weights = torch.log_softmax(bounded(weights, self.limit), 0)
        return log_weights, bounded(scales, self.limit), offsets + centres.view(-1, *[1] * (offsets.dim() - 1))

    def _mixture(self, x: Tensor, log_weights: Tensor, log_scales: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        logits = torch.addcmul(offsets, x, log_scales.exp())
        below, above = functional.logsigmoid(logits), functional.logsigmoid(-logits)
        log_below = torch.logsumexp(log_weights + below, 0)
        log_above = torch.logsumexp(log_weights + above, 0)
        log_density = torch.logsumexp(log_weights + log_scales + below + above, 0)
        log_slope = log_density - log_below - log_above
        share = 1 - self.linear
        return self.linear * x + share * (log_below - log_above), (self.linear + share * log_slope.exp()).log()
