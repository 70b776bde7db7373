"""MAF: masked autoregressive flow, which scales and shifts every number by functions of the previous ones.

    z_i = x_i exp(s_i(x_1, ..., x_{i-1}, c)) + t_i(x_1, ..., x_{i-1}, c)

One pass gives a density. Samples are computed number by number, at the total cost of about one pass
(see `transforms.decoding`).

Source: Papamakarios, Pavlakou and Murray 2017 (arXiv:1705.07057).
"""

from __future__ import annotations

from pydantic import Field as Setting

from pushforward.models.chains import AutoregressiveSettings, autoregressive_chain
from pushforward.models.flow import Flow
from pushforward.transforms import Affine, Transform

__all__ = ["MAF"]


class MAFSettings(AutoregressiveSettings):
    """
    Attributes:
        limit: bound on the absolute log-scale of one transform, in nats.
    """

    limit: float = Setting(default=2.0, gt=0)


class MAF(Flow):
    """A masked autoregressive flow of vectors, with exact densities and codes.

    Raises:
        UsageError: if the space is not a vector.
    """

    Settings = MAFSettings
    settings: MAFSettings

    def chain(self) -> Transform:
        return autoregressive_chain(self.space, Affine(self.settings.limit), self.condition.numbers, self.settings)
