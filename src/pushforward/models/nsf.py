"""NSF: flows of monotone rational-quadratic splines.

A spline of a few bins reshapes a distribution far more than a scale and a shift can, so that fewer transforms suffice;
on a vector of one number the model is one spline after another.

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
        couplings: transforms in the chain; on a field, in the chain of each level. None chooses by the space.
        conditioner: what a value's spline depends on: the kept part of a "coupling", which samples in one pass, or all
            values before it, "autoregressive", for vectors, which fits more closely and samples value by value.
        bins: of each spline.
        bound: the splines act on [-bound, bound], in network units of standard deviation one.
    """

    conditioner: Literal["coupling", "autoregressive"] = "coupling"
    bins: int = Setting(default=8, ge=2)
    bound: float = Setting(default=5.0, gt=0)


class NSF(Flow):
    """A neural spline flow, with exact densities and codes.

    Raises:
        UsageError: if the space is neither a vector nor a field, or not a vector where the conditioner is
            autoregressive.
    """

    Settings = NSFSettings
    settings: NSFSettings

    def chain(self) -> Transform:
        spline = Spline(self.settings.bins, self.settings.bound)
        settings = self.settings
        if settings.conditioner == "coupling":
            return coupling_chain(self.space, spline, self.condition.numbers, settings)
        sizes = AutoregressiveSettings(
            transforms=settings.couplings or 5, width=settings.width or 128, depth=settings.depth
        )
        return autoregressive_chain(self.space, spline, self.condition.numbers, sizes)
