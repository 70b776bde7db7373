r"""Comparison of evolved states with a reference simulation from the same initial conditions.

Particles are painted on a mesh twice as fine as their initial lattice, and compared mode by mode at each time, up to
the Nyquist wavenumber of the lattice:

- the ratio of power spectra, :math:`P(k) / P_{ref}(k)`;
- the correlation :math:`r(k) = P_\times / \sqrt{P\, P_{ref}}`: whether structures are where they should be;
- the root mean square distance of particles from where they should be, in units of the mean distance of particles.

A model that corrects a coarse simulation is compared with the uncorrected coarse simulation, and with a much finer one
without correction: the floor, which measures the effect of the resolution of the reference itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.simulate.cloud_in_cell import CloudInCell
from pushforward.spaces import Trajectory
from pushforward.statistics import cross_power_spectrum

if TYPE_CHECKING:
    from pushforward.emulator import Emulator

__all__ = ["EVOLVED", "FLOOR", "UNCORRECTED", "Comparison", "compare_trajectories", "judge_evolution"]

EVOLVED, UNCORRECTED, FLOOR = "evolved", "uncorrected", "floor"
"""Names of the comparisons: the model, its physics alone, and its physics on a much finer mesh."""


@dataclass(frozen=True)
class Comparison:
    """Comparison of trajectories with their reference.

    Attributes:
        times: of the snapshots after the initial one (T,).
        k: wavenumbers of the shells (K,), radians per unit of length.
        ratio: P / P_ref, shape (simulations, T, K).
        correlation: r, shape (simulations, T, K).
        distance: root mean square distance of particles, shape (simulations, T), in mean distances of particles.
    """

    times: tuple[float, ...]
    k: NDArray[np.float64]
    ratio: NDArray[np.float64]
    correlation: NDArray[np.float64]
    distance: NDArray[np.float64]

    @property
    def power_error(self) -> NDArray[np.float64]:
        """Mean over shells of |P / P_ref - 1|, shape (simulations, T)."""
        return np.abs(self.ratio - 1).mean(-1)

    @property
    def decorrelation(self) -> NDArray[np.float64]:
        """Mean over shells of 1 - r, shape (simulations, T)."""
        return (1 - self.correlation).mean(-1)


def compare_trajectories(
    evolved: Float[Tensor, "simulations T 2 count dim"],
    reference: Float[Tensor, "simulations T 2 count dim"],
    space: Trajectory,
) -> Comparison:
    """Compare trajectories with their reference, at all times but the first, which they share.

    Arguments:
        evolved, reference: the same particles of the same simulations.
        space: gives times and box.

    Raises:
        UsageError: if the shapes differ, or there is no box.
    """
    if space.box is None:
        raise UsageError("trajectories are compared in a periodic box; give it (--box, the attribute box of the file)")
    if evolved.shape != reference.shape:
        raise UsageError(
            f"trajectories of shapes {tuple(evolved.shape)} and {tuple(reference.shape)} cannot be compared"
        )
    side = round(space.count ** (1 / space.dim))
    ratios, correlations = [], []
    for a, b in zip(evolved[:, 1:, 0].unbind(1), reference[:, 1:, 0].unbind(1), strict=True):
        # A shell beyond the lattice's Nyquist wavenumber holds modes that the particles do not carry.
        edges = [(shell + 0.5) * 2 * pi / space.box for shell in range(side // 2 + 1)]
        spectrum = cross_power_spectrum(_density(b, space, 2 * side), _density(a, space, 2 * side), space.box, edges)
        ratios.append(spectrum.transfer[:, 0].square())
        correlations.append(spectrum.correlation[:, 0])
    apart = evolved[:, 1:, 0] - reference[:, 1:, 0]
    apart = apart - space.box * (apart / space.box).round()
    distance = apart.square().sum(-1).mean(-1).sqrt() / (space.box / side)
    return Comparison(
        times=space.times[1:],
        k=spectrum.k.numpy(),
        ratio=torch.stack(ratios, 1).numpy(),
        correlation=torch.stack(correlations, 1).numpy(),
        distance=distance.double().numpy(),
    )


def judge_evolution(
    emulator: Emulator,
    reference: Float[Tensor, "simulations T 2 count dim"],
    condition: Float[np.ndarray, "simulations parameters"] | None = None,
) -> Mapping[str, Comparison]:
    """Compare the evolution of the initial states of a reference by an emulator with the reference; results by name.

    They are `EVOLVED` and, if its physics can be run without the learned part, `UNCORRECTED` and `FLOOR`.

    Arguments:
        emulator: an evolver.
        reference: unseen trajectories, in the user's units, at the times of the emulator's space.
        condition: of the simulations.

    Raises:
        UsageError: if the emulator is not an evolver, or the trajectories are not those of its space.
    """
    emulator.require("evolver")
    space = cast(Trajectory, emulator.space)
    if tuple(reference.shape[1:]) != space.shape:
        raise UsageError(f"trajectories have shape {tuple(reference.shape)}; {emulator.name} was trained on {space}")
    initial = reference[:, 0]
    runs = {EVOLVED: emulator.evolve(initial, space.times, condition)}
    if "corrected" in emulator.abilities:
        runs[UNCORRECTED] = emulator.evolve(initial, space.times, condition, physics="uncorrected")
        runs[FLOOR] = emulator.evolve(initial, space.times, condition, physics="resolved")
    return {name: compare_trajectories(run, reference, space) for name, run in runs.items()}


def _density(position: Tensor, space: Trajectory, mesh: int) -> Tensor:
    assert space.box is not None
    return CloudInCell(position * (mesh / space.box), (mesh,) * space.dim).paint()[:, None]
