r"""Hybrid physical-neural N-body simulation: coarse particle-mesh gravity with a learned correction of the potential.

A coarse mesh gives cheap, correct forces on large scales, and forces that are too weak on the scale of its cells. Each
step corrects the potential by an isotropic filter of its Fourier modes that depends on the scale factor,

.. math:: F = -\tfrac32 \Omega_m \nabla\, [(1 + f_\theta(|k|, a))\, \phi],

a cubic spline of the wavenumber (`SpectralFilter`). Its weights are learnt by differentiating through all steps of the
simulation, from snapshots of a finer simulation that starts at the same initial conditions:

.. math:: \mathcal L = \frac{1}{T N} \sum_{t, i} \frac{|x_i(t) - x_i^{fine}(t)|^2}{l^2}
          + \lambda\, \Big\langle \Big(\frac{P(k, t)}{P^{fine}(k, t)} - 1\Big)^2 \Big\rangle_{t, k}

with l the mean distance of particles. Since only a function of scale and time is learnt, one simulation suffices for
training, and simulations with other seeds are corrected equally well.

Source: Lanzieri, Lanusse & Starck 2022 (arXiv:2207.05509).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models.model import Batch, Model, Settings, Turn
from pushforward.networks.spectral_filter import SpectralFilter
from pushforward.simulate.particle_mesh import HUBBLE_VELOCITY, ParticleMesh
from pushforward.spaces import Space, Trajectory

__all__ = ["HybridNBody"]


class HybridNBodySettings(Settings):
    """
    Attributes:
        Omega_m: matter density today of the simulations, in units of the critical density; None: the condition
            ``Omega_m`` of the data.
        Omega_m_column: index of that condition; found in the data.
        coarse_mesh: cells per side of the mesh; 0 for as many as particles per side.
        coarse_steps: kick-drift-kick steps in the longest interval between snapshots of the data; shorter intervals
            take fewer.
        splines: number of splines of the correction as a function of the wavenumber.
        width: hidden features of the MLP from the scale factor to their coefficients.
        power_weight: weight lambda of the power spectrum in the loss.
        checkpointed: compute forces again in the backward pass, in the memory of the states alone.
    """

    Omega_m: float | None = Setting(default=None, gt=0, le=1)
    Omega_m_column: int | None = Setting(default=None, ge=0)
    coarse_mesh: int = Setting(default=0, ge=0)
    coarse_steps: int = Setting(default=3, ge=1)
    splines: int = Setting(default=16, ge=4)
    width: int = Setting(default=32, ge=1)
    power_weight: float = Setting(default=0.1, ge=0)
    checkpointed: bool = False


class HybridNBody(Model):
    """A coarse particle-mesh simulation with a learnt correction towards a finer one.

    Samples are trajectories: comoving positions in Mpc/h and peculiar velocities in km/s, at scale factors.

    Raises:
        UsageError: unless the space is a trajectory in three dimensions, in a box, at scale factors in (0, 1].
    """

    Settings = HybridNBodySettings
    settings: HybridNBodySettings
    conjugates: Tensor
    shells: Tensor

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings)
        if not isinstance(space, Trajectory) or space.dim != 3 or space.box is None or len(space.times) < 2:
            raise UsageError(
                f"hybrid-nbody learns trajectories of particles in a three-dimensional box, at two times or more; "
                f"got {space}"
            )
        if not 0 < min(space.times) <= max(space.times) <= 1:
            raise UsageError(
                f"the times of hybrid-nbody must be scale factors in (0, 1]; got {', '.join(map(str, space.times))}"
            )
        self.trajectory, self.box = space, space.box
        self.side = round(space.count ** (1 / 3))
        self.gravity = ParticleMesh(self.settings.coarse_mesh or max(4, self.side), self.box)
        self.filter = SpectralFilter(self.gravity.wavenumbers, self.settings.splines, self.settings.width)
        mesh = self.gravity.mesh
        # Modes of the real transform count twice, for their conjugates, except at zero and at the Nyquist wavenumber.
        conjugates = torch.full_like(self.gravity.wavenumbers, 2.0)
        conjugates[..., [0] if mesh % 2 else [0, -1]] = 1.0
        self.register_buffer("conjugates", conjugates, persistent=False)
        shells = (self.gravity.wavenumbers * mesh / 2).round().long().flatten()
        # Modes beyond the Nyquist wavenumber form one shell, which is ignored.
        self.register_buffer("shells", shells.clamp(max=mesh // 2), persistent=False)

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        return {"learning_rate": 1e-2, "batch_size": 1, "precision": "32"}

    @classmethod
    def settled(cls, settings: BaseModel, source: Any) -> BaseModel:
        assert isinstance(settings, HybridNBodySettings)
        names = [parameter.name for parameter in source.parameters]
        if "Omega_m" not in names:
            if settings.Omega_m is None:
                raise UsageError(f"{source.name} has no matter density; give it (--set Omega_m=0.3)")
            return settings
        column = names.index("Omega_m")
        values = source.condition_rows()[:, column]
        same = float(values[0]) if (values == values[0]).all() else None
        if settings.Omega_m is not None and settings.Omega_m != same:
            raise UsageError(f"{source.name} has Omega_m as a condition; leave the setting out")
        return settings.model_copy(update={"Omega_m_column": column, "Omega_m": same})

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        x = batch.x
        times = torch.tensor(self.trajectory.times, dtype=torch.float64)
        position, _ = self._run(x[:, 0], times, batch.condition)
        apart = self._apart(position[:, 1:], x[:, 1:, 0]).square().sum(-1).mean() / (self.box / self.side) ** 2
        power = self._power_error(position[:, 1:], x[:, 1:, 0])
        logs = {"displacement": apart.detach().sqrt(), "power": power.detach().sqrt()}
        yield Turn("model", apart + self.settings.power_weight * power, logs)

    def evolve(
        self, initial: Float[Tensor, "batch 2 count 3"], times: Float[Tensor, " T"], condition: Condition | None = None
    ) -> Float[Tensor, "batch T 2 count 3"]:
        """States at several scale factors, the first of which is that of the initial states.

        Arguments:
            initial: positions in Mpc/h and peculiar velocities in km/s.
            times: scale factors in (0, 1], in either direction. Steps are no longer than in training.
            condition: of the simulations; None: the common matter density of the training data.

        Raises:
            UsageError: if the training data have several matter densities, and no condition is given.
        """
        return self._evolved(initial, times, condition)

    def uncorrected(
        self, initial: Float[Tensor, "batch 2 count 3"], times: Float[Tensor, " T"], condition: Condition | None = None
    ) -> Float[Tensor, "batch T 2 count 3"]:
        """States like those of `evolve`, without the learnt correction."""
        return self._evolved(initial, times, condition, corrected=False)

    def resolved(
        self, initial: Float[Tensor, "batch 2 count 3"], times: Float[Tensor, " T"], condition: Condition | None = None
    ) -> Float[Tensor, "batch T 2 count 3"]:
        """States of an uncorrected simulation on a mesh four times as fine, with four times the steps."""
        return self._evolved(initial, times, condition, corrected=False, finer=4)

    def correction(self, a: Float[Tensor, " batch"]) -> Float[Tensor, "batch mesh mesh half"]:
        """Factors 1 + f on the modes of the potential at scale factors ``a``."""
        return 1 + self.filter(a)

    def _evolved(self, initial: Tensor, times: Tensor, condition: Condition | None, **options: Any) -> Tensor:
        position, velocity = self._run(initial, times, condition, **options)
        wrapped = position.remainder(self.box)
        return torch.stack([torch.where(wrapped < self.box, wrapped, 0.0), velocity], 2)

    def _run(
        self, initial: Tensor, times: Tensor, condition: Condition | None, *, corrected: bool = True, finer: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Positions, not wrapped, and peculiar velocities, shape (batch, T, count, 3).

        Arguments:
            finer: factor on the cells per side and the steps of the settings.
        """
        gravity = self.gravity if finer == 1 else ParticleMesh(finer * self.gravity.mesh, self.box).to(initial.device)
        longest = max(end - start for start, end in pairwise(self.trajectory.times)) / (
            self.settings.coarse_steps * finer
        )
        position, momentum = initial[:, 0], initial[:, 1] * (float(times[0]) / HUBBLE_VELOCITY)
        spans = times.diff().abs().tolist()
        positions, momenta = gravity.evolve(
            position,
            momentum,
            times,
            Omega_m=self._matter(condition),
            steps=[max(1, ceil(span / longest - 1e-6)) for span in spans],
            correction=self.correction if corrected else None,
            gradient="checkpointed" if self.settings.checkpointed else "direct",
        )
        velocities = momenta * (HUBBLE_VELOCITY / times.to(momenta))[:, None, None, None]
        return positions.transpose(0, 1), velocities.transpose(0, 1)

    def _matter(self, condition: Condition | None) -> float | NDArray[np.float64]:
        """Matter density, common or per simulation."""
        numbers = self.condition.numbers_of(condition)
        if numbers is not None and self.settings.Omega_m_column is not None:
            return numbers[:, self.settings.Omega_m_column].double().cpu().numpy()
        if self.settings.Omega_m is None:
            raise UsageError("the training data have several matter densities; give the condition Omega_m")
        return self.settings.Omega_m

    def _apart(self, a: Tensor, b: Tensor) -> Tensor:
        """Shortest displacement from b to a in the periodic box, in Mpc/h."""
        difference = a - b
        return difference - self.box * (difference / self.box).round()

    def _power_error(self, position: Tensor, truth: Tensor) -> Tensor:
        """Mean over shells and snapshots of (P / P_fine - 1)^2, of particles painted on the coarse mesh."""
        found, wanted = (self._power(each.flatten(0, 1)) for each in (position, truth))
        return (found / wanted - 1).square().mean()

    def _power(self, position: Tensor) -> Tensor:
        """Power in shells one fundamental wide, up to the Nyquist wavenumber, in arbitrary units; differentiable."""
        modes = torch.fft.rfftn(self.gravity.overdensity(position), dim=(1, 2, 3))
        squares = (modes.real.square() + modes.imag.square()) * self.conjugates
        shells = squares.new_zeros(len(squares), self.gravity.mesh // 2 + 1)
        return shells.index_add(1, self.shells, squares.flatten(1))[:, 1:-1]
