"""Linear power spectrum of a flat LCDM universe, in units of h/Mpc and (Mpc/h)^3.

    P(k, z) = A k^{n_s} T(k)^2 D(z)^2,        A such that sigma(8 Mpc/h, z=0) = sigma_8

with the transfer function T of Eisenstein & Hu (1998, ApJ 496, 605; "EH98" below), with the acoustic oscillations of
their section 3 or in the smooth form of their section 4.2, and the growth factor D of matter and a cosmological
constant, radiation neglected, normalised to one today.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid

from pushforward.errors import UsageError
from pushforward.simulate.eisenstein_hu import smooth_transfer, transfer
from pushforward.simulate.expansion import Expansion

__all__ = ["Cosmology"]

Array = NDArray[np.float64]
_SIGMA_WAVENUMBERS = np.geomspace(1e-5, 1e2, 4096)


@dataclass(frozen=True)
class Cosmology:
    """A flat universe of matter and a cosmological constant.

    Arguments:
        Omega_m: matter density today, baryons included, in units of the critical density.
        sigma_8: standard deviation today of the linear overdensity in spheres of 8 Mpc/h.
        h: Hubble constant in units of 100 km/s/Mpc.
        Omega_b: baryon density today, in units of the critical density.
        n_s: slope of the primordial power spectrum.
        wiggles: include the baryon acoustic oscillations (EH98 section 3) or use the smooth form (section 4.2).

    Raises:
        UsageError: unless 0 < Omega_b < Omega_m <= 1, sigma_8 > 0 and h > 0.

    The defaults of h, Omega_b and n_s are those of the CAMELS and Quijote simulations.
    """

    Omega_m: float = 0.3
    sigma_8: float = 0.8
    h: float = 0.6711
    Omega_b: float = 0.049
    n_s: float = 0.9624
    wiggles: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.Omega_b < self.Omega_m <= 1:
            raise UsageError(
                f"a flat universe needs 0 < Omega_b < Omega_m <= 1; got Omega_b={self.Omega_b}, Omega_m={self.Omega_m}"
            )
        if self.sigma_8 <= 0 or self.h <= 0:
            raise UsageError(f"sigma_8 and h must be positive; got sigma_8={self.sigma_8}, h={self.h}")

    def matter_fraction(self, z: float = 0.0) -> float:
        """Omega_m(z), the matter fraction of the energy density at redshift ``z``."""
        return float(self._expansion.matter_fraction(1 / (1 + z)))

    def growth(self, z: float = 0.0) -> float:
        """Growth factor D(z) of linear perturbations, D(0) = 1."""
        return float(self._expansion.growth(1 / (1 + z)) / self._expansion.growth(1.0))

    def hubble(self, z: float = 0.0) -> float:
        """Expansion rate E(z) = H(z) / H_0."""
        return float(self._expansion.rate(1 / (1 + z)))

    def growth_rate(self, z: float = 0.0) -> float:
        """Growth rate f(z) = dln D / dln a."""
        return float(self._expansion.growth_rate(1 / (1 + z)))

    def second_order_growth_rate(self, z: float = 0.0) -> float:
        """Growth rate dln D2 / dln a of `second_order_growth`."""
        return 2 * self.growth_rate(z) + 3 / 143 * (1 - self.matter_fraction(z))

    def second_order_growth(self, z: float = 0.0) -> float:
        """Growth factor of the second-order displacement, D2 = -3/7 D^2 Omega_m(z)^{-1/143}.

        Bouchet, Colombi, Hivon & Juszkiewicz (1995, A&A 296, 575), accurate to 0.6 % for Omega_m > 0.1.
        """
        return -3 / 7 * self.growth(z) ** 2 * self.matter_fraction(z) ** (-1 / 143)

    def transfer(self, k: ArrayLike) -> Array:
        """Transfer function T(k) of Eisenstein & Hu (1998), T -> 1 at small k; ``k`` in h/Mpc."""
        wavenumber = np.asarray(k, dtype=np.float64) * self.h
        matter, baryons = self.Omega_m * self.h**2, self.Omega_b * self.h**2
        if self.wiggles:
            return transfer(wavenumber, matter, baryons)
        return smooth_transfer(wavenumber, matter, baryons, self.h)

    def linear_power(self, k: ArrayLike, z: float = 0.0) -> Array:
        """Linear power spectrum P(k, z) in (Mpc/h)^3, for ``k`` in h/Mpc; zero at k = 0."""
        return self._amplitude * self.growth(z) ** 2 * self._shape(k)

    def sigma(self, radius: float, z: float = 0.0) -> float:
        """Standard deviation of the linear overdensity in spheres of ``radius`` Mpc/h."""
        return self.growth(z) * float(np.sqrt(self._amplitude * self._unnormalised_variance(radius)))

    @property
    def _expansion(self) -> Expansion:
        return Expansion(self.Omega_m)

    @cached_property
    def _amplitude(self) -> float:
        return self.sigma_8**2 / self._unnormalised_variance(8.0)

    def _shape(self, k: ArrayLike) -> Array:
        wavenumber = np.asarray(k, dtype=np.float64)
        return wavenumber**self.n_s * self.transfer(wavenumber) ** 2

    def _unnormalised_variance(self, radius: float) -> float:
        """int dlnk k^3 P(k) W(kR)^2 / (2 pi^2) with the top-hat window W(x) = 3 (sin x - x cos x) / x^3."""
        k = _SIGMA_WAVENUMBERS
        x = k * radius
        # At small x the closed form cancels to noise, and the series is exact.
        small = x < 1e-2
        window = np.where(small, 1 - x**2 / 10, 0.0)
        window[~small] = (3 * (np.sin(x) - x * np.cos(x)) / x**3)[~small]
        return float(trapezoid(k**3 * self._shape(k) * window**2 / (2 * np.pi**2), np.log(k)))
