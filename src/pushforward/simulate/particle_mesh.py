r"""Particle-mesh gravity in an expanding flat universe, differentiable and batched.

With the scale factor a as time, collisionless matter obeys

.. math:: \frac{dx}{da} = \frac{p}{a^3 E(a)}, \qquad \frac{dp}{da} = \frac{F(x)}{a^2 E(a)}, \qquad
          F = -\tfrac32 \Omega_m \nabla \phi, \qquad \nabla^2 \phi = \delta,

with comoving positions x, momenta p and forces F in Mpc/h; the peculiar velocity is v = 100 km/s p / a for p in Mpc/h.
The overdensity of the particles is painted on a mesh of cells of side h, Poisson's equation is solved for its Fourier
modes, and the force is interpolated at the particles, both by cloud in cell:

.. math:: F_k = \tfrac32 \Omega_m\, \frac{i\, d(k)}{k^2}\, \delta_k, \qquad
          d(k) = \frac{8 \sin kh - \sin 2kh}{6 h}

(Hockney & Eastwood 1981). The fourth-order difference d in place of k vanishes towards the Nyquist wavenumber, where a
lattice of particles would attract its own images. A mesh does not resolve forces below a few cells, so the force of a
coarse mesh is too weak there. A ``correction`` multiplies the potential, as learnt by the hybrid simulations of
Lanzieri, Lanusse & Starck (2022, arXiv:2207.05509).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import pi
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from pushforward.dynamics import integrate_kick_drift
from pushforward.errors import UsageError
from pushforward.simulate.cloud_in_cell import CloudInCell
from pushforward.simulate.expansion import Expansion

__all__ = ["HUBBLE_VELOCITY", "Correction", "ParticleMesh", "peculiar_velocity"]

Correction = Callable[[Tensor], Tensor]
"""``correction(a)`` with a (batch,): factors on the modes of the potential, which broadcast with (batch, *modes)."""
HUBBLE_VELOCITY = 100.0
"""H_0 in km/s per Mpc/h."""


def peculiar_velocity(momentum: Tensor, a: float | Tensor) -> Tensor:
    """Peculiar velocity a dx/dt in km/s, of momenta a^2 dx/dt / H_0 in Mpc/h at scale factor ``a``."""
    return momentum * (HUBBLE_VELOCITY / a)


class ParticleMesh(nn.Module):
    """Gravity among equal particles in a periodic cube.

    Arguments:
        mesh: cells per side.
        box: side length in Mpc/h.

    Attributes:
        wavenumbers: |k| of the modes ``(mesh, mesh, mesh // 2 + 1)`` in units of the Nyquist wavenumber pi mesh / box.

    Raises:
        UsageError: if the mesh has fewer than 4 cells per side, or the box is not positive.

    Example:
        >>> gravity = ParticleMesh(16, box=16.0)
        >>> pair = torch.tensor([[[4.0, 8.0, 8.0], [12.0, 8.0, 8.0]]])
        >>> gravity.force(pair, Omega_m=0.3).shape
        torch.Size([1, 2, 3])
    """

    kernel: Tensor
    wavenumbers: Tensor

    def __init__(self, mesh: int, box: float) -> None:
        super().__init__()
        if mesh < 4 or box <= 0:
            raise UsageError(
                f"a particle mesh needs at least 4 cells per side and a positive box; got mesh={mesh}, box={box}"
            )
        self.mesh, self.box = mesh, box
        full, half = 2 * pi * np.fft.fftfreq(mesh), 2 * pi * np.fft.rfftfreq(mesh)
        phase = np.stack(np.meshgrid(full, full, half, indexing="ij"))
        squares = (phase**2).sum(0)
        wavenumbers = np.sqrt(squares) / pi
        squares[0, 0, 0] = 1.0
        # in units of cells, times the length of a cell
        kernel = 1j * (8 * np.sin(phase) - np.sin(2 * phase)) / 6 / squares * (box / mesh)
        self.register_buffer("kernel", torch.from_numpy(kernel.astype(np.complex64)), persistent=False)
        self.register_buffer("wavenumbers", torch.from_numpy(wavenumbers.astype(np.float32)), persistent=False)

    def overdensity(self, position: Float[Tensor, "batch count 3"]) -> Float[Tensor, "batch mesh mesh mesh"]:
        """Overdensity (dimensionless, mean 0) of particles at positions in Mpc/h."""
        return self._density(self._cloud(position))

    def force(
        self,
        position: Float[Tensor, "batch count 3"],
        Omega_m: float | Tensor,
        correction: Float[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "batch count 3"]:
        """Force F = -3/2 Omega_m grad phi at the particles, in Mpc/h.

        Arguments:
            position: in Mpc/h; wrapped around.
            Omega_m: matter density today in units of the critical density; a tensor must broadcast with positions.
            correction: factors on the modes of the potential, broadcast with ``wavenumbers``; None for one.
        """
        cloud = self._cloud(position)
        modes = torch.fft.rfftn(self._density(cloud), dim=(1, 2, 3))
        if correction is not None:
            modes = modes * correction
        pulls = self.kernel.to(modes.dtype) * modes[:, None]
        fields = torch.fft.irfftn(pulls, s=(self.mesh,) * 3, dim=(2, 3, 4))
        return 1.5 * Omega_m * cloud.read(fields)

    def evolve(
        self,
        position: Float[Tensor, "batch count 3"],
        momentum: Float[Tensor, "batch count 3"],
        a: Float[Tensor, " T"],
        *,
        Omega_m: float | NDArray[np.float64],
        steps: int | Sequence[int],
        correction: Correction | None = None,
        gradient: Literal["direct", "checkpointed"] = "direct",
    ) -> tuple[Float[Tensor, "T batch count 3"], Float[Tensor, "T batch count 3"]]:
        """Positions and momenta at several scale factors, in Mpc/h, positions not wrapped.

        Arguments:
            position: initial, in Mpc/h.
            momentum: initial, a^2 dx/dt / H_0 in Mpc/h.
            a: scale factors, the first of which is that of the initial state; in either direction.
            Omega_m: matter density today in units of the critical density, a number or one per simulation (batch,).
            steps: kick-drift-kick steps between consecutive scale factors, equal in a: one number for all intervals or
                one per interval.
            correction: factors on the potential's modes as a function of the scale factor (batch,).
            gradient: ``direct``, or ``checkpointed`` in the memory of the states alone.

        Raises:
            UsageError: if a scale factor is not positive.
        """
        if float(a.min()) <= 0:
            raise UsageError(f"scale factors must be positive; got {a.tolist()}")
        expansion = Expansion(Omega_m)
        matter = _over_particles(Omega_m, position)

        def force(at: Tensor, x: Tensor) -> Tensor:
            return self.force(x, matter, None if correction is None else correction(at))

        path = integrate_kick_drift(
            force, position, momentum, a, steps=steps, gradient=gradient,
            drift=lambda *times: _over_particles(expansion.drift(*times), position),
            kick=lambda *times: _over_particles(expansion.kick(*times), position),
        )  # fmt: skip
        return path.position, path.momentum

    def _cloud(self, position: Tensor) -> CloudInCell:
        return CloudInCell(position * (self.mesh / self.box), (self.mesh,) * 3)

    def _density(self, cloud: CloudInCell) -> Tensor:
        return cloud.paint() * (self.mesh**3 / cloud.count) - 1


def _over_particles(value: float | NDArray[np.float64], like: Tensor) -> float | Tensor:
    """A number unchanged; one per simulation, shaped to broadcast with (batch, count, 3)."""
    if np.ndim(value) == 0:
        return float(value)
    return torch.as_tensor(value, dtype=like.dtype, device=like.device)[:, None, None]
