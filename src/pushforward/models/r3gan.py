r"""Relativistic GAN with zero-centred penalties on data and on samples: R3GAN.

    critic      E s(f(g(z)) - f(x)) + γ/2 (E ‖∇f(x)‖² + E ‖∇f(g(z))‖²),     s(u) = log(1 + e^u)
    generator   E s(f(x) - f(g(z)))

Both penalties act on every step: applied every few steps only they do not hold the game together. γ sets what the
critic can resolve: near the equilibrium the game minimises ‖p - q‖² in H⁻¹ over 8 γ or so, smoothed over a length that
shrinks with γ. So γ falls along the run by some orders of magnitude: large, it lets no mode get lost; small, it lets
the critic see how narrow the modes are. Eight coins beside the noise let the generator leave the space between modes
empty.

Source: Huang et al. 2024, "The GAN is dead; long live the GAN! A modern baseline GAN", https://arxiv.org/abs/2501.05441
"""

from __future__ import annotations

from typing import Any

from pydantic import Field as Setting

from pushforward.models.adversarial import Adversarial, AdversarialSettings, ConstraintName
from pushforward.models.adversarial_losses import LossName
from pushforward.spaces import Space

__all__ = ["R3GAN"]


class R3GANSettings(AdversarialSettings):
    """The settings of adversarial models with the defaults of this family."""

    loss: LossName = "relativistic"
    constraint: ConstraintName = "zero-centred"
    critic_turns: int = Setting(default=1, ge=1)
    final_penalty: float | None = Setting(default=0.01, gt=0)
    latent_bits: int = Setting(default=8, ge=0)
    depth: int = Setting(default=4, ge=1)


class R3GAN(Adversarial):
    """The relativistic game, with both zero-centred penalties."""

    Settings = R3GANSettings
    settings: R3GANSettings

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        return {**super().training_defaults_for(space), "betas": (0.0, 0.99)}
