r"""RealNVP: couplings that scale and shift part of a sample by functions of the rest.

    z_c = x_c exp(s(x_k, c)) + t(x_k, c),     z_k = x_k

One pass gives a density, and one pass a sample.

Source: Dinh, Sohl-Dickstein and Bengio 2017 (arXiv:1605.08803); see `chains` for the transforms between the couplings.
"""

from __future__ import annotations

from pydantic import Field as Setting

from pushforward.models.chains import CouplingSettings, coupling_chain
from pushforward.models.flow import Flow
from pushforward.transforms import Affine, Transform

__all__ = ["RealNVP"]


class RealNVPSettings(CouplingSettings):
    """
    Attributes:
        limit: bound on the absolute log-scale of one coupling, in nats.
    """

    limit: float = Setting(default=2.0, gt=0)


class RealNVP(Flow):
    """A normalizing flow of affine couplings, with exact densities and codes.

    On a one-dimensional vector an affine coupling only shifts and scales by functions of the condition, so the model is
    a conditional normal distribution.

    Raises:
        UsageError: unless the space is a vector or a field whose grid can be halved.
    """

    Settings = RealNVPSettings
    takes_field = True
    settings: RealNVPSettings

    def chain(self) -> Transform:
        affine, given_field = Affine(self.settings.limit), self.condition.field is not None
        return coupling_chain(self.space, affine, self.condition.channels, self.settings, given_field=given_field)
