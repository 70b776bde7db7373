r"""Normalisation of the mean power of generated fields, in every shell of wavenumber.

A critic sees thousands of small structures in a batch, but few of the longest waves, so that a game holds their power
only loosely. It is known without a game (`GaussianField`), and is therefore taken out of it: with P the mean power in a
batch of generated whitened fields x, and R its running mean,

    y_k = x_k / sqrt(R(k)),

with the gradient of x_k / sqrt(P(k)), which a common factor of a shell leaves zero (Ioffe 2017, arXiv:1702.03275: batch
renormalisation). The weights of a sampler are averages over the course of training, for which R was never measured, and
R is one spectrum for all conditions: so samples are whitened, at their condition, by a `GaussianField` fitted to draws
of that sampler.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.tensors.processes import joined_rows
from pushforward.transport import GaussianDenoiser

__all__ = ["PowerNormalisation"]


class PowerNormalisation(nn.Module):
    """Divide the mean power of generated fields out, in every shell.

    Arguments:
        spectrum: whose shells are used; it has the same space as the fields.
    """

    momentum = 0.05
    """Weight of a batch in R."""
    smallest = 1e-6

    power: Tensor

    def __init__(self, spectrum: GaussianDenoiser) -> None:
        super().__init__()
        # White noise, which a generator makes at first, has unit power.
        self.register_buffer("power", torch.ones(len(spectrum.raw_log_power)))

    def forward(
        self, x: Float[Tensor, "batch *shape"], spectrum: GaussianDenoiser, *, update: bool = False
    ) -> Float[Tensor, "batch *shape"]:
        """Normalised fields.

        Arguments:
            x: generated fields.
            spectrum: as given to the constructor.
            update: add the batch, of all processes, to the running mean.
        """
        modes = spectrum.modes(x)
        found = spectrum.shell_powers(modes)
        if update:
            with torch.no_grad():
                self.power.lerp_(joined_rows(found).mean(0), self.momentum)
        batch = found.mean(0).clamp(min=self.smallest)
        factor = (batch.detach() / batch).sqrt() * self.power.clamp(min=self.smallest).rsqrt()
        return spectrum.field(modes * factor[spectrum.index])
