r"""CycleGAN: two unpaired ensembles, a translator in each direction, and a critic of each ensemble.

With translators G: a -> b and F: b -> a and critics of a and b, both translators minimise

    L = L_adv(G(a)) + L_adv(F(b)) + λ (E |F(G(a)) - a| + E |G(F(b)) - b|) + μ (E |G(b) - b| + E |F(a) - a|).

The adversarial part makes translations resemble members of the other ensemble, the cycle part makes them invertible,
and the identity part keeps members that are already in the target: without it, any relabelling of the members is as
good as the one that changes least. Everything else is in `models.adversarial_translators`.

Source: Zhu et al. 2017, https://arxiv.org/abs/1703.10593, equations 1 to 3 and section 4.
"""

from __future__ import annotations

from pydantic import Field as Setting
from torch import Tensor

from pushforward.models.adversarial_translators import AdversarialTranslators, Consistency, TranslatorSettings
from pushforward.models.pairs import other_end
from pushforward.randomness import Draws

__all__ = ["CycleGAN"]


class CycleGANSettings(TranslatorSettings):
    """
    Attributes:
        cycle: weight λ of the cycle consistency.
        identity: weight μ of keeping members of the target ensemble.
    """

    cycle: float = Setting(default=10.0, ge=0)
    identity: float = Setting(default=0.5, ge=0)


class CycleGAN(AdversarialTranslators):
    """Translators with a cycle-consistency loss."""

    Settings = CycleGANSettings
    settings: CycleGANSettings

    def consistency(self, to: str, real: dict[str, Tensor], moved: Tensor, kept: Tensor, draws: Draws) -> Consistency:
        origin = other_end(to)
        back = self.translators[origin](moved).float()
        return {
            f"cycle_{origin}": (self.settings.cycle, (back - real[origin]).abs().mean()),
            f"identity_{to}": (self.settings.identity, (kept - real[to]).abs().mean()),
        }
