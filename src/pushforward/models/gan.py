"""The original generative adversarial network: a classifier, and a generator that deceives it.

Without a smoothness constraint the classifier may become certain of every sample and give the generator
little gradient, and a generator that repeats a few good samples is not corrected: modes are lost. It is
included for comparison.

Source: Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661
"""

from __future__ import annotations

from pydantic import Field as Setting

from pushforward.models.adversarial import Adversarial, AdversarialSettings, ConstraintName
from pushforward.models.adversarial_losses import LossName

__all__ = ["GAN"]


class GANSettings(AdversarialSettings):
    """Settings of adversarial models, with the defaults of this family."""

    loss: LossName = "non-saturating"
    constraint: ConstraintName = "none"
    critic_turns: int = Setting(default=1, ge=1)


class GAN(Adversarial):
    """The non-saturating or, with ``loss=minimax``, the saturating game without a constraint."""

    Settings = GANSettings
    settings: GANSettings
