r"""Base of the translators that learn from critics: two unpaired ensembles, a translator to each, and a critic of each.

Translators G: a -> b and F: b -> a minimise L = L_adv(G(a)) + L_adv(F(b)) + terms that tie a translation to its member.
Families differ only in these terms. Critics see translations mixed with earlier ones (`ReplayBuffer`), are normalised
by their largest singular values, and are penalised for their slope on data and translations, as in UVCGAN2.

For fields, all networks work on standardised wavelet coefficients (`WaveletBands`) of whitened fields (`Whitening`), so
that faint small scales weigh as much as large ones, translators start as the transport between Gaussian fields, and
critics score patches.

Source: Torbunov et al. 2023 (UVCGAN2), https://arxiv.org/abs/2303.16280, for penalty, spectral norm and averages.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import singledispatch
from typing import Any, cast

import torch
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor, nn

from pushforward.conditions import ConditionSpace
from pushforward.errors import UsageError
from pushforward.models.adversarial_losses import LOSSES, LossName
from pushforward.models.critic_penalties import squared_slope
from pushforward.models.model import Batch, Model, Player, Settings, Turn
from pushforward.models.pairs import members, other_end
from pushforward.models.replay import ReplayBuffer
from pushforward.models.wavelet_bands import WaveletBands, halvings_for
from pushforward.models.whitened import PairWhitening, translation_defaults
from pushforward.networks import Critic
from pushforward.networks.patch_critic import PatchCritic
from pushforward.networks.spectral_norm import advance_spectral_norm
from pushforward.networks.translators import TranslatorName, translator
from pushforward.randomness import Draws
from pushforward.spaces import Field, Space, Vector

__all__ = ["AdversarialTranslators", "Consistency", "TranslatorSettings"]

Consistency = dict[str, tuple[float, Tensor]]
"""Terms of a loss by name: the weight and the value of each."""


class TranslatorSettings(Settings):
    """
    Attributes:
        network: translators of fields: ``unet`` or ``resnet``.
        width: hidden features of the translators, or their channels at the finest grid; None follows from the space.
        depth: hidden layers, residual blocks, or blocks at each resolution; None follows from the space.
        critic_width: of the critics.
        loss: ``least-squares``, ``wasserstein``, ``relativistic``, ``non-saturating`` or ``minimax``.
        penalty: weight of the critics' squared slope on data and on translations.
        spectral_norm: divide the critics' layers by their largest singular values.
        replay: number of earlier translations kept for the critics; 0 for none.
        halvings: of a field's grid before all networks (see `WaveletBands`); None follows from the grid.
    """

    network: TranslatorName = "unet"
    width: int | None = Setting(default=None, ge=1)
    depth: int | None = Setting(default=None, ge=1)
    critic_width: int | None = Setting(default=None, ge=1)
    loss: LossName = "least-squares"
    penalty: float = Setting(default=0.1, ge=0)
    spectral_norm: bool = True
    replay: int = Setting(default=50, ge=0)
    halvings: int | None = Setting(default=None, ge=0)


class AdversarialTranslators(Model):
    """Players ``to_a`` and ``to_b``, stepped together, and ``critic_a`` and ``critic_b``; or those of one end alone.

    Arguments:
        space, condition, settings: see `Model`.
        ends: ensembles that are translated into.
    """

    Settings = TranslatorSettings
    settings: TranslatorSettings

    def __init__(
        self,
        space: Space,
        condition: ConditionSpace = ConditionSpace(),
        settings: BaseModel | None = None,
        ends: tuple[str, ...] = ("a", "b"),
    ) -> None:
        super().__init__(space, condition, settings)
        options, self.ends = self.settings, ends
        width, depth, critic_width = _sizes(space, options.network)
        halvings = halvings_for(space) if options.halvings is None else options.halvings
        self.bands = nn.ModuleDict({side: WaveletBands(space, halvings) for side in ("a", "b")})
        self.whitening = PairWhitening(space)
        inner = self.inner = cast(WaveletBands, self.bands["a"]).space
        self.translators = nn.ModuleDict(
            {side: translator(inner, options.network, options.width or width, options.depth or depth) for side in ends}
        )
        self.critics = nn.ModuleDict(
            {side: _critic(inner, options.critic_width or critic_width, options.spectral_norm) for side in ends}
        )
        self.replayed = nn.ModuleDict({side: ReplayBuffer(options.replay, inner.shape) for side in ends})

    @classmethod
    def settled(cls, settings: BaseModel, source: Any) -> BaseModel:
        """The settings, unchanged.

        Raises:
            UsageError: if the members of the two ensembles differ in shape.
        """
        source.require_equal_shapes("translators start as the identity")
        return settings

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        size, rate = (8, 5e-4) if space.grid else (256, 1e-3)
        return {
            "learning_rate": rate, "batch_size": size, "betas": (0.5, 0.99), "average": 0.1, "rate_schedule": "linear",
            **translation_defaults(space),
        }  # fmt: skip

    def players(self) -> dict[str, Player]:
        return {
            **{f"to_{side}": Player(list(self.translators[side].parameters())) for side in self.ends},
            **{f"critic_{side}": Player(list(self.critics[side].parameters())) for side in self.ends},
        }

    def prepare(self, batch: Batch) -> None:
        for side, x in members(batch).items():
            self.whitening[side].update(x)
            cast(WaveletBands, self.bands[side]).initialise(self.whitening[side](x))

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        self.whitening.add(members(batch))
        real = {side: self._coefficients(x, side) for side, x in members(batch).items()}
        loss, fake, logs = self._translated(real, batch.draws)
        yield Turn(tuple(f"to_{side}" for side in self.ends), loss, logs)
        for side in self.ends:
            yield self._critic_turn(side, real[side], fake[side], batch.draws)

    @torch.no_grad()
    def translate(self, x: Tensor, to: str) -> Tensor:
        """Members of b as members of a (``to="a"``), or of a as members of b.

        Raises:
            UsageError: if ``to`` is neither a nor b, or there is no translator to it.
        """
        origin = other_end(to)
        if to not in self.ends:
            raise UsageError(f"this model translates to {origin} only; train one with ends=both, or ends={to}")
        moved = self.translators[to](self._coefficients(x, origin)).float()
        return self.whitening[to].inverse(cast(WaveletBands, self.bands[to]).inverse(moved))

    def _coefficients(self, x: Tensor, side: str) -> Tensor:
        return self.bands[side](self.whitening[side](x))

    @abstractmethod
    def consistency(self, to: str, real: dict[str, Tensor], moved: Tensor, kept: Tensor, draws: Draws) -> Consistency:
        """Terms that tie translations to their members.

        Arguments:
            to: the ensemble that is translated into.
            real: members of each ensemble, in wavelet coefficients.
            moved: translations of the members of the other ensemble.
            kept: translations of the members of the target.
            draws: random numbers of the batch.
        """

    def _translated(self, real: dict[str, Tensor], draws: Draws) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """The translators' loss, the translations, and the parts of the loss."""
        game = LOSSES[self.settings.loss]
        count = len(real["a"])
        loss, fake, parts = torch.zeros((), device=real["a"].device), dict[str, Tensor](), dict[str, Tensor]()
        for side in self.ends:
            # members of both ensembles in one pass
            moved, kept = self.translators[side](torch.cat([real[other_end(side)], real[side]])).float().split(count)
            on_fake = self.critics[side](moved).float()
            on_real = self.critics[side](real[side]).float().detach() if game.paired else on_fake
            loss = loss + game.generator(on_real, on_fake)
            for name, (weight, value) in self.consistency(side, real, moved, kept, draws).items():
                loss, parts[name] = loss + weight * value, value.detach()
            fake[side] = moved.detach()
        return loss, fake, parts

    def _critic_turn(self, side: str, real: Tensor, fake: Tensor, draws: Draws) -> Turn:
        options, game = self.settings, LOSSES[self.settings.loss]
        advance_spectral_norm(self.critics[side])
        shown = cast(ReplayBuffer, self.replayed[side])(fake, draws) if options.replay else fake
        both = torch.cat([real, shown]).requires_grad_(options.penalty > 0)
        scores = self.critics[side](both).float()
        on_real, on_fake = scores.chunk(2)
        name, figure = game.logged
        loss, logs = game.critic(on_real, on_fake), {name: figure(on_real, on_fake).detach()}
        if options.penalty:
            # the slope of a sample's mean score does not depend on the number of patches
            logs["penalty"] = squared_slope(scores.flatten(1).mean(1) if scores.dim() > 1 else scores, both).mean()
            loss = loss + options.penalty * logs["penalty"]
            logs["penalty"] = logs["penalty"].detach()
        return Turn(f"critic_{side}", loss, logs)


@singledispatch
def _sizes(space: Space, network: TranslatorName) -> tuple[int, int, int]:
    """Width and depth of the translators, and width of the critics."""
    return 128, 3, 128


@_sizes.register
def _(space: Field, network: TranslatorName) -> tuple[int, int, int]:
    return (48, 6, 32) if network == "resnet" else (32, 1, 32)


@singledispatch
def _critic(space: Space, width: int, spectral_norm: bool) -> nn.Module:
    raise UsageError(f"critics judge vectors and fields, not {space.kind} data")


@_critic.register
def _(space: Vector, width: int, spectral_norm: bool) -> nn.Module:
    return Critic(space, width=width, spectral_norm=spectral_norm)


@_critic.register
def _(space: Field, width: int, spectral_norm: bool) -> nn.Module:
    return PatchCritic(space, width, spectral_norm=spectral_norm)
