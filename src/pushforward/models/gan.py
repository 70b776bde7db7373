"""The generative adversarial network as it was first proposed: a classifier, and a generator that deceives it.

Nothing keeps the classifier smooth, so that it may be sure of every sample and teach the generator little, and a
generator that makes a few good samples over and over is not corrected: modes are lost. It stands here to be compared.

Source: Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661
"""

from __future__ import annotations

from pydantic import Field as Setting

from pushforward.models.adversarial import Adversarial, AdversarialSettings, ConstraintName
from pushforward.models.adversarial_losses import LossName

__all__ = ["GAN"]


class GANSettings(AdversarialSettings):
    """The settings of adversarial models with the defaults of this family."""

    loss: LossName = "non-saturating"
    constraint: ConstraintName = "none"
    critic_turns: int = Setting(default=1, ge=1)


class GAN(Adversarial):
    """The non-saturating or, with ``loss=minimax``, the saturating game without a constraint."""

    Settings = GANSettings
    settings: GANSettings
