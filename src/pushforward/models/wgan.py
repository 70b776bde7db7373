"""Wasserstein GANs: a critic of slope about one estimates the distance of samples to the data.

By Kantorovich and Rubinstein, W(p, q) is the largest E_p f - E_q f over functions with slope at most one. ``wgan``
bounds the critic's weights, ``wgan-gp`` penalises its gradient between data and samples. Unlike other adversarial
losses, the estimate falls as samples improve.

Sources: Arjovsky, Chintala and Bottou 2017, https://arxiv.org/abs/1701.07875; Gulrajani et al.
2017, https://arxiv.org/abs/1704.00028
"""

from __future__ import annotations

from pydantic import Field as Setting

from pushforward.models.adversarial import Adversarial, AdversarialSettings, ConstraintName

__all__ = ["WGAN", "WGANGP"]


class WGANSettings(AdversarialSettings):
    """Settings of adversarial models, with the defaults of this family."""

    constraint: ConstraintName = "clipping"
    critic_turns: int = Setting(default=5, ge=1)


class WGAN(Adversarial):
    """The Wasserstein game with bounded weights."""

    Settings = WGANSettings
    settings: WGANSettings


class WGANGP(Adversarial):
    """The Wasserstein game with a gradient penalty: the defaults of `Adversarial`."""
