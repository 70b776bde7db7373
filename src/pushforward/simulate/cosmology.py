"""The linear power spectrum of a flat LCDM universe, in units of h/Mpc and (Mpc/h)^3.

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
from scipy.special import hyp2f1

from pushforward.errors import UsageError

__all__ = ["Cosmology"]

Array = NDArray[np.float64]
_CMB_TEMPERATURE = 2.7255
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
        wiggles: keep the baryon acoustic oscillations (EH98 eq. 16) or take the smooth form (EH98 eq. 29).

    Raises:
        UsageError: if a density, sigma_8 or h is not positive, Omega_m exceeds 1, or there are more baryons than matter.

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
        """Omega_m(z), the share of matter in the energy density at redshift ``z``."""
        matter = self.Omega_m * (1 + z) ** 3
        return matter / (matter + 1 - self.Omega_m)

    def growth(self, z: float = 0.0) -> float:
        """Growth factor D(z) of linear perturbations, D(0) = 1.

        The growing mode D ~ H(a) int da / (a H)^3 (Heath 1977) is, in a flat universe,
        a 2F1(1/3, 1; 11/6; -a^3 Omega_Lambda / Omega_m).
        """
        lambda_over_matter = (1 - self.Omega_m) / self.Omega_m

        def unnormalised(a: float) -> float:
            return a * float(hyp2f1(1 / 3, 1, 11 / 6, -(a**3) * lambda_over_matter))

        return unnormalised(1 / (1 + z)) / unnormalised(1.0)

    def second_order_growth(self, z: float = 0.0) -> float:
        """Growth factor of the second-order displacement, D2 = -3/7 D^2 Omega_m(z)^{-1/143}.

        Bouchet, Colombi, Hivon & Juszkiewicz (1995, A&A 296, 575), good to 0.6 % for Omega_m > 0.1.
        """
        return -3 / 7 * self.growth(z) ** 2 * self.matter_fraction(z) ** (-1 / 143)

    def transfer(self, k: ArrayLike) -> Array:
        """Transfer function T(k) of Eisenstein & Hu (1998), T -> 1 at small k; ``k`` in h/Mpc."""
        wavenumber = np.asarray(k, dtype=np.float64) * self.h
        return self._transfer_with_wiggles(wavenumber) if self.wiggles else self._transfer_smooth(wavenumber)

    def linear_power(self, k: ArrayLike, z: float = 0.0) -> Array:
        """Linear power spectrum P(k, z) in (Mpc/h)^3, for ``k`` in h/Mpc; zero at k = 0."""
        return self._amplitude * self.growth(z) ** 2 * self._shape(k)

    def sigma(self, radius: float, z: float = 0.0) -> float:
        """Standard deviation of the linear overdensity in spheres of ``radius`` Mpc/h."""
        return self.growth(z) * float(np.sqrt(self._amplitude * self._unnormalised_variance(radius)))

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
        # The closed form loses all its digits to cancellation at small x, where the series is exact.
        small = x < 1e-2
        window = np.where(small, 1 - x**2 / 10, 0.0)
        window[~small] = (3 * (np.sin(x) - x * np.cos(x)) / x**3)[~small]
        return float(np.trapezoid(k**3 * self._shape(k) * window**2 / (2 * np.pi**2), np.log(k)))

    def _sound_horizon_scales(self) -> tuple[float, float, float, float]:
        """Sound horizon s [Mpc], k_eq and k_silk [1/Mpc], and R at the drag epoch: EH98 eqs. 2-7."""
        matter = self.Omega_m * self.h**2
        baryons = self.Omega_b * self.h**2
        theta = _CMB_TEMPERATURE / 2.7
        z_eq = 2.50e4 * matter * theta**-4
        k_eq = 7.46e-2 * matter * theta**-2
        b1 = 0.313 * matter**-0.419 * (1 + 0.607 * matter**0.674)
        b2 = 0.238 * matter**0.223
        z_drag = 1291 * matter**0.251 / (1 + 0.659 * matter**0.828) * (1 + b1 * baryons**b2)
        r_drag = 31.5 * baryons * theta**-4 * (1e3 / z_drag)
        r_eq = 31.5 * baryons * theta**-4 * (1e3 / z_eq)
        log_term = np.log((np.sqrt(1 + r_drag) + np.sqrt(r_drag + r_eq)) / (1 + np.sqrt(r_eq)))
        sound_horizon = 2 / (3 * k_eq) * np.sqrt(6 / r_eq) * log_term
        k_silk = 1.6 * baryons**0.52 * matter**0.73 * (1 + (10.4 * matter) ** -0.95)
        return float(sound_horizon), float(k_eq), float(k_silk), float(r_drag)

    def _transfer_with_wiggles(self, k: Array) -> Array:
        """EH98 section 3: T = f_b T_b + f_c T_c, eq. 16; ``k`` in 1/Mpc."""
        matter = self.Omega_m * self.h**2
        f_b = self.Omega_b / self.Omega_m
        f_c = 1 - f_b
        s, k_eq, k_silk, r_drag = self._sound_horizon_scales()
        z_eq = 2.50e4 * matter * (_CMB_TEMPERATURE / 2.7) ** -4
        z_drag_ratio = (1 + z_eq) / (1 + self._drag_redshift(r_drag))
        k = np.maximum(k, 1e-12)
        q = k / (13.41 * k_eq)

        def pressureless(alpha: float, beta: float) -> Array:
            """T_0 of eqs. 19 and 20."""
            log_term = np.log(np.e + 1.8 * beta * q)
            c = 14.2 / alpha + 386 / (1 + 69.9 * q**1.08)
            return log_term / (log_term + c * q**2)

        a1 = (46.9 * matter) ** 0.670 * (1 + (32.1 * matter) ** -0.532)
        a2 = (12.0 * matter) ** 0.424 * (1 + (45.0 * matter) ** -0.582)
        alpha_c = a1**-f_b * a2 ** (-(f_b**3))
        b1 = 0.944 / (1 + (458 * matter) ** -0.708)
        b2 = (0.395 * matter) ** -0.0266
        beta_c = 1 / (1 + b1 * (f_c**b2 - 1))
        f = 1 / (1 + (k * s / 5.4) ** 4)
        cold = f * pressureless(1.0, beta_c) + (1 - f) * pressureless(alpha_c, beta_c)

        y = z_drag_ratio
        root = np.sqrt(1 + y)
        g = y * (-6 * root + (2 + 3 * y) * np.log((root + 1) / (root - 1)))
        alpha_b = 2.07 * k_eq * s * (1 + r_drag) ** -0.75 * g
        beta_node = 8.41 * matter**0.435
        beta_b = 0.5 + f_b + (3 - 2 * f_b) * np.sqrt((17.2 * matter) ** 2 + 1)
        s_tilde = s / (1 + (beta_node / (k * s)) ** 3) ** (1 / 3)
        baryonic = (
            pressureless(1.0, 1.0) / (1 + (k * s / 5.2) ** 2)
            + alpha_b / (1 + (beta_b / (k * s)) ** 3) * np.exp(-((k / k_silk) ** 1.4))
        ) * np.sinc(k * s_tilde / np.pi)
        return f_b * baryonic + f_c * cold

    def _drag_redshift(self, r_drag: float) -> float:
        return 31.5 * self.Omega_b * self.h**2 * (_CMB_TEMPERATURE / 2.7) ** -4 * 1e3 / r_drag

    def _transfer_smooth(self, k: Array) -> Array:
        """EH98 section 4.2, the form without oscillations: eqs. 26 and 28-31; ``k`` in 1/Mpc."""
        matter = self.Omega_m * self.h**2
        baryons = self.Omega_b * self.h**2
        f_b = self.Omega_b / self.Omega_m
        s = 44.5 * np.log(9.83 / matter) / np.sqrt(1 + 10 * baryons**0.75)
        alpha = 1 - 0.328 * np.log(431 * matter) * f_b + 0.38 * np.log(22.3 * matter) * f_b**2
        gamma = self.Omega_m * self.h * (alpha + (1 - alpha) / (1 + (0.43 * k * s) ** 4))
        q = k / self.h * (_CMB_TEMPERATURE / 2.7) ** 2 / gamma
        log_term = np.log(2 * np.e + 1.8 * q)
        return log_term / (log_term + (14.2 + 731 / (1 + 62.5 * q)) * q**2)
