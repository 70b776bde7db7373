"""Particle-mesh simulations of the matter of a flat universe: trajectories of positions and velocities."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.errors import UsageError
from pushforward.simulate.cache import cached
from pushforward.simulate.cosmology import Cosmology
from pushforward.simulate.initial_conditions import linear_overdensity, perturbed_lattice
from pushforward.simulate.particle_mesh import ParticleMesh, peculiar_velocity
from pushforward.simulate.progress import shown
from pushforward.simulate.simulated import Simulated, simulator
from pushforward.spaces import Trajectory

__all__ = ["n_body", "snapshots"]

_VERSION = 1


@simulator
def n_body(
    count: int,
    seed: int = 0,
    *,
    particles: int = 32,
    mesh: int = 0,
    box: float = 64.0,
    start: float = 0.1,
    times: int = 5,
    steps: int = 10,
    order: int = 2,
    Omega_m: float = 0.3,
    sigma_8: float = 0.8,
) -> Simulated:
    """Simulations of dark matter, trajectories of shape ``(count, times, 2, particles^3, 3)``.

    Comoving positions are in Mpc/h, in [0, box), and peculiar velocities in km/s.

    The times are scale factors, equally spaced from the start to today, a = 1. The simulations have independent initial
    conditions that depend on the seed, the box and the number of particles alone, so that a finer mesh or more steps
    evolve the same universes. Omega_m and sigma_8 are their conditions. Large sets are kept in the user's cache folder.

    Arguments:
        particles: per side of the initial lattice; an even number.
        mesh: cells per side of the force mesh; 0 for twice the particles.
        box: side length in Mpc/h.
        start: scale factor of the initial conditions.
        times: number of snapshots, including the initial one.
        steps: kick-drift-kick steps between consecutive snapshots.
        order: of the Lagrangian perturbation theory of the start, 1 or 2.
        Omega_m, sigma_8: of all simulations.

    Raises:
        UsageError: if an option is out of range.
    """
    if particles < 4 or particles % 2:
        raise UsageError(f"n-body needs an even number of at least 4 particles per side; got {particles}")
    if mesh < 0 or steps < 1 or times < 2:
        raise UsageError(f"n-body needs mesh >= 0, steps >= 1 and times >= 2; got {mesh}, {steps} and {times}")
    if box <= 0 or not 0 < start < 1:
        raise UsageError(f"n-body needs box > 0 and a start between 0 and 1; got box={box} and start={start}")
    cosmology = Cosmology(Omega_m=Omega_m, sigma_8=sigma_8)
    gravity = ParticleMesh(mesh or 2 * particles, box)
    a = torch.linspace(start, 1.0, times, dtype=torch.float64)

    def simulation(index: int) -> NDArray[np.float32]:
        field = linear_overdensity(cosmology, particles, box, [(seed, index)])
        x, p = perturbed_lattice(field, cosmology, box, start, 1 if order == 1 else 2)
        return snapshots(gravity, x, p, a, Omega_m, steps)[0].numpy()

    key = {"version": _VERSION, "count": count, "seed": seed, "parameters": [Omega_m, sigma_8], "order": order}
    key |= {"particles": particles, "mesh": gravity.mesh, "box": box, "start": start, "times": times, "steps": steps}
    return Simulated(
        x=cached("n-body", key, lambda: np.stack([simulation(index) for index in shown("n-body")(range(count))])),
        space=Trajectory(particles**3, 3, times=tuple(a.tolist()), box=box),
        conditions=np.tile(np.array([Omega_m, sigma_8], np.float32), (count, 1)),
        names=("Omega_m", "sigma_8"),
        notes=(
            f"positions in Mpc/h in a box of {box:g}, peculiar velocities in km/s, at scale factors "
            f"{', '.join(f'{each:.3g}' for each in a.tolist())}",
            f"forces on a mesh of {gravity.mesh}^3 cells, {steps} steps between snapshots, Omega_m = {Omega_m:g}",
        ),
    )


@torch.no_grad()
def snapshots(
    gravity: ParticleMesh, x: torch.Tensor, p: torch.Tensor, a: torch.Tensor, Omega_m: float, steps: int
) -> torch.Tensor:
    """Snapshots of simulations in the user's units, shape ``(batch, T, 2, count, 3)``: positions in [0, box) in Mpc/h,
    and peculiar velocities in km/s.

    Arguments:
        gravity: mesh and box.
        x, p: initial positions and momenta in Mpc/h, shape ``(batch, count, 3)`` (see `ParticleMesh.evolve`).
        a: scale factors (T,), the first of which is that of the initial state.
        Omega_m: matter density today in units of the critical density.
        steps: between consecutive scale factors.
    """
    positions, momenta = gravity.evolve(x, p, a, Omega_m=Omega_m, steps=steps)
    velocities = peculiar_velocity(momenta, a.to(momenta)[:, None, None, None])
    wrapped = positions.remainder(gravity.box)
    # For a small negative number the remainder rounds to the box itself.
    wrapped = torch.where(wrapped < gravity.box, wrapped, 0.0)
    return torch.stack([wrapped, velocities], 2).transpose(0, 1)
