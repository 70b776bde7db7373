r"""R3GAN: relativistic GAN with zero-centred penalties on data and on samples.

    critic      E s(f(g(z)) - f(x)) + γ/2 (E ‖∇f(x)‖² + E ‖∇f(g(z))‖²),     s(u) = log(1 + e^u)
    generator   E s(f(x) - f(g(z)))

Both penalties act on every step: applied only every few steps they do not stabilise the game. γ sets the resolution
of the critic: near the equilibrium the game minimises about ‖p - q‖² in H⁻¹ over 8 γ, smoothed over a length that
shrinks with γ. So γ falls during the run by orders of magnitude: large values prevent the loss of modes, small ones
let the critic resolve narrow modes. Eight random bits in addition to the noise let the generator leave the space
between modes empty.

Source: Huang et al. 2024, "The GAN is dead; long live the GAN! A modern baseline GAN", https://arxiv.org/abs/2501.05441
"""

from __future__ import annotations

from typing import Any

from pydantic import Field as Setting

from pushforward.models.adversarial import Adversarial, AdversarialSettings, ConstraintName
from pushforward.models.adversarial_losses import LossName
from pushforward.models.scattering import has_scattering_spectra
from pushforward.models.stationary import is_stationary
from pushforward.spaces import Space

__all__ = ["R3GAN"]


class R3GANSettings(AdversarialSettings):
    """Settings of adversarial models, with the defaults of this family."""

    loss: LossName = "relativistic"
    constraint: ConstraintName = "zero-centred"
    critic_turns: int = Setting(default=1, ge=1)
    final_penalty: float | None = Setting(default=0.01, gt=0)
    latent_bits: int = Setting(default=8, ge=0)
    depth: int = Setting(default=4, ge=1)
    scattering: float | None = Setting(default=None, ge=0)


class R3GAN(Adversarial):
    """The relativistic game, with both zero-centred penalties."""

    Settings = R3GANSettings
    settings: R3GANSettings

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        defaults = {**super().training_defaults_for(space), "betas": (0.0, 0.99), "average": 0.15}
        if is_stationary(space) and has_scattering_spectra(space):
            # Steps of scattering spectra cost more per map; more of them serve better than larger batches.
            defaults |= {"batch_size": 8}
        if space.grid and not is_stationary(space):
            # A sample is one vector of noise, and few of them lose modes; one turn of the critic leaves time for more.
            defaults |= {"learning_rate": 3e-3, "batch_size": 64}
        return defaults
