r"""Kick and drift factors of particles in an expanding flat universe, exact to linear order (Feng et al. 2016, FastPM,
arXiv:1603.00476, eqs. 16-18).

With the scale factor a as time, comoving positions x and momenta :math:`p = a^3 E\, dx/da` in Mpc/h,

.. math:: \frac{dx}{da} = \frac{p}{a^3 E(a)}, \qquad \frac{dp}{da} = \frac{F}{a^2 E(a)}, \qquad E = H / H_0.

In linear theory displacements grow as D(a), momenta as :math:`G(a) = a^3 E\, dD/da` and forces as
:math:`\tfrac32 \Omega_m D(a)`. Factors that integrate these exactly,

.. math:: D(a_0, a_1; a) = \frac{D(a_1) - D(a_0)}{G(a)}, \qquad
          K(a_0, a_1; a) = \frac{G(a_1) - G(a_0)}{\tfrac32 \Omega_m D(a)},

agree with the integrals of 1 / (a^3 E) and 1 / (a^2 E) for short steps, and reproduce linear growth for steps of any
length. The normalisation of D drops out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import hyp2f1

__all__ = ["Expansion"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Expansion:
    """A flat universe of matter and a cosmological constant.

    Arguments:
        Omega_m: matter density today in units of the critical density, a number or one per simulation.
    """

    Omega_m: float | Array

    def rate(self, a: float) -> float | Array:
        """E(a) = H(a) / H_0."""
        return np.sqrt(self.Omega_m * a**-3 + 1 - self.Omega_m)

    def growth(self, a: float) -> float | Array:
        """Growth D(a) of displacements, D -> a at early times.

        The growing mode D ~ E(a) int da / (a E)^3 (Heath 1977) is, in a flat universe,
        a 2F1(1/3, 1; 11/6; -a^3 Omega_Lambda / Omega_m).
        """
        return a * hyp2f1(1 / 3, 1, 11 / 6, -(a**3) * (1 - self.Omega_m) / self.Omega_m)

    def matter_fraction(self, a: float) -> float | Array:
        """Omega_m(a), the matter fraction of the energy density."""
        return self.Omega_m / (self.Omega_m + (1 - self.Omega_m) * a**3)

    def growth_rate(self, a: float) -> float | Array:
        """Growth rate f(a) = dln D / dln a = Omega_m(a) [5 a / (2 D) - 3/2] (Heath 1977)."""
        return self.matter_fraction(a) * (2.5 * a / self.growth(a) - 1.5)

    def momentum_growth(self, a: float) -> float | Array:
        """Growth G(a) = a^3 E dD/da = a^2 E f D of momenta."""
        return a**2 * self.rate(a) * self.growth_rate(a) * self.growth(a)

    def drift(self, start: float, end: float, at: float) -> float | Array:
        """Factor on a momentum known at ``at``, for the displacement from ``start`` to ``end``."""
        return (self.growth(end) - self.growth(start)) / self.momentum_growth(at)

    def kick(self, start: float, end: float, at: float) -> float | Array:
        """Factor on a force known at ``at``, for the change of momentum from ``start`` to ``end``."""
        change = self.momentum_growth(end) - self.momentum_growth(start)
        return change / (1.5 * self.Omega_m * self.growth(at))
