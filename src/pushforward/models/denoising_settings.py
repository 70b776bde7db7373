"""Settings of the models that learn a flow from noise to data: of the network, and of sampling."""

from __future__ import annotations

import math

from pydantic import Field as Setting

from pushforward.errors import UsageError
from pushforward.models.settings import Settings
from pushforward.transport import Method, Spacing

__all__ = ["DenoisingSampling", "DenoisingSettings"]


class DenoisingSettings(Settings):
    """
    Attributes:
        network: of a field, ``unet`` or ``transformer``; None is the U-Net. For any space, ``module`` or
            ``module:Class`` of your own (see `networks.custom`), which receives ``width`` and ``depth`` if set.
        width: hidden features of a vector's network, channels at a field's full resolution, features of a transformer's
            patch; None follows from the space.
        depth: residual blocks, for a field at each resolution; None follows from the space.
        patch: cells along each side of a transformer's patch; None follows from the grid.
        multipliers: channels of each resolution of a field in units of ``width``; None follows from the grid.
        condition_dropout: fraction of the samples whose condition is withheld in training, so that the network also
            learns the unconditional distribution, as guidance requires.
    """

    network: str | None = None
    width: int | None = Setting(default=None, ge=1)
    patch: int | None = Setting(default=None, ge=1)
    depth: int | None = Setting(default=None, ge=1)
    multipliers: tuple[int, ...] | None = None
    condition_dropout: float = Setting(default=0.1, ge=0, lt=1)


class DenoisingSampling(Settings):
    """
    Attributes:
        method: ``adams``, ``euler``, ``heun``, ``midpoint`` and ``rk4`` integrate the non-Gaussian part of the
            probability flow, and so does ``dopri5``, with adaptive steps controlled by ``rtol`` and ``atol``; ``ddim``
            and ``dpm-solver`` are deterministic too, ``ancestral`` is random, and the randomness of ``sde`` and ``edm``
            is adjustable.
        steps: number of steps from noise to data; one network call each, but two for heun, midpoint and edm, and four
            for rk4.
        spacing: equally spaced quantity: the time of the straight line (``uniform``), the angle arctan(sigma / alpha)
            (``angle``), the log signal-to-noise ratio (``log-snr``), or the seventh root of sigma / alpha (``karras``);
            None is ``karras`` for edm and ``uniform`` otherwise.
        guidance: weight of the conditional against the unconditional estimate; 1 samples the learnt conditional
            distribution, more exaggerates the condition.
        eta: of ``ddim``: 0 is deterministic, 1 is ancestral.
        stochasticity: of ``sde``: 0 is the probability flow, 1 the reversed diffusion; more is allowed.
        S_churn, S_min, S_max, S_noise: of ``edm``: amount of fresh noise, range of sigma / alpha, and standard
            deviation of the noise.
        rtol, atol: of ``dopri5``: relative and absolute error per step, in network units.
        matched: correct samples of homogeneous fields to P(k) and the values of members (see `models.matched_flow`).
    """

    method: Method = "adams"
    steps: int = Setting(default=20, ge=1)
    spacing: Spacing | None = None
    guidance: float = Setting(default=1.0, ge=0)
    eta: float = Setting(default=0.0, ge=0, le=1)
    stochasticity: float = Setting(default=1.0, ge=0)
    S_churn: float = Setting(default=0.0, ge=0)
    S_min: float = Setting(default=0.0, ge=0)
    S_max: float = Setting(default=math.inf, gt=0)
    S_noise: float = Setting(default=1.0, gt=0)
    rtol: float = Setting(default=1e-5, gt=0)
    atol: float = Setting(default=1e-5, gt=0)
    matched: bool = True

    def of_the_method(self) -> dict[str, float]:
        """Settings of the chosen method.

        Raises:
            UsageError: if a setting of another method was given.
        """
        for method, names in _OPTIONS.items():
            strange = self.model_fields_set.intersection(names)
            if method != self.method and strange:
                raise UsageError(f"{min(strange)} is a setting of method={method}, but method={self.method} was chosen")
        return {name: getattr(self, name) for name in _OPTIONS.get(self.method, ())}

    def is_random(self) -> bool:
        """Whether the method adds fresh noise."""
        options = self.of_the_method()
        return self.method == "ancestral" or any(options.get(name) for name in ("eta", "stochasticity", "S_churn"))


_OPTIONS: dict[Method, tuple[str, ...]] = {
    "ddim": ("eta",),
    "sde": ("stochasticity",),
    "edm": ("S_churn", "S_min", "S_max", "S_noise"),
    "dopri5": ("rtol", "atol"),
}
