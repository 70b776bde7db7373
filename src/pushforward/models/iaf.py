"""IAF: inverse autoregressive flow, the inverse of a masked autoregressive flow.

    x_i = [z_i - t_i(z_1, ..., z_{i-1}, c)] exp(-s_i(z_1, ..., z_{i-1}, c))

One pass gives a sample and its density, as training on an energy requires; the density of given members is computed
number by number, with gradients by the implicit function theorem (see `transforms.autoregressive`).

Source: Kingma, Salimans, Jozefowicz, Chen, Sutskever and Welling 2016 (arXiv:1606.04934).
"""

from __future__ import annotations

from pushforward.models.chains import autoregressive_chain
from pushforward.models.maf import MAF
from pushforward.transforms import Affine, Transform

__all__ = ["IAF"]


class IAF(MAF):
    """An inverse autoregressive flow of vectors, with exact densities and codes; its settings are those of `MAF`.

    Raises:
        UsageError: if the space is not a vector.
    """

    def chain(self) -> Transform:
        affine = Affine(self.settings.limit)
        return autoregressive_chain(self.space, affine, self.condition.numbers, self.settings, inverse=True)
