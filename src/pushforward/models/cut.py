r"""CUT: contrastive unpaired translation, without a cycle.

A translator G: a -> b with a critic of b minimises

    L = L_adv(G(a)) + λ L_contrast(G(a), a) + μ L_contrast(G(b), b),

where the contrastive loss (see `models.patch_contrast`) compares features of the translation and of its input, both
from the encoder of the translator itself: a patch must be recognised among all others of its field. No inverse is
needed, so translations may lose what the target does not have, and one direction may be trained alone (``ends=b``).
With ``ends=both`` two independent translators are trained.

The contrastive loss falls as patches differ more, so it amplifies a translation; at the weights of 1 of the paper it
wins over the critic, and the power of translated maps is too large.

Source: Park et al. 2020, https://arxiv.org/abs/2007.15651, equations 2 to 4.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor, nn

from pushforward.conditions import ConditionSpace
from pushforward.models.adversarial_translators import AdversarialTranslators, Consistency, TranslatorSettings
from pushforward.models.model import Player
from pushforward.models.pairs import other_end
from pushforward.models.patch_contrast import PatchContrast
from pushforward.randomness import Draws
from pushforward.spaces import Space

__all__ = ["CUT"]


class CUTSettings(TranslatorSettings):
    """
    Attributes:
        ends: ensembles to translate into: ``a``, ``b``, or ``both``.
        contrast: weight λ of the contrast between translations and their members.
        identity: weight μ of the same for members of the target ensemble.
        places: of each field that are contrasted at each resolution, at most.
        temperature: T of the contrast.
    """

    ends: Literal["a", "b", "both"] = "both"
    contrast: float = Setting(default=0.1, ge=0)
    identity: float = Setting(default=0.1, ge=0)
    places: int = Setting(default=256, ge=2)
    temperature: float = Setting(default=0.07, gt=0)


class CUT(AdversarialTranslators):
    """Translators with a contrastive loss of patches."""

    Settings = CUTSettings
    settings: CUTSettings

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        options = settings if isinstance(settings, CUTSettings) else CUTSettings()
        super().__init__(space, condition, options, ("a", "b") if options.ends == "both" else (options.ends,))
        self.contrasts = nn.ModuleDict()
        for side in self.ends:
            with torch.no_grad():
                channels = [level.shape[1] for level in self._features(side, torch.zeros(1, *self.inner.shape))]
            self.contrasts[side] = PatchContrast(channels, places=options.places, temperature=options.temperature)

    def players(self) -> dict[str, Player]:
        players = super().players()
        for side in self.ends:
            both = [*self.translators[side].parameters(), *self.contrasts[side].parameters()]
            players[f"to_{side}"] = Player(both)
        return players

    def consistency(self, to: str, real: dict[str, Tensor], moved: Tensor, kept: Tensor, draws: Draws) -> Consistency:
        origin, count = other_end(to), len(moved)
        after = self._features(to, torch.cat([moved, kept]))
        before = self._features(to, torch.cat([real[origin], real[to]]))
        moving, keeping = (
            self.contrasts[to]([level[rows] for level in after], [level[rows] for level in before], draws)
            for rows in (slice(count), slice(count, None))
        )  # fmt: skip
        return {
            f"contrast_{origin}": (self.settings.contrast, moving),
            f"identity_{to}": (self.settings.identity, keeping),
        }

    def _features(self, side: str, x: Tensor) -> list[Tensor]:
        return list(cast(Any, self.translators[side]).features(x))
