"""Known facts about an unnormalised density, exact or measured."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

__all__ = ["Facts"]


@dataclass(frozen=True)
class Facts:
    """Known numbers of p(x) = exp(-U(x)) / Z, in nats; energies in units of kT. None: not known.

    Attributes:
        log_z: ln Z, where Z is the integral of exp(-U) over the space; for centred particles over the ``(count - 1) *
            dim`` orthonormal coordinates of the subspace with the centre of mass at the origin.
        log_z_error: its standard error if measured; 0 for a closed form or a converged quadrature.
        mean_energy: <U> under p.
        mean_energy_error: its standard error.
        virial: <x . grad U> under p; by partial integration, the number of degrees of freedom if exp(-U) vanishes
            at infinity.
    """

    log_z: float | None = None
    log_z_error: float = 0.0
    mean_energy: float | None = None
    mean_energy_error: float = 0.0
    virial: float | None = None

    @property
    def free_energy(self) -> float | None:
        """F = -ln Z, in units of kT."""
        return None if self.log_z is None else -self.log_z

    @property
    def exact(self) -> bool:
        """Whether ln Z and <U> are known without error."""
        return None not in (self.log_z, self.mean_energy) and self.log_z_error == self.mean_energy_error == 0

    @property
    def entropy(self) -> float | None:
        """Differential entropy S = <U> + ln Z in nats, a lower bound on mean negative log-densities."""
        return None if self.log_z is None or self.mean_energy is None else self.mean_energy + self.log_z

    @property
    def entropy_error(self) -> float:
        """Standard error of the entropy, assuming that the two errors are independent."""
        return hypot(self.log_z_error, self.mean_energy_error)
