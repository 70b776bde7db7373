"""Matter transfer function of Eisenstein & Hu (1998, ApJ 496, 605), with their symbols and equation numbers.

    T(k) = Omega_b / Omega_0 T_b(k) + Omega_c / Omega_0 T_c(k)          (eq. 16)

Wavenumbers here are in 1/Mpc, and densities are the physical ones, omega = Omega h^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["smooth_transfer", "transfer"]

Array = NDArray[np.float64]
_THETA = 2.7255 / 2.7  # temperature of the microwave background in units of 2.7 K


@dataclass(frozen=True)
class _Epochs:
    """Matter-radiation equality, the drag epoch, and the scales set by them.

    Attributes:
        z_eq, k_eq: redshift and horizon wavenumber of equality, eqs. 2 and 3.
        z_d: redshift of the drag epoch, eq. 4.
        R_d: ratio of the momentum densities of baryons and photons then, eq. 5.
        s: sound horizon then, in Mpc, eq. 6.
        k_silk: wavenumber of Silk damping, eq. 7.
    """

    z_eq: float
    k_eq: float
    z_d: float
    R_d: float
    s: float
    k_silk: float


def _epochs(matter: float, baryons: float) -> _Epochs:
    z_eq = 2.50e4 * matter * _THETA**-4
    k_eq = 7.46e-2 * matter * _THETA**-2
    b1 = 0.313 * matter**-0.419 * (1 + 0.607 * matter**0.674)
    b2 = 0.238 * matter**0.223
    z_d = 1291 * matter**0.251 / (1 + 0.659 * matter**0.828) * (1 + b1 * baryons**b2)
    r_d, r_eq = (31.5 * baryons * _THETA**-4 * (1e3 / z) for z in (z_d, z_eq))
    log_term = np.log((np.sqrt(1 + r_d) + np.sqrt(r_d + r_eq)) / (1 + np.sqrt(r_eq)))
    s = float(2 / (3 * k_eq) * np.sqrt(6 / r_eq) * log_term)
    k_silk = 1.6 * baryons**0.52 * matter**0.73 * (1 + (10.4 * matter) ** -0.95)
    return _Epochs(z_eq, k_eq, z_d, r_d, s, k_silk)


def transfer(k: Array, matter: float, baryons: float) -> Array:
    """T(k) with the acoustic oscillations of section 3; T -> 1 at small k.

    Arguments:
        k: wavenumbers in 1/Mpc, not negative.
        matter: Omega_0 h^2, baryons included.
        baryons: Omega_b h^2.
    """
    k = np.maximum(k, 1e-12)  # the formulas divide by k; at this k they have reached their limit at 0
    epochs = _epochs(matter, baryons)
    f_b = baryons / matter
    q = k / (13.41 * epochs.k_eq)
    cold = _cold(k, q, matter, f_b, epochs)
    return f_b * _baryons(k, q, matter, f_b, epochs) + (1 - f_b) * cold


def _pressureless(q: Array, alpha: float, beta: float) -> Array:
    """T~_0(k, alpha_c, beta_c), eqs. 19 and 20."""
    log_term = np.log(np.e + 1.8 * beta * q)
    return log_term / (log_term + (14.2 / alpha + 386 / (1 + 69.9 * q**1.08)) * q**2)


def _cold(k: Array, q: Array, matter: float, f_b: float, epochs: _Epochs) -> Array:
    """T_c, eqs. 11, 12, 17 and 18."""
    a1 = (46.9 * matter) ** 0.670 * (1 + (32.1 * matter) ** -0.532)
    a2 = (12.0 * matter) ** 0.424 * (1 + (45.0 * matter) ** -0.582)
    alpha = a1**-f_b * a2 ** -(f_b**3)
    b1 = 0.944 / (1 + (458 * matter) ** -0.708)
    b2 = (0.395 * matter) ** -0.0266
    beta = 1 / (1 + b1 * ((1 - f_b) ** b2 - 1))
    f = 1 / (1 + (k * epochs.s / 5.4) ** 4)
    return f * _pressureless(q, 1.0, beta) + (1 - f) * _pressureless(q, alpha, beta)


def _baryons(k: Array, q: Array, matter: float, f_b: float, epochs: _Epochs) -> Array:
    """T_b, eqs. 14, 15 and 21-24."""
    s = epochs.s
    y = (1 + epochs.z_eq) / (1 + epochs.z_d)
    root = np.sqrt(1 + y)
    g = y * (-6 * root + (2 + 3 * y) * np.log((root + 1) / (root - 1)))
    alpha = 2.07 * epochs.k_eq * s * (1 + epochs.R_d) ** -0.75 * g
    beta = 0.5 + f_b + (3 - 2 * f_b) * np.sqrt((17.2 * matter) ** 2 + 1)
    beta_node = 8.41 * matter**0.435
    s_tilde = s / (1 + (beta_node / (k * s)) ** 3) ** (1 / 3)
    smooth = _pressureless(q, 1.0, 1.0) / (1 + (k * s / 5.2) ** 2)
    damped = alpha / (1 + (beta / (k * s)) ** 3) * np.exp(-((k / epochs.k_silk) ** 1.4))
    return (smooth + damped) * np.sinc(k * s_tilde / np.pi)


def smooth_transfer(k: Array, matter: float, baryons: float, h: float) -> Array:
    """T(k) without oscillations, section 4.2, eqs. 26 and 28-31.

    Arguments:
        k: wavenumbers in 1/Mpc, not negative.
        matter: Omega_0 h^2, baryons included.
        baryons: Omega_b h^2.
        h: Hubble constant in units of 100 km/s/Mpc.
    """
    f_b = baryons / matter
    s = 44.5 * np.log(9.83 / matter) / np.sqrt(1 + 10 * baryons**0.75)
    alpha = 1 - 0.328 * np.log(431 * matter) * f_b + 0.38 * np.log(22.3 * matter) * f_b**2
    gamma = matter / h * (alpha + (1 - alpha) / (1 + (0.43 * k * s) ** 4))
    q = k / h * _THETA**2 / gamma
    log_term = np.log(2 * np.e + 1.8 * q)
    return log_term / (log_term + (14.2 + 731 / (1 + 62.5 * q)) * q**2)
