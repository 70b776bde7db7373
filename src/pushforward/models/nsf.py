"""NSF: flows of monotone rational-quadratic splines.

A spline of a few bins is far more flexible than a scale and a shift, so fewer transforms suffice; on a one-dimensional
vector the model is a sequence of splines.

Source: Durkan, Bekasov, Murray and Papamakarios 2019 (Neural spline flows, arXiv:1906.04032).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Setting

from pushforward.models.chains import (
    AutoregressiveSettings,
    CouplingSettings,
    autoregressive_chain,
    coupling_chain,
)
from pushforward.models.flow import Flow
from pushforward.transforms import Spline, Transform

__all__ = ["NSF"]


class NSFSettings(CouplingSettings):
    """
    Attributes:
        couplings: number of transforms in the chain; on a field, in the chain of each level. None follows from
            the space.
        conditioner: dependence of a value's spline: on the kept part of a "coupling", which samples in one pass, or on
            all previous values, "autoregressive", for vectors, which fits better and samples value by value.
        bins: number of bins per spline.
        bound: the splines act on [-bound, bound], in network units of standard deviation one.
    """

    conditioner: Literal["coupling", "autoregressive"] = "coupling"
    bins: int = Setting(default=8, ge=2)
    bound: float = Setting(default=5.0, gt=0)


class NSF(Flow):
    """A neural spline flow, with exact densities and codes.

    Raises:
        UsageError: unless the space is a vector or a field, or a vector if the conditioner is autoregressive.
    """

    Settings = NSFSettings
    takes_field = True
    settings: NSFSettings

    def chain(self) -> Transform:
        spline = Spline(self.settings.bins, self.settings.bound)
        settings = self.settings
        if settings.conditioner == "coupling":
            channels, given_field = self.condition.channels, self.condition.field is not None
            return coupling_chain(self.space, spline, channels, settings, given_field=given_field)
        sizes = AutoregressiveSettings(
            transforms=settings.couplings or 5,
            width=settings.width or 128,
            depth=settings.depth,
            circles=settings.circles,
            circle_bins=settings.circle_bins,
        )
        return autoregressive_chain(self.space, spline, self.condition.numbers, sizes)
